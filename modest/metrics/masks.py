"""The metrics of masks. The docstring of the package defines them."""

import jax
import jax.numpy as jnp
import numpy as np

from modest.constants import MASK_THRESHOLD
from modest.metrics import pixels
from modest.metrics.pixels import count, quotient, total
from modest.types import Array

# Shares of the picture's diagonal. The tolerance is 1 px at sizes 64 and 128, 2 px at 224; the edge
# is 2 px at 64, 5 px at 160, 6 px at 224.
BOUNDARY_TOLERANCE = 0.0075
BOUNDARY_WIDTH = 0.02
GRADIENT_SIGMA = 1.4  # px
GRADIENT_RADIUS = 4  # px, where the Gaussian has fallen below a hundredth
BINS = 20  # of probability, from 0 to 1


def mask_metrics(output: Array, target: Array) -> dict[str, jax.Array]:
    """Return the mask metrics of every evaluation, without the prefix `mask/`.

    Args:
      output: probabilities `[B,H,W,1]`.
      target: masks `[B,H,W,1]` in [0, 1].

    Returns:
      `{name: [B]}`.
    """
    a, b = output >= MASK_THRESHOLD, target >= MASK_THRESHOLD
    predicted, true, both = count(a), count(b), count(a & b)
    soft_both = total(output * target)
    tolerance = pixels.radius(BOUNDARY_TOLERANCE, target)
    contour_a, contour_b = pixels.contour(a), pixels.contour(b)
    matched_a = contour_a & pixels.dilate(contour_b, tolerance)
    boundary_precision = quotient(count(matched_a), count(contour_a))
    matched_b = contour_b & pixels.dilate(contour_a, tolerance)
    boundary_recall = quotient(count(matched_b), count(contour_b))
    # If only one of the masks has a contour, the score is 0.
    one_is_empty = (predicted == 0) ^ (true == 0)
    return {
        "iou": quotient(both, predicted + true - both),
        "iou_soft": quotient(soft_both, total(output) + total(target) - soft_both),
        "dice": quotient(2 * both, predicted + true),
        "precision": jnp.where((predicted == 0) & (true > 0), 0, quotient(both, predicted)),
        "recall": quotient(both, true),
        "boundary_f1": jnp.where(
            one_is_empty,
            0,
            quotient(
                2 * boundary_precision * boundary_recall,
                boundary_precision + boundary_recall,
                empty=0,
            ),
        ),
    }


def further_mask_metrics(output: Array, target: Array) -> dict[str, jax.Array]:
    """Return the mask metrics of the final evaluation that `mask_metrics` has not.

    Args:
      output: probabilities `[B,H,W,1]`.
      target: masks `[B,H,W,1]`, 0 or 1.

    Returns:
      `{name: [B]}`, without the prefix `mask/`.
    """
    width = pixels.radius(BOUNDARY_WIDTH, target)
    a, b = (pixels.inner_edge(x >= MASK_THRESHOLD, width) for x in (output, target))
    steepness_error = _steepness(output) - _steepness(target)
    return {
        "boundary_iou": quotient(count(a & b), count(a | b)),
        "mad": pixels.mean(jnp.abs(output - target)),
        "mse": pixels.mean((output - target) ** 2),
        "gradient": total(steepness_error**2) / 1000,
    }


def above_thresholds(output: Array, target: Array) -> jax.Array:
    """Count the pixels whose probability is at least 0, 1/20, ..., 19/20.

    `thresholds.py` computes from it how good other thresholds are, and how well probabilities are
    calibrated.

    Args:
      output: probabilities `[B,H,W,1]`.
      target: masks `[B,H,W,1]`, 0 or 1.

    Returns:
      `[B,20,3]`: the number of these pixels in the foreground and in the background of the target,
      and the sum of their probabilities.
    """

    # By NumPy, because XLA divides by a constant less exactly.
    thresholds = np.arange(BINS, dtype=output.dtype) / BINS

    def of_example(maps: tuple[Array, Array]) -> jax.Array:
        x, y = (map_.ravel() for map_ in maps)
        above = (x[None] >= thresholds[:, None]).astype(x.dtype)
        return jnp.matmul(above, jnp.stack([y, 1 - y, x], axis=1), precision="highest")

    return jax.lax.map(of_example, (output, target))  # one at a time: each has 20 maps


def _steepness(x):
    """Return the norm of the gradient, by derivatives of a Gaussian whose squares sum to 1.

    The picture is continued by its edge pixels.
    """
    offsets = jnp.arange(-GRADIENT_RADIUS, GRADIENT_RADIUS + 1, dtype=x.dtype)
    smooth = jnp.exp(-(offsets**2) / (2 * GRADIENT_SIGMA**2))
    slope = smooth * offsets
    smooth, slope = (taps / jnp.sqrt((taps**2).sum()) for taps in (smooth, slope))
    vertical = _filter(_filter(x, slope, 1), smooth, 2)
    horizontal = _filter(_filter(x, smooth, 1), slope, 2)
    return jnp.sqrt(vertical**2 + horizontal**2)


def _filter(x, taps, axis):
    """Correlate along an axis, with edge pixels repeated outside."""
    margin = [(0, 0)] * x.ndim
    margin[axis] = (len(taps) // 2, len(taps) // 2)
    padded, size = jnp.pad(x, margin, mode="edge"), x.shape[axis]
    return sum(
        taps[i] * jax.lax.slice_in_dim(padded, i, i + size, axis=axis) for i in range(len(taps))
    )
