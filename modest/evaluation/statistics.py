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
      "pictures", "pooled"}}`, in which what is undefined is None; and with a mask `thresholds` with
      the mean `iou` at each, and `calibration`, see `thresholds.Calibration`.
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
            "pooled": _or_none(together.get(name, math.nan)),
        }
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


def pooled(table: Table, above: np.ndarray | None) -> dict[str, float]:
    """Return the metrics of all pixels of a split together, where that is defined.

    Args:
      table: the pictures of the split.
      above: as in `of_split`.

    Returns:
      `{name: value}`. There is none for SSIM, SILog, boundaries, gradients, and other metrics that
      are no function of sums over pixels.
    """
    result: dict[str, float] = {}
    values = table.values
    if above is not None:
        whole = above.sum(axis=0, dtype=np.float64)
        half = thresholds.BINS // 2  # the threshold 0.5
        true, hits, false_alarms = whole[0, 0], whole[half, 0], whole[half, 1]
        predicted = hits + false_alarms
        result["mask/iou"] = float(thresholds.ious(whole)[half])
        result["mask/dice"] = _share(2 * hits, predicted + true)
        result["mask/precision"] = _share(hits, predicted) if predicted or not true else 0.0
        result["mask/recall"] = _share(hits, true)
        result["mask/ece"] = float(thresholds.expected_calibration_error(whole))
    for name, column in values.items():
        *path, metric = name.split("/")
        if path == ["mask"] and metric in MASK_MEANS and above is not None:
            result[name] = _weighted(column, above[:, 0, :2].sum(axis=1))
        if path[:1] == ["depth"] and metric in (*DEPTH_MEANS, *ROOTS):
            region = [part for part in path if f"depth/{part}/pixels" in values]
            weights = values["/".join(["depth", *region, "pixels"])]
            if metric in ROOTS:
                result[name] = math.sqrt(_weighted(column**2, weights))
            else:
                result[name] = _weighted(column, weights)
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
    known = ~np.isnan(column) & (weights > 0)
    if not known.any():
        return math.nan
    return float(np.average(column[known], weights=weights[known]))


def _share(part, whole):
    return float(part / whole) if whole else 1.0


def _or_none(value):
    return None if math.isnan(value) else float(value)
