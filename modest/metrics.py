"""What is reported: one value for each example, averaged over examples.

`per_example` gives `{name: [B]}`. Masks are thresholded at 0.5, prediction and target alike; where both are empty, every mask
metric is 1. Depth is in [0, 1] (times 10: metres) and compared over all pixels of a picture; a quotient or logarithm takes it at
least 0.01. An average over a data set is the mean of the pictures' values (`Mean`), never of batches' means, so it depends neither
on the batch size nor on the rows that pad the last batch.

    mask/iou          |A & B| / |A | B|
    mask/iou_soft     sum(pt) / (sum(p) + sum(t) - sum(pt)) on probabilities: the original's "IoU", kept for comparison
    mask/dice         2 |A & B| / (|A| + |B|)
    mask/precision    |A & B| / |predicted|; 1 where nothing is predicted and nothing is there
    mask/recall       |A & B| / |target|; 1 where nothing is there
    mask/boundary_f1  F1 of contour pixels that lie within 0.75 % of the diagonal of the other contour (Csurka et al., 2013)
    depth/rmse        sqrt(mean (x - y)^2)
    depth/mae         mean |x - y|
    depth/abs_rel     mean |x - y| / y
    depth/rmse_log    sqrt(mean (ln x - ln y)^2)
    depth/delta1..3   share of pixels with max(x / y, y / x) < 1.25, 1.25^2, 1.25^3   (Eigen et al., 2014, for the last four)
    depth/ssim        SSIM, see `ssim.py`
"""

import math
from typing import NamedTuple

import jax
import jax.numpy as jnp
from jax import lax

from modest.ssim import MIN_SIZE, ssim
from modest.vocabulary import MASK_THRESHOLD, MIN_DEPTH

HIGHER_IS_BETTER = ("iou", "iou_soft", "dice", "precision", "recall", "boundary_f1", "delta1", "delta2", "delta3", "ssim")
BOUNDARY_TOLERANCE = 0.0075  # of the picture's diagonal, at least one pixel: 1 px at 64 and 128, 2 px at 224


class Mean(NamedTuple):
    """A mean that can be merged: the sum of some values and how many they are."""

    sum: float = 0.0
    count: float = 0.0

    def merge(self, other):
        """The mean over the values of both."""
        return Mean(self.sum + other.sum, self.count + other.count)

    def value(self):
        """The mean itself, not a number where nothing was counted."""
        return self.sum / self.count if self.count else math.nan


def per_example(outputs, targets):
    """`{name: [B]}` for the heads in `outputs` (logits `[B,H,W,1]`) that `targets` has too, in [0, 1]."""
    values = {}
    if "mask" in outputs and "mask" in targets:
        values |= {f"mask/{k}": v for k, v in mask_metrics(jax.nn.sigmoid(outputs["mask"]), targets["mask"]).items()}
    if "depth" in outputs and "depth" in targets:
        values |= {f"depth/{k}": v for k, v in depth_metrics(jax.nn.sigmoid(outputs["depth"]), targets["depth"]).items()}
    return values


def mask_metrics(output, target):
    """The `mask/` metrics of probabilities `[B,H,W,1]` against masks `[B,H,W,1]`."""
    a, b = output >= MASK_THRESHOLD, target >= MASK_THRESHOLD
    predicted, true, both = _count(a), _count(b), _count(a & b)
    soft_both = _sum(output * target)
    near = max(1, round(BOUNDARY_TOLERANCE * math.hypot(*target.shape[1:3])))
    contour_a, contour_b = _contour(a), _contour(b)
    boundary_precision = _quotient(_count(contour_a & _dilate(contour_b, near)), _count(contour_a))
    boundary_recall = _quotient(_count(contour_b & _dilate(contour_a, near)), _count(contour_b))
    only_one = (predicted == 0) ^ (true == 0)  # one contour exists and the other does not: no agreement
    return {
        "iou": _quotient(both, predicted + true - both),
        "iou_soft": _quotient(soft_both, _sum(output) + _sum(target) - soft_both),
        "dice": _quotient(2 * both, predicted + true),
        "precision": jnp.where((predicted == 0) & (true > 0), 0, _quotient(both, predicted)),
        "recall": _quotient(both, true),
        "boundary_f1": jnp.where(
            only_one,
            0,
            _quotient(2 * boundary_precision * boundary_recall, boundary_precision + boundary_recall, empty=0),
        ),
    }


def depth_metrics(output, target):
    """The `depth/` metrics of `[B,H,W,1]` in [0, 1] against `[B,H,W,1]` in [0, 1]. SSIM is left out below 11 px."""
    error = output - target
    x, y = jnp.maximum(output, MIN_DEPTH), jnp.maximum(target, MIN_DEPTH)
    ratio = jnp.maximum(x / y, y / x)
    values = {
        "rmse": jnp.sqrt(_mean(error**2)),
        "mae": _mean(jnp.abs(error)),
        "abs_rel": _mean(jnp.abs(x - y) / y),
        "rmse_log": jnp.sqrt(_mean((jnp.log(x) - jnp.log(y)) ** 2)),
        **{f"delta{i}": _mean((ratio < 1.25**i).astype(output.dtype)) for i in (1, 2, 3)},
    }
    if min(target.shape[1:3]) >= MIN_SIZE:
        values["ssim"] = ssim(output, target)
    return values


def sums(values, valid):
    """`{name: Mean}` of per-example `values`, counting only rows that are `valid` (`[B]` bool)."""
    count = valid.sum()
    return {name: Mean(jnp.where(valid, value, 0).sum(), count) for name, value in values.items()}


def score(name, values):
    """`values[name]`, turned so that higher is better; a loss or an error counts negative."""
    return values[name] if name.split("/")[-1] in HIGHER_IS_BETTER else -values[name]


def _sum(x):
    return x.sum(axis=(1, 2, 3))


def _count(x):
    return x.sum(axis=(1, 2, 3)).astype(jnp.float32)


def _mean(x):
    return x.mean(axis=(1, 2, 3))


def _quotient(numerator, denominator, empty=1):
    """numerator / denominator, and `empty` where the denominator is 0."""
    return jnp.where(denominator > 0, numerator / jnp.where(denominator > 0, denominator, 1), empty)


def _contour(mask):
    """The foreground pixels with a background pixel among their four neighbours; beyond the picture is background."""
    padded = jnp.pad(mask, ((0, 0), (1, 1), (1, 1), (0, 0)))
    inside = padded[:, :-2, 1:-1] & padded[:, 2:, 1:-1] & padded[:, 1:-1, :-2] & padded[:, 1:-1, 2:]
    return mask & ~inside


def _dilate(mask, radius):
    """True within `radius` px (Euclidean) of a True pixel."""
    offsets = range(-radius, radius + 1)
    disc = jnp.asarray([[i * i + j * j <= radius * radius for j in offsets] for i in offsets], jnp.float32)
    near = lax.conv_general_dilated(
        mask.astype(jnp.float32), disc[..., None, None], (1, 1), "SAME", dimension_numbers=("NHWC", "HWIO", "NHWC")
    )
    return near > 0.5
