"""Loss functions, and their weighted sum over the heads of a network.

Each loss takes predictions and targets, both `[B,H,W,1]`, and returns one scalar for the whole
batch. Targets are in [0, 1]. `bce` takes logits; the others take probabilities. `total` applies the
sigmoid where it is needed.

`axis_name` names a mapped axis, such as the axis of `jax.pmap`. With it, the batch is the global
batch of all devices: sums and means are reduced over that axis before a square root or a quotient
is taken, so that N devices compute what one device would.
"""

from collections.abc import Mapping

import jax
import jax.numpy as jnp
import optax
from jax import lax

from modest.ssim import MIN_SIZE, MIN_SIZE_MULTI_SCALE, ms_ssim, ssim
from modest.types import Array

RMSE_EPSILON = 1e-6  # added under the root, so that a perfect prediction has a finite gradient
DICE_SMOOTH = 1.0  # added to numerator and denominator, so that an empty mask has a defined loss


def bce(logits: Array, target: Array, axis_name: str | None = None) -> jax.Array:
    """Return the binary cross-entropy of logits, averaged over pixels."""
    return _mean(optax.sigmoid_binary_cross_entropy(logits, target), axis_name)


def rmse(output: Array, target: Array, axis_name: str | None = None) -> jax.Array:
    """Return the root mean squared error over all pixels: sqrt(mean((x - y)^2) + 1e-6)."""
    return jnp.sqrt(_mean(jnp.square(output - target), axis_name) + RMSE_EPSILON)


def dice_loss(
    output: Array, target: Array, axis_name: str | None = None, smooth: float = DICE_SMOOTH
) -> jax.Array:
    """Return the Dice loss over all pixels: 1 - (2 sum(xy) + s) / (sum(x) + sum(y) + s).

    The loss is defined in Milletari et al., "V-Net" (2016).

    Args:
      output: probabilities `[B,H,W,1]`.
      target: targets `[B,H,W,1]` in [0, 1].
      axis_name: mapped axis to reduce over, see the module.
      smooth: s, added to the numerator and to the denominator.

    Returns:
      A scalar.
    """
    sums = jnp.stack([(output * target).sum(), output.sum() + target.sum()])
    overlap, size = sums if axis_name is None else lax.psum(sums, axis_name)
    return 1 - (2 * overlap + smooth) / (size + smooth)


def ssim_loss(output: Array, target: Array, axis_name: str | None = None) -> jax.Array:
    """Return 1 - mean SSIM. Height and width must be at least 11 px."""
    return 1 - _mean(ssim(output, target), axis_name)


def ms_ssim_loss(output: Array, target: Array, axis_name: str | None = None) -> jax.Array:
    """Return 1 - mean MS-SSIM. Height and width must be at least 161 px."""
    return 1 - _mean(ms_ssim(output, target), axis_name)


LOSSES = {"bce": bce, "rmse": rmse, "dice": dice_loss, "ssim": ssim_loss, "ms_ssim": ms_ssim_loss}
TAKES_LOGITS = {"bce"}

# Smallest picture size in px of losses that use a window.
MIN_SIZES = {"ssim": MIN_SIZE, "ms_ssim": MIN_SIZE_MULTI_SCALE}


def total(
    outputs: Mapping[str, Array],
    targets: Mapping[str, Array],
    weights: Mapping[str, Mapping[str, float]],
    axis_name: str | None = None,
) -> tuple[jax.Array | float, dict[str, jax.Array]]:
    """Return the weighted sum of the losses, and each of its terms.

    Args:
      outputs: logits by head, `mask` and `depth`. A network without a depth head has only `mask`.
      targets: targets by head, in [0, 1].
      weights: `{head: {loss: weight}}`. A loss with weight 0 is not computed. A head whose weights
        are all 0 may be missing from `outputs` and `targets`.
      axis_name: mapped axis to reduce over, see the module.

    Returns:
      The sum, a scalar (0.0 if every weight is 0), and the terms before weighting, such as
      `{"mask/bce": ...}`.
    """
    loss: jax.Array | float = 0.0
    terms: dict[str, jax.Array] = {}
    for head, head_weights in weights.items():
        for name, weight in head_weights.items():
            if not weight:
                continue
            x = outputs[head] if name in TAKES_LOGITS else jax.nn.sigmoid(outputs[head])
            terms[f"{head}/{name}"] = LOSSES[name](x, targets[head], axis_name)
            loss += weight * terms[f"{head}/{name}"]
    return loss, terms


def _mean(x, axis_name):
    return x.mean() if axis_name is None else lax.pmean(x.mean(), axis_name)
