"""The table of the leak: reported and true metrics, and their difference, over the seeds."""

import pytest

from benchmarks import leak


def run_of(reported, true):
    return {
        "reported": dict.fromkeys(leak.METRICS, reported),
        "true": dict.fromkeys(leak.METRICS, true),
    }


def test_difference_is_taken_within_each_seed():
    runs = [run_of(0.9, 0.7), run_of(0.8, 0.6)]
    row = leak.summarise({"original": runs})[0]
    assert row["metric"] == "mask/iou" and row["n"] == 2
    assert row["reported"]["mean"] == pytest.approx(0.85)
    assert row["true"]["spread"] == pytest.approx(0.0707, abs=1e-4)
    assert row["difference"] == {"mean": pytest.approx(0.2), "spread": pytest.approx(0)}


def test_one_seed_has_no_spread():
    rows = leak.summarise({"original": [run_of(0.9, 0.7)], "identity": [run_of(0.7, 0.7)]})
    lines = leak.table(rows).splitlines()
    assert len(lines) == 2 + 2 * len(leak.METRICS)
    assert "| original | mask/iou | 1 | 0.9000 | 0.7000 | 0.2000 |" in lines
    assert "| identity | mask/iou | 1 | 0.7000 | 0.7000 | 0.0000 |" in lines
