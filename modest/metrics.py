"""Metrics of masks and depth: one value per example, averaged over examples.

`per_example` returns `{name: [B]}` with the names below. In the formulas x is a prediction after
the sigmoid, and y its target.

    mask/iou          |A & B| / |A | B|
    mask/iou_soft     sum(xy) / (sum(x) + sum(y) - sum(xy)), on probabilities; the original's "IoU",
                      kept for comparison
    mask/dice         2 |A & B| / (|A| + |B|)
    mask/precision    |A & B| / |A|; 1 if both masks are empty, 0 if only the prediction is empty
    mask/recall       |A & B| / |B|; 1 if the target is empty
    mask/boundary_f1  F1 score of contour pixels; a pixel matches if the other mask's contour is at
                      most 0.75 % of the picture's diagonal away (Csurka et al., 2013)
    depth/rmse        sqrt(mean((x - y)^2))
    depth/mae         mean(|x - y|)
    depth/abs_rel     mean(|x - y| / y)
    depth/rmse_log    sqrt(mean((ln x - ln y)^2))
    depth/delta1..3   fraction of pixels with max(x / y, y / x) < 1.25, 1.25^2, 1.25^3
    depth/ssim        SSIM, see `ssim.py`; only for pictures of at least 11 px

`abs_rel`, `rmse_log` and `delta1..3` follow Eigen et al. (2014).

Masks: A is the prediction and B the target, both thresholded at 0.5. If both are empty, every mask
metric is 1.

Depth is in [0, 1]; times 10 it is in metres. It is compared over all pixels of a picture where it
is known (`depth_valid`); a picture without any is left out of the average. Quotients and logarithms
clamp it to at least 0.01. For SSIM, unknown pixels count as predicted correctly.

The average over a data set is the mean over examples (`Mean`), not the mean over batches. It
depends neither on the batch size nor on the rows that pad the last batch.
"""

import math
from collections.abc import Mapping
from typing import NamedTuple

import jax
import jax.numpy as jnp
from jax import lax

from modest.constants import MASK_THRESHOLD, MIN_DEPTH
from modest.losses import filled
from modest.ssim import MIN_SIZE, ssim
from modest.types import Array

METRICS = {
    "mask": ("iou", "iou_soft", "dice", "precision", "recall", "boundary_f1"),
    "depth": ("rmse", "mae", "abs_rel", "rmse_log", "delta1", "delta2", "delta3", "ssim"),
}
HIGHER_IS_BETTER = (*METRICS["mask"], "delta1", "delta2", "delta3", "ssim")

# Fraction of the picture's diagonal, rounded to at least one pixel: 1 px at sizes 64 and 128, 2 px
# at 224.
BOUNDARY_TOLERANCE = 0.0075


class Mean(NamedTuple):
    """A mean that can be merged with others, stored as the total and the number of the values."""

    total: Array | float = 0.0
    number: Array | float = 0.0

    def merge(self, other: "Mean") -> "Mean":
        """Return the mean over the values of both."""
        return Mean(self.total + other.total, self.number + other.number)

    def value(self) -> Array | float:
        """Return the mean, or NaN if there are no values."""
        return self.total / self.number if self.number else math.nan


def per_example(outputs: Mapping[str, Array], targets: Mapping[str, Array]) -> dict[str, jax.Array]:
    """Return the metrics of every head that has both an output and a target.

    Args:
      outputs: logits `[B,H,W,1]` by head, `mask` and `depth`.
      targets: targets `[B,H,W,1]` in [0, 1] by head, and `depth_valid`, 1 where the depth is known
        and 0 elsewhere, if it is not known everywhere; other keys are ignored.

    Returns:
      `{name: [B]}`, such as `{"mask/iou": ...}`.
    """
    values: dict[str, jax.Array] = {}
    if "mask" in outputs and "mask" in targets:
        of_mask = mask_metrics(jax.nn.sigmoid(outputs["mask"]), targets["mask"])
        values |= {f"mask/{name}": value for name, value in of_mask.items()}
    if "depth" in outputs and "depth" in targets:
        depth, known = targets["depth"], targets.get("depth_valid")
        of_depth = depth_metrics(jax.nn.sigmoid(outputs["depth"]), depth, known)
        values |= {f"depth/{name}": value for name, value in of_depth.items()}
    return values


