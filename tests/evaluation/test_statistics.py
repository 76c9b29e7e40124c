"""Intervals, pooled values, the chosen threshold: against SciPy, scikit-learn, known values."""

import json

import numpy as np
import pytest
from scipy import stats
from sklearn.metrics import f1_score, jaccard_score, mean_squared_error, precision_score

from modest.evaluation import bootstrap, statistics, tables
from modest.evaluation.tables import Table
from modest.metrics import masks


def test_interval_of_single_pictures_matches_scipy(rng):
    values = rng.gamma(2.0, size=60)
    lows, highs = bootstrap.intervals({"x": values}, [f"bg{i}" for i in range(60)])
    expected = stats.bootstrap(
        (values,), np.mean, n_resamples=9999, method="percentile", rng=rng
    ).confidence_interval
    width = expected.high - expected.low
    assert lows["x"] == pytest.approx(expected.low, abs=0.05 * width)
    assert highs["x"] == pytest.approx(expected.high, abs=0.05 * width)


def test_clusters_of_unequal_size_match_a_loop(rng):
    clusters = np.repeat(np.arange(12), rng.integers(1, 9, 12))
    values = rng.normal(size=12)[clusters] + 0.1 * rng.normal(size=len(clusters))
    values[3] = np.nan
    lows, highs = bootstrap.intervals({"x": values}, clusters.astype(str))
    means = []
    for _ in range(4000):
        drawn = [values[clusters == c] for c in rng.integers(12, size=12)]
        means.append(np.nanmean(np.concatenate(drawn)))
    low, high = np.quantile(means, [0.025, 0.975])
    assert lows["x"] == pytest.approx(low, abs=0.06 * (high - low))
    assert highs["x"] == pytest.approx(high, abs=0.06 * (high - low))
    single = bootstrap.intervals({"x": values}, np.arange(len(values)).astype(str))
    assert high - low > 1.3 * (single[1]["x"] - single[0]["x"])  # as if pictures differed alone


def test_interval_needs_two_backgrounds_with_a_value():
    values = {"a": np.array([1.0, 2.0, 3.0]), "b": np.array([1.0, np.nan, np.nan])}
    lows, _ = bootstrap.intervals(values, ["x", "y", "y"])
    assert np.isnan(lows["b"]) and 1 <= lows["a"] <= 2.5
    lows, highs = bootstrap.intervals(values, ["x", "x", "x"])
    assert np.isnan([lows["a"], highs["a"]]).all()
    assert bootstrap.intervals(values, ["x", "y", "y"])[0]["a"] == 1.0  # equal calls, equal ends


@pytest.fixture
def pictures(rng):
    """Return probabilities and targets of masks, errors of depth, and where depth is known."""
    target = (rng.random((5, 12, 12, 1)) < 0.3).astype(np.float32)
    output = np.clip(target * 0.7 + rng.normal(0.1, 0.3, target.shape), 0, 1).astype(np.float32)
    error, known = (
        rng.normal(size=target.shape),
        rng.random(target.shape) < rng.random((5, 1, 1, 1)),
    )
    return output, target, error, known


def test_pooled_values_are_those_of_all_pixels_together(pictures):
    output, target, error, known = pictures
    above = np.asarray(masks.above_thresholds(output, target))
    pixels = known.sum(axis=(1, 2, 3)).astype(float)
    rmse = [np.sqrt((e[k] ** 2).mean()) for e, k in zip(error, known)]
    mae = [np.abs(e[k]).mean() for e, k in zip(error, known)]
    values = {
        "mask/mse": ((output - target) ** 2).mean(axis=(1, 2, 3)).astype(float),
        "mask/boundary_f1": np.ones(5),
        "loss": np.ones(5),
        "loss/depth/rmse": np.ones(5),
        "depth/pixels": pixels,
        "depth/foreground/pixels": pixels[::-1],
        "depth/rmse": np.asarray(rmse),
        "depth/foreground/median/mae": np.asarray(mae),
    }
    table = Table(list(range(5)), list("abcde"), list("abcde"), values)
    pooled = {name: found["pooled"] for name, found in statistics.pooled(table, above).items()}
    truth, predicted = target.ravel(), output.ravel() >= 0.5
    assert pooled["mask/iou"] == pytest.approx(jaccard_score(truth, predicted))
    assert pooled["mask/dice"] == pytest.approx(f1_score(truth, predicted))
    assert pooled["mask/precision"] == pytest.approx(precision_score(truth, predicted))
    assert pooled["mask/mse"] == pytest.approx(mean_squared_error(truth, output.ravel()))
    assert pooled["depth/rmse"] == pytest.approx(np.sqrt((error[known] ** 2).mean()))
    expected = np.average(mae, weights=pixels[::-1])
    assert pooled["depth/foreground/median/mae"] == pytest.approx(expected)
    assert not {"mask/boundary_f1", "loss", "loss/depth/rmse"} & pooled.keys()


