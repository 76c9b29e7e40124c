"""What the single pictures of a split say together: means, intervals, pooled values; NumPy.

`bootstrap.py` computes the intervals.

A pooled value takes all pixels of a split as one picture, so that a picture counts by its size.
"""

import math
from typing import Any

import numpy as np

from modest.evaluation import bootstrap
from modest.evaluation.tables import Table
from modest.metrics import thresholds

ROOTS = ("rmse", "rmse_log")
POOLED = ("pooled", "pooled_low", "pooled_high")
# Means over pixels of the picture, and of the pixels whose depth is compared.
MASK_MEANS = ("mad", "mse")
DEPTH_MEANS = ("mae", "abs_rel", "sq_rel", "log10", "delta1", "delta2", "delta3")


def of_split(table: Table, above: np.ndarray | None) -> dict[str, Any]:
    """Return the statistics of a split, ready for JSON.

    Args:
      table: its pictures.
      above: `metrics.above_thresholds` of each picture, `[N,20,3]`; None without a mask.

    Returns:
      `pictures` and `backgrounds`, their numbers; `metrics`, `{name: {"mean", "low", "high",
      "pictures", "pooled", "pooled_low", "pooled_high"}}`, in which what is undefined is None; and
      with a mask `thresholds` with the mean `iou` at each, and `calibration`, see
      `thresholds.Calibration`.
    """
    lows, highs = bootstrap.intervals(table.values, table.backgrounds)
    together = pooled(table, above)
    metrics = {}
    for name, values in table.values.items():
        if name.endswith("pixels"):
            continue
        number = int((~np.isnan(values)).sum())
        metrics[name] = {
            "mean": _or_none(np.nanmean(values) if number else math.nan),
            "low": _or_none(lows[name]),
            "high": _or_none(highs[name]),
            "pictures": number,
        } | {key: _or_none(together.get(name, {}).get(key, math.nan)) for key in POOLED}
    result: dict[str, Any] = {
        "pictures": len(table),
        "backgrounds": len(set(table.backgrounds)),
        "metrics": metrics,
    }
    if above is not None:
        result["thresholds"] = {
            "threshold": thresholds.THRESHOLDS[1:].tolist(),
            "iou": thresholds.ious(above)[:, 1:].mean(axis=0).tolist(),
        }
        bins = thresholds.calibration(above.sum(axis=0, dtype=np.float64))
        result["calibration"] = {
            name: [_or_none(x) for x in values] for name, values in bins._asdict().items()
        }
    return result


def pooled_sums(table: Table, above: np.ndarray | None) -> dict[str, tuple[np.ndarray, np.ndarray]]:
    """Return the sums of each picture whose ratio over a split is the value of all its pixels.

    Args:
      table: the pictures of the split.
      above: as in `of_split`.

    Returns:
      `{name: (numerators [N], denominators [N])}`; for `ROOTS`, the ratio is the square of the
      value. There are none for SSIM, SILog, boundaries, gradients, calibration, and other metrics
      that are no function of such sums.
    """
    sums: dict[str, tuple[np.ndarray, np.ndarray]] = {}
    values = table.values
    if above is not None:
        half = thresholds.BINS // 2  # the threshold 0.5
        true, hits, false_alarms = (
            above[:, at, kind].astype(np.float64) for at, kind in ((0, 0), (half, 0), (half, 1))
        )
        predicted = hits + false_alarms
        sums["mask/iou"] = hits, true + false_alarms
        sums["mask/dice"] = 2 * hits, predicted + true
        sums["mask/precision"] = hits, predicted
        sums["mask/recall"] = hits, true
    for name, column in values.items():
        *path, metric = name.split("/")
        if path == ["mask"] and metric in MASK_MEANS and above is not None:
            sums[name] = _weighted(column, above[:, 0, :2].sum(axis=1))
        if path[:1] == ["depth"] and metric in (*DEPTH_MEANS, *ROOTS):
            region = [part for part in path if f"depth/{part}/pixels" in values]
            weights = values["/".join(["depth", *region, "pixels"])]
            sums[name] = _weighted(column**2 if metric in ROOTS else column, weights)
    return sums


def pooled(table: Table, above: np.ndarray | None) -> dict[str, dict[str, float]]:
    """Return the metrics of all pixels of a split together, where that is defined.

    Args:
      table: the pictures of the split.
      above: as in `of_split`.

    Returns:
      `{name: {"pooled", "pooled_low", "pooled_high"}}`, the value and its 95 % interval; NaN where
      there is none.
    """
    sums = pooled_sums(table, above)
    lows, highs = bootstrap.intervals_of_ratios(sums, table.backgrounds)
    result = {}
    for name, (numerators, denominators) in sums.items():
        divisor = denominators.sum()
        ratio = numerators.sum() / divisor if divisor else _without_pixels(name, sums)
        ends = (ratio, lows[name], highs[name])
        is_square = name.rpartition("/")[2] in ROOTS
        result[name] = dict(zip(POOLED, np.sqrt(ends).tolist() if is_square else ends))
    if above is not None:
        of_error = thresholds.expected_calibration_error
        error = float(of_error(above.sum(axis=0, dtype=np.float64)))
        interval = bootstrap.basic_interval(of_error, above, table.backgrounds)
        result["mask/ece"] = dict(zip(POOLED, (error, *interval)))
    return result


def best_threshold(above: np.ndarray) -> float:
    """Return the threshold with the largest mean IoU over pictures, of equals that next to 0.5.

    Args:
      above: `metrics.above_thresholds` of each picture, `[N,20,3]`.
    """
    means = thresholds.ious(above)[:, 1:].mean(axis=0)
    candidates = thresholds.THRESHOLDS[1:]
    best = candidates[means >= means.max() - 1e-12]
    return float(best[np.argmin(np.abs(best - 0.5))])


def _weighted(column, weights):
    """Return numerators and denominators of a metric that is a mean over `weights` pixels."""
    known = ~np.isnan(column) & (weights > 0)
    return np.where(known, weights * column, 0), np.where(known, weights, 0)


def _without_pixels(name, sums):
    """Return the value of a metric of no pixels: as of one picture, see `modest.metrics`."""
    if name == "mask/precision":
        foreground = sums["mask/recall"][1].sum()
        return 0.0 if foreground else 1.0
    return 1.0 if name in ("mask/iou", "mask/dice", "mask/recall") else math.nan


def _or_none(value):
    return None if math.isnan(value) else float(value)
