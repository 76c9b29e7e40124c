"""The scores of a network on real pictures, of which `real_sets.py` reads the truth.

All scores are computed at the size of the stored pictures.
"""

import math
import pathlib
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import NamedTuple

import numpy as np
from scipy import ndimage

from benchmarks.jobs import real_sets
from modest.constants import MASK_THRESHOLD, MIN_DEPTH
from modest.evaluation import bootstrap
from modest.sweep.results import mean_and_spread

BAND = 2  # px on each side of the contour that `iou_outside_band` leaves out
SCORES = ("iou", "iou_outside_band", "delta1")  # of a picture
POOR = 0.75  # IoU below which a picture counts as poor

# Function of a background and a picture, uint8 [H,W,3]: `{"mask", "depth"}`, float [H,W] in [0, 1].
Maps = Mapping[str, np.ndarray]
Predict = Callable[[np.ndarray, np.ndarray], Maps]

# The same for many pictures of one background: `Predictor.sequence`.
Named = tuple[str, np.ndarray]
PredictSequence = Callable[[np.ndarray, Iterable[Named]], Iterable[tuple[str, np.ndarray, Maps]]]


class Result(NamedTuple):
    """One picture, its truth, what was predicted, and the scores.

    Attributes:
      name: name of the picture.
      bg, bg_fg: uint8 `[H,W,3]`.
      truth, output: masks, bool `[H,W]`.
      scores: `iou`, `iou_outside_band` and, if the set has depth, `delta1`.
      background: name of its background.
    """

    name: str
    bg: np.ndarray
    bg_fg: np.ndarray
    truth: np.ndarray
    output: np.ndarray
    scores: dict[str, float]
    background: str


def evaluate_pairs(directory: pathlib.Path, predict: Predict) -> list[Result]:
    """Evaluate a data set in the MODEST layout.

    Raises:
      InputError: the data set cannot be read.
    """
    return evaluate_all(real_sets.pairs(directory), predict)


def evaluate_all(given: Iterable[real_sets.Pair], predict: Predict) -> list[Result]:
    """Evaluate pairs. The scores of a picture have no `delta1` if no depth of it is known."""
    results = []
    for name, bg, bg_fg, truth, depth, background in given:
        maps = predict(bg, bg_fg)
        output = maps["mask"] >= MASK_THRESHOLD
        scores = {
            "iou": iou(output, truth),
            "iou_outside_band": iou(output, truth, away_from_contour(truth)),
        }
        if depth is not None and np.isfinite(depth).any() and "depth" in maps:
            scores["delta1"] = aligned_delta1(maps["depth"], depth)
        results.append(Result(name, bg, bg_fg, truth, output, scores, background))
    return results


def summarise(results: list[Result]) -> dict[str, float | None]:
    """Return mean, its 95 % interval, median, worst and number of poor pictures of the masks.

    That is with and without the band; of the depth, the mean and its interval. The interval is a
    bootstrap over backgrounds, see `modest.evaluation.bootstrap`; None if there is only one.
    """
    summary: dict[str, float | None] = {"pictures": len(results)}
    scores = {
        name: np.array([result.scores.get(name, np.nan) for result in results]) for name in SCORES
    }
    ends = bootstrap.intervals(scores, [result.background for result in results])
    for name in ("iou", "iou_outside_band"):
        values = scores[name]
        summary |= {
            name: float(values.mean()),
            **_interval(name, ends),
            f"{name}/median": float(np.median(values)),
            f"{name}/worst": float(values.min()),
            f"{name}/poor": int((values < POOR).sum()),
        }
    if not np.isnan(scores["delta1"]).all():
        summary |= {"delta1": float(np.nanmean(scores["delta1"])), **_interval("delta1", ends)}
    return summary


def mean_over_networks(
    networks: Sequence[Sequence[Mapping[str, float]]], backgrounds: Sequence[str]
) -> dict[str, float | None]:
    """Return the means over networks that were evaluated on the same pictures.

    Args:
      networks: for each network, the scores of every picture.
      backgrounds: the background of every picture.

    Returns:
      `networks`, their number; and for each score that all networks have its mean, its `/spread`,
      the sample standard deviation over the networks (None for one), and `/low` and `/high`, the
      95 % interval over backgrounds of the mean over networks and pictures (None if there is only
      one background).
    """
    columns = {}
    for name in SCORES:
        of_networks = [[scores.get(name, np.nan) for scores in pictures] for pictures in networks]
        if not np.isnan(of_networks).all(axis=1).any():
            columns[name] = np.array(of_networks)
    of_pictures = {name: values.mean(axis=0) for name, values in columns.items()}
    ends = bootstrap.intervals(of_pictures, backgrounds)
    summary: dict[str, float | None] = {"networks": len(networks)}
    for name, values in columns.items():
        found = mean_and_spread(np.nanmean(values, axis=1).tolist())
        summary |= {name: found["mean"], f"{name}/spread": found["spread"]}
        summary |= _interval(name, ends)
    return summary