def test_pooled_interval_is_that_of_resampled_backgrounds(pictures, rng):
    output, target, *_ = pictures
    rooms = np.array(list("aabcd"))
    table = Table(list(range(5)), list(rooms), list("abcde"), {})
    found = statistics.pooled(table, np.asarray(masks.above_thresholds(output, target)))
    values = []
    for _ in range(4000):
        drawn = np.concatenate([np.flatnonzero(rooms == room) for room in rng.choice([*"abcd"], 4)])
        truth, predicted = target[drawn] > 0, output[drawn] >= 0.5
        values.append((truth & predicted).sum() / (truth | predicted).sum())
    low, high = np.quantile(values, [0.025, 0.975])
    assert found["mask/iou"]["pooled_low"] == pytest.approx(low, abs=0.06 * (high - low))
    assert found["mask/iou"]["pooled_high"] == pytest.approx(high, abs=0.06 * (high - low))


@pytest.mark.parametrize("bias", [0.0, 0.2])
def test_interval_contains_the_calibration_error(rng, bias):
    """Rooms in which the foreground is more or less frequent than predicted, many times."""
    rooms = [f"room{k}" for k in range(40)]
    table = Table(list(range(40)), rooms, rooms, {})
    covered, widths = [], []
    for _ in range(40):
        frequency = np.clip(0.4 + bias + rng.normal(0, 0.1, 40), 0, 1)
        above = np.zeros((40, 20, 3))
        above[:, :9] = np.stack([1000 * frequency, 1000 * (1 - frequency), 400 + 0 * frequency], 1)[
            :, None
        ]
        found = statistics.pooled(table, above)["mask/ece"]
        low, high = found["pooled_low"], found["pooled_high"]
        covered.append(low <= bias <= high)
        widths.append(high - low)
    assert np.mean(covered) > 0.85
    assert max(widths) < 4 * 0.1 / np.sqrt(40) + 0.02


def test_interval_of_the_calibration_error_needs_two_backgrounds(pictures):
    above = np.asarray(masks.above_thresholds(*pictures[:2]))
    table = Table(list(range(5)), ["a"] * 5, list("abcde"), {})
    found = statistics.pooled(table, above)["mask/ece"]
    assert found["pooled"] > 0 and np.isnan([found["pooled_low"], found["pooled_high"]]).all()


@pytest.mark.parametrize(
    ("foreground", "predicted", "expected"),
    [(0, 0, [1, 1, 1, 1]), (0, 1, [0, 0, 0, 1]), (1, 0, [0, 0, 0, 0])],
    ids=["nothing", "all wrong", "all missed"],
)
def test_pooled_values_of_empty_masks_are_those_of_a_picture(foreground, predicted, expected):
    target, output = (np.full((2, 4, 4, 1), x, np.float32) for x in (foreground, predicted))
    table = Table([0, 1], list("ab"), list("ab"), {})
    pooled = statistics.pooled(table, np.asarray(masks.above_thresholds(output, target)))
    names = ["mask/iou", "mask/dice", "mask/precision", "mask/recall"]
    assert [pooled[name]["pooled"] for name in names] == expected
    single = masks.mask_metrics(output, target)
    assert [float(single[name.removeprefix("mask/")][0]) for name in names] == expected


def test_statistics_of_a_split_are_json(pictures):
    output, target, *_ = pictures
    values = {
        "mask/iou": np.arange(5.0),
        "depth/rmse": np.full(5, np.nan),
        "depth/pixels": np.zeros(5),
    }
    table = Table(list(range(5)), list("aabbc"), list("abcde"), values)
    result = statistics.of_split(table, np.asarray(masks.above_thresholds(output, target)))
    assert json.loads(json.dumps(result, allow_nan=False)) == result
    assert (result["pictures"], result["backgrounds"]) == (5, 3)
    assert result["metrics"].keys() == {"mask/iou", "depth/rmse"}
    assert result["metrics"]["mask/iou"]["mean"] == 2
    of_nothing = result["metrics"]["depth/rmse"]
    assert of_nothing.pop("pictures") == 0 and set(of_nothing.values()) == {None}
    assert len(result["thresholds"]["iou"]) == 19 and len(result["calibration"]["number"]) == 20


def test_best_threshold_is_the_one_next_to_a_half_of_equals():
    target = np.zeros((2, 8, 8, 1), np.float32)
    target[:, :4] = 1
    output = np.where(target > 0, 0.42, 0.12).astype(np.float32)
    above = np.asarray(masks.above_thresholds(output, target))
    assert statistics.best_threshold(above) == 0.4  # 0.15 .. 0.4 are perfect
    assert statistics.best_threshold(np.ones((1, 20, 3))) == 0.5


def test_table_of_pictures_keeps_every_digit(tmp_path, rng):
    x = rng.normal(size=3).astype(np.float32).astype(float)
    first = Table([0, 5, 9], ["a", 'b"', "c,"], ["f", "g", "ü"], {"mask/iou": x})
    second = Table([0], ["a"], ["f"], {"depth/rmse": np.array([0.25]), "no": np.array([np.nan])})
    tables.write(tmp_path / "t.csv", {"test": first, "train": second})
    read = tables.read(tmp_path / "t.csv")
    assert read["test"].is_same_pictures(first) and not read["train"].is_same_pictures(first)
    np.testing.assert_array_equal(read["test"].values["mask/iou"].astype(np.float32), x)
    assert read["train"].values == {"depth/rmse": np.array([0.25])}