def mask_metrics(output: Array, target: Array) -> dict[str, jax.Array]:
    """Return the mask metrics, without the prefix `mask/`.

    Args:
      output: probabilities `[B,H,W,1]`.
      target: masks `[B,H,W,1]` in [0, 1].

    Returns:
      `{name: [B]}`.
    """
    a, b = output >= MASK_THRESHOLD, target >= MASK_THRESHOLD
    predicted, true, both = _count(a), _count(b), _count(a & b)
    soft_both = _sum(output * target)
    tolerance = max(1, round(BOUNDARY_TOLERANCE * math.hypot(*target.shape[1:3])))
    contour_a, contour_b = _contour(a), _contour(b)
    matched_a = contour_a & _dilate(contour_b, tolerance)
    boundary_precision = _quotient(_count(matched_a), _count(contour_a))
    matched_b = contour_b & _dilate(contour_a, tolerance)
    boundary_recall = _quotient(_count(matched_b), _count(contour_b))
    # If only one of the masks has a contour, the score is 0.
    one_is_empty = (predicted == 0) ^ (true == 0)
    return {
        "iou": _quotient(both, predicted + true - both),
        "iou_soft": _quotient(soft_both, _sum(output) + _sum(target) - soft_both),
        "dice": _quotient(2 * both, predicted + true),
        "precision": jnp.where((predicted == 0) & (true > 0), 0, _quotient(both, predicted)),
        "recall": _quotient(both, true),
        "boundary_f1": jnp.where(
            one_is_empty,
            0,
            _quotient(
                2 * boundary_precision * boundary_recall,
                boundary_precision + boundary_recall,
                empty=0,
            ),
        ),
    }


def depth_metrics(output: Array, target: Array, known: Array | None = None) -> dict[str, jax.Array]:
    """Return the depth metrics, without the prefix `depth/`.

    Args:
      output: predicted depth `[B,H,W,1]` in [0, 1].
      target: true depth `[B,H,W,1]` in [0, 1].
      known: 1 where the true depth is known, 0 elsewhere, `[B,H,W,1]`; None: everywhere.

    Returns:
      `{name: [B]}`. `ssim` is missing if the height or the width is below 11 px.
    """
    error = output - target
    x, y = jnp.maximum(output, MIN_DEPTH), jnp.maximum(target, MIN_DEPTH)
    ratio = jnp.maximum(x / y, y / x)
    values = {
        "rmse": jnp.sqrt(_mean(error**2, known)),
        "mae": _mean(jnp.abs(error), known),
        "abs_rel": _mean(jnp.abs(x - y) / y, known),
        "rmse_log": jnp.sqrt(_mean((jnp.log(x) - jnp.log(y)) ** 2, known)),
        **{f"delta{i}": _mean((ratio < 1.25**i).astype(output.dtype), known) for i in (1, 2, 3)},
    }
    if min(target.shape[1:3]) >= MIN_SIZE:
        values["ssim"] = ssim(output, filled(target, output, known))
    return values


def means(
    values: Mapping[str, Array], valid: Array, depth_known: Array | None = None
) -> dict[str, Mean]:
    """Return the mean of each metric over the valid rows of a batch.

    Args:
      values: `{name: [B]}`, see `per_example`.
      valid: bool `[B]`, False for rows that only pad the batch.
      depth_known: the `depth_valid` of the batch. Metrics of depth leave out rows without any.
    """
    rows = {"": valid}
    if depth_known is not None:
        rows["depth"] = valid & (depth_known > 0).any(axis=(1, 2, 3))
    result = {}
    for name, value in values.items():
        of_metric = rows.get(name.split("/")[0], valid)
        result[name] = Mean(jnp.where(of_metric, value, 0).sum(), of_metric.sum())
    return result


def score(name: str, values: Mapping[str, float]) -> float:
    """Return `values[name]`, negated if it is an error or a loss, so that higher is better."""
    return values[name] if name.split("/")[-1] in HIGHER_IS_BETTER else -values[name]


def _sum(x):
    return x.sum(axis=(1, 2, 3))


def _count(x):
    return x.sum(axis=(1, 2, 3)).astype(jnp.float32)


def _mean(x, known=None):
    if known is None:
        return x.mean(axis=(1, 2, 3))
    return _sum(x * known) / jnp.maximum(_sum(known), 1)


def _quotient(numerator, denominator, empty=1):
    """Return numerator / denominator, or `empty` where the denominator is 0."""
    return jnp.where(denominator > 0, numerator / jnp.where(denominator > 0, denominator, 1), empty)


def _contour(mask):
    """Return the foreground pixels that have a background pixel among their four neighbours.

    Everything outside the picture counts as background.
    """
    padded = jnp.pad(mask, ((0, 0), (1, 1), (1, 1), (0, 0)))
    inside = padded[:, :-2, 1:-1] & padded[:, 2:, 1:-1] & padded[:, 1:-1, :-2] & padded[:, 1:-1, 2:]
    return mask & ~inside


def _dilate(mask, radius):
    """Return True for every pixel within `radius` px (Euclidean) of a True pixel."""
    offsets = range(-radius, radius + 1)
    disc = jnp.asarray(
        [[i * i + j * j <= radius * radius for j in offsets] for i in offsets], jnp.float32
    )
    neighbours = lax.conv_general_dilated(
        mask.astype(jnp.float32),
        disc[..., None, None],
        (1, 1),
        "SAME",
        dimension_numbers=("NHWC", "HWIO", "NHWC"),
    )
    return neighbours > 0.5
