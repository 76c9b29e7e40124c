"""Means over the runs of a setting, from made-up runs."""

import dataclasses
import json
import statistics

import numpy as np
import pytest

from modest.errors import InputError
from modest.run import config_files, configs, workdirs
from modest.sweep import results
from sweep_runs import finish, result


def test_row_has_the_spread_of_the_runs_and_the_interval_of_the_pictures(rng):
    pictures = 0.02 * rng.standard_normal(40)
    runs = [result(iou + pictures, seconds=10 + k) for k, iou in enumerate((0.5, 0.75, 0.875))]
    row = results.summarise(runs, "test")
    cell = row["mask/iou"]
    ious = [run.means["test"]["mask/iou"] for run in runs]
    assert (row["n"], row["seconds"]) == (3, 11)
    assert cell["mean"] == pytest.approx(statistics.mean(ious))
    assert cell["spread"] == pytest.approx(statistics.stdev(ious))
    # The interval is that of the pictures, however far apart the runs are.
    assert cell["low"] < cell["mean"] < cell["high"] < cell["low"] + 0.03
    assert "depth/rmse" not in row


def test_one_run_has_no_spread_and_one_background_no_interval():
    run = result(np.full(4, 0.25), backgrounds=["room0"] * 4)
    assert results.summarise([run], "test")["mask/iou"] == {
        "mean": 0.25,
        "spread": None,
        "low": None,
        "high": None,
    }


def test_runs_on_different_pictures_are_refused():
    first = result(np.ones(8))
    table = first.pictures["test"]
    other = dataclasses.replace(table, indices=table.indices[::-1])
    with pytest.raises(InputError, match="different pictures of the split test"):
        results.summarise([first, first._replace(pictures={"test": other})], "test")


def test_splits_are_common_to_all_runs():
    runs = [results.Result(dict.fromkeys(names, {}), {}, 1.0) for names in ("xyz", "zy")]
    assert results.common_splits(runs) == ["y", "z"]
    with pytest.raises(InputError, match="no split on which all runs"):
        results.common_splits([runs[1], results.Result({"x": {}}, {}, 1.0)])


def test_run_that_was_evaluated_at_another_size_is_not_finished(tmp_path):
    config = config_files.load("masknet")
    configs.save(config, tmp_path, dataset=None)
    finish(tmp_path, iou=0.5)
    details = tmp_path / workdirs.EVAL_DETAILS
    for size, expected in ((160, True), (64, False)):
        details.write_text(json.dumps({"size": size}))
        assert results.is_finished(config, tmp_path) == expected


def test_unfinished_run_that_was_evaluated_is_not_finished(tmp_path):
    config = config_files.load("masknet")
    configs.save(config, tmp_path, dataset=None)
    finish(tmp_path, iou=0.5)
    assert results.is_finished(config, tmp_path)
    path = tmp_path / workdirs.METRICS
    path.write_text(path.read_text().replace('"epoch": 12', '"epoch": 3'))
    assert not results.is_finished(config, tmp_path)


def test_damaged_results_are_refused_by_name(tmp_path):
    finish(tmp_path, iou=0.5)
    assert results.read(tmp_path).seconds == 10
    path = tmp_path / workdirs.EVAL
    path.write_text(path.read_text()[:9])
    with pytest.raises(InputError, match="eval.json: cannot be read"):
        results.read(tmp_path)


def test_duration_that_is_not_known_is_none(tmp_path):
    finish(tmp_path, iou=0.5)
    (tmp_path / "metrics.jsonl").unlink()
    assert results.summarise([results.read(tmp_path)], "test")["seconds"] is None


def test_metric_that_no_picture_has_is_left_out():
    run = result(np.ones(8))
    run.means["test"]["depth/rmse"] = float("nan")
    assert results.summarise([run], "test").keys() == {"n", "seconds", "mask/iou"}


def test_text_leaves_out_what_is_not_known():
    assert results.as_text(0.5, None) == "0.5000"
    assert results.as_text(0.5, 0.25, 0.375, 0.625) == "0.5000 ± 0.2500 (0.3750 to 0.6250)"