def evaluate_clip(
    directory: pathlib.Path, predict_sequence: PredictSequence
) -> dict[str, float | None]:
    """Evaluate a clip with the measures of CDnet 2014, over all pixels of all frames together.

    Moving objects are foreground. Their shadows are background. Pixels outside the region of
    interest or marked as unknown do not count.

    Returns:
      `frames`, `precision`, `recall`, `f1`, and `shadow_as_foreground`, the share of the shadow's
      pixels that are predicted as foreground. A quotient by 0 is None.

    Raises:
      InputError: a file is missing or cannot be read.
    """
    clip = real_sets.read_clip(directory)
    counts = dict.fromkeys(("both", "predicted", "true", "shadow", "shadow_as_foreground"), 0)
    for name, _, maps in predict_sequence(clip.bg, clip.frames()):
        truth = clip.truth(name)
        output = maps["mask"] >= MASK_THRESHOLD
        counted = (truth != real_sets.OUTSIDE_ROI) & (truth != real_sets.UNKNOWN)
        moving, shadow = truth == real_sets.MOVING, truth == real_sets.SHADOW
        counts["both"] += int((output & moving).sum())
        counts["predicted"] += int((output & counted).sum())
        counts["true"] += int(moving.sum())
        counts["shadow"] += int(shadow.sum())
        counts["shadow_as_foreground"] += int((output & shadow).sum())
    both, predicted, true = counts["both"], counts["predicted"], counts["true"]
    return {
        "frames": len(clip.names),
        "precision": _quotient(both, predicted),
        "recall": _quotient(both, true),
        "f1": _quotient(2 * both, predicted + true),
        "shadow_as_foreground": _quotient(counts["shadow_as_foreground"], counts["shadow"]),
    }


def iou(output: np.ndarray, truth: np.ndarray, counted: np.ndarray | bool = True) -> float:
    """Return the intersection over union of two masks, or 1 if both are empty.

    Args:
      output, truth: bool `[H,W]`.
      counted: bool `[H,W]`, the pixels that count.
    """
    union = ((output | truth) & counted).sum()
    return float((output & truth & counted).sum() / union) if union else 1.0


def away_from_contour(mask: np.ndarray) -> np.ndarray:
    """Return the pixels of a mask, bool `[H,W]`, that are more than `BAND` px from its contour."""
    if mask.all() or not mask.any():
        return np.ones_like(mask)
    # The distance of each pixel to the nearest pixel of the other class.
    distance = np.where(
        mask, ndimage.distance_transform_edt(mask), ndimage.distance_transform_edt(~mask)
    )
    return distance > BAND


def aligned_delta1(output: np.ndarray, truth: np.ndarray) -> float:
    """Return delta < 1.25 of a depth map after the scale and shift that fit the truth best.

    Both are `[H,W]` in [0, 1]; the truth is NaN where it is unknown. The fit is by least squares
    (Ranftl et al., "Towards Robust Monocular Depth Estimation", 2020, but in depth and not in
    disparity).
    """
    known = np.isfinite(truth)
    output, truth = output[known], truth[known]
    terms = np.stack([output.ravel(), np.ones(output.size)], axis=1).astype(float)
    solution = np.linalg.lstsq(terms, truth.ravel(), rcond=None)[0]
    x, y = (np.maximum(values, MIN_DEPTH) for values in (terms @ solution, truth.ravel()))
    return float((np.maximum(x / y, y / x) < 1.25).mean())


def worst(results: list[Result], count: int) -> Iterator[tuple[str, np.ndarray]]:
    """Yield the results with the lowest IoU: a title, and background, picture and masks in a row.

    Yields:
      `(title, uint8 [H,W,3])`.
    """
    for result in sorted(results, key=lambda result: result.scores["iou"])[:count]:
        masks = (
            255 * mask[..., None].repeat(3, axis=2).astype(np.uint8)
            for mask in (result.truth, result.output)
        )
        row = np.concatenate([result.bg, result.bg_fg, *masks], axis=1)
        yield f"{result.name}: IoU {result.scores['iou']:.3f}", row


def _interval(name: str, ends: bootstrap.Ends) -> dict[str, float | None]:
    """Return the ends of the interval of a score; None if they are not known."""
    named = zip((f"{name}/low", f"{name}/high"), ends)
    return {key: None if math.isnan(end[name]) else end[name] for key, end in named}


def _quotient(numerator: int, denominator: int) -> float | None:
    return numerator / denominator if denominator else None
