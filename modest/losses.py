"""Loss functions, and their weighted sum over the heads of a network.

Each loss takes predictions and targets, both `[B,H,W,1]`, and returns one scalar for the whole
batch. Targets are in [0, 1]. `bce` takes logits; the others take probabilities. `total` applies the
sigmoid where it is needed.

`axis_name` names a mapped axis, such as the axis of `jax.pmap`. With it, the batch is the global
batch of all devices: sums and means are reduced over that axis before a square root or a quotient
is taken, so that N devices compute what one device would.

`valid` is 1 where the target is known and 0 where it is not, `[B,H,W,1]`; None if it is known
everywhere. Unknown pixels are left out. SSIM cannot leave out pixels of a window; there they count
as predicted correctly.
"""

from collections.abc import Callable, Mapping

import jax
import jax.numpy as jnp
import optax
from jax import lax

from modest.ssim import MIN_SIZE, MIN_SIZE_MULTI_SCALE, ms_ssim, ssim
from modest.types import Array

RMSE_EPSILON = 1e-6  # added under the root, so that a perfect prediction has a finite gradient
DICE_SMOOTH = 1.0  # added to numerator and denominator, so that an empty mask has a defined loss


def bce(
    logits: Array, target: Array, axis_name: str | None = None, valid: Array | None = None
) -> jax.Array:
    """Return the binary cross-entropy of logits, averaged over pixels."""
    return _mean(optax.sigmoid_binary_cross_entropy(logits, target), axis_name, valid)


def rmse(
    output: Array, target: Array, axis_name: str | None = None, valid: Array | None = None
) -> jax.Array:
    """Return the root mean squared error over all pixels: sqrt(mean((x - y)^2) + 1e-6)."""
    return jnp.sqrt(_mean(jnp.square(output - target), axis_name, valid) + RMSE_EPSILON)


def dice_loss(
    output: Array,
    target: Array,
    axis_name: str | None = None,
    smooth: float = DICE_SMOOTH,
    valid: Array | None = None,
) -> jax.Array:
    """Return the Dice loss over all pixels: 1 - (2 sum(xy) + s) / (sum(x) + sum(y) + s).

    The loss is defined in Milletari et al., "V-Net" (2016).

    Args:
      output: probabilities `[B,H,W,1]`.
      target: targets `[B,H,W,1]` in [0, 1].
      axis_name: mapped axis to reduce over, see the module.
      smooth: s, added to the numerator and to the denominator.
      valid: see the module.

    Returns:
      A scalar.
    """
    if valid is not None:
        output, target = output * valid, target * valid
    sums = jnp.stack([(output * target).sum(), output.sum() + target.sum()])
    overlap, size = sums if axis_name is None else lax.psum(sums, axis_name)
    return 1 - (2 * overlap + smooth) / (size + smooth)


def ssim_loss(
    output: Array, target: Array, axis_name: str | None = None, valid: Array | None = None
) -> jax.Array:
    """Return 1 - mean SSIM. Height and width must be at least 11 px."""
    return 1 - _mean(ssim(output, filled(target, output, valid)), axis_name)


def ms_ssim_loss(
    output: Array, target: Array, axis_name: str | None = None, valid: Array | None = None
) -> jax.Array:
    """Return 1 - mean MS-SSIM. Height and width must be at least 161 px."""
    return 1 - _mean(ms_ssim(output, filled(target, output, valid)), axis_name)


def filled(target: Array, output: Array, valid: Array | None) -> Array:
    """Return the target, with the output where the target is unknown."""
    if valid is None:
        return target
    return jnp.where(valid > 0, target, lax.stop_gradient(output))


Loss = Callable[..., jax.Array]

LOSSES: dict[str, Loss] = {
    "bce": bce,
    "rmse": rmse,
    "dice": dice_loss,
    "ssim": ssim_loss,
    "ms_ssim": ms_ssim_loss,
}
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
      targets: targets by head, in [0, 1]. `<head>_valid` is the argument `valid` of its losses.
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
        known = {"valid": targets[f"{head}_valid"]} if f"{head}_valid" in targets else {}
        for name, weight in head_weights.items():
            if not weight:
                continue
            x = outputs[head] if name in TAKES_LOGITS else jax.nn.sigmoid(outputs[head])
            terms[f"{head}/{name}"] = LOSSES[name](x, targets[head], axis_name, **known)
            loss += weight * terms[f"{head}/{name}"]
    return loss, terms


def _mean(x, axis_name, valid=None):
    if valid is not None:
        sums = jnp.stack([(x * valid).sum(), valid.sum()])
        total, number = sums if axis_name is None else lax.psum(sums, axis_name)
        return total / jnp.maximum(number, 1)
    return x.mean() if axis_name is None else lax.pmean(x.mean(), axis_name)
