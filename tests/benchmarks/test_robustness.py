"""Changes of a pair, and the benchmark that measures what they cost."""

import json

import numpy as np
import pytest

from benchmarks import robustness
from benchmarks.jobs import disturbances, real_sets
from modest.inference import predict

SIDE = 64


@pytest.fixture
def pairs(rng):
    """Return two pairs: a dark square on two random backgrounds."""
    truth = np.zeros((SIDE, SIDE), bool)
    truth[20:50, 20:30] = True
    made = []
    for name in "ab":
        bg = rng.integers(60, 200, (SIDE, SIDE, 3), np.uint8)
        bg_fg = np.where(truth[..., None], 20, bg).astype(np.uint8)
        made.append(real_sets.Pair(name, bg, bg_fg, truth, None, name))
    return made


def difference(bg, bg_fg):
    """Predict foreground where the two pictures differ."""
    return {"mask": (np.abs(bg.astype(int) - bg_fg).max(axis=2) > 12).astype(float)}


@pytest.mark.parametrize("kind", robustness.AMOUNTS)
def test_first_amount_changes_nothing_and_the_last_costs_accuracy(pairs, kind):
    first, *_, last = robustness.AMOUNTS[kind]
    changed = disturbances.change(pairs[0], kind, first, pairs[1].bg, seed=0)
    np.testing.assert_array_equal(changed.bg, pairs[0].bg)
    np.testing.assert_array_equal(changed.bg_fg, pairs[0].bg_fg)
    assert changed.covered.all()
    assert robustness.evaluate(difference, pairs, kind, first)["iou"] == 1
    assert robustness.evaluate(difference, pairs, kind, last)["iou"] < 0.9


def test_shift_moves_the_background_to_the_right(pairs):
    changed = disturbances.move(pairs[0], shift=3)
    np.testing.assert_array_equal(changed.bg[:, 3:], pairs[0].bg[:, :-3])
    assert not changed.covered[:, :3].any() and changed.covered[:, 3:].all()


@pytest.mark.parametrize("kind", robustness.LENGTHS)
def test_lengths_refer_to_pictures_of_224_px(pairs, kind, monkeypatch):
    amounts = []
    change = disturbances.change

    def record(pair, kind, amount, other, seed):
        amounts.append(amount)
        return change(pair, kind, amount, other, seed)

    monkeypatch.setattr(disturbances, "change", record)
    robustness.evaluate(difference, pairs, kind, 7.0)
    assert amounts == [7 * SIDE / 224] * 2


def test_contrast_changes_by_the_distance_from_a_level():
    picture = np.array([[[28, 128, 228]]], np.uint8)
    changed = disturbances.relight(picture, 0.5, level=128)
    np.testing.assert_array_equal(changed, [[[78, 128, 178]]])


def test_shadow_begins_at_the_feet_and_spares_the_figure(pairs):
    shaded = disturbances.shade(pairs[0], 0.5)
    darker = (shaded < pairs[0].bg_fg - 5).any(axis=2)
    assert not (darker & pairs[0].truth).any()
    rows, columns = np.nonzero(darker)
    assert rows.max() <= 49 and rows.min() >= 34 and columns.min() >= 20
    assert 100 < darker.sum() < 400


def test_noise_depends_on_the_seed_alone(pairs):
    one, same, other = (
        disturbances.change(pairs[0], "noise", 8, pairs[1].bg, seed).bg_fg for seed in (1, 1, 2)
    )
    np.testing.assert_array_equal(one, same)
    assert (one != other).any()


def test_set_with_one_background_has_no_wrong_one(pairs, tmp_path, monkeypatch, capsys):
    """And each network is restored once, for all sets."""
    restored = []

    class Difference:
        size = SIDE
        __call__ = staticmethod(difference)

        def __init__(self, workdir, size):
            restored.append(workdir)

    sets = {"two": pairs, "one": [pairs[0], pairs[0]]}
    monkeypatch.setattr(predict, "Predictor", Difference)
    monkeypatch.setattr(real_sets, "embedded", lambda: pairs)
    monkeypatch.setattr(real_sets, "pairs", lambda directory: sets[directory.name])
    monkeypatch.setattr(robustness, "AMOUNTS", {"noise": [0, 4], robustness.WRONG: [0, 1]})
    for name in sets:
        (tmp_path / name).mkdir()
    options = [f"{name}={tmp_path / name}" for name in sets]
    robustness.run(["a", "b"], options, None, 2, str(tmp_path))
    assert restored == ["a", "b"]
    rows = json.loads((tmp_path / "robustness.json").read_text())
    kinds = {name: {row["change"] for row in rows if row["set"] == name} for name in sets}
    assert kinds == {"two": {"noise", robustness.WRONG}, "one": {"noise"}}
    assert robustness.WRONG not in robustness.table([r for r in rows if r["set"] == "one"])


def test_table_has_a_row_for_every_amount(pairs):
    rows = [
        {"workdir": workdir, "change": kind, "amount": amount, "iou": 0.5}
        for workdir in ("a", "b")
        for kind, amounts in robustness.AMOUNTS.items()
        for amount in amounts
    ]
    lines = robustness.table(rows).splitlines()
    assert len(lines) == 2 + sum(map(len, robustness.AMOUNTS.values()))
    assert all(line.count("0.500") == 2 for line in lines[2:])
    robustness.draw(rows)
