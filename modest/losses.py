"""The losses, and their weighted sum over both heads.

Every function takes `x` and `target`, `[B,H,W,1]` with targets in [0, 1], and returns one scalar over the whole batch. `bce` takes
logits, the others probabilities; `total` applies the sigmoid. With `axis_name`, the name of a mapped axis, the batch is the global
one: what stands under a square root or in a quotient is reduced over that axis first, so that N devices compute what one does.
"""

import jax
import jax.numpy as jnp
import optax
from jax import lax

from modest import ssim as similarity

RMSE_EPSILON = 1e-6  # under the root, so that a perfect prediction has a finite gradient
DICE_SMOOTH = 1.0  # on both sides of the quotient, so that an empty mask has a value


def bce(logits, target, axis_name=None):
    """Binary cross entropy with logits, the mean over pixels."""
    return _mean(optax.sigmoid_binary_cross_entropy(logits, target), axis_name)


def rmse(output, target, axis_name=None):
    """Root of the mean squared error over all pixels of the batch: sqrt(mean((x - y)^2) + 1e-6)."""
    return jnp.sqrt(_mean(jnp.square(output - target), axis_name) + RMSE_EPSILON)


def dice(output, target, axis_name=None, smooth=DICE_SMOOTH):
    """Dice loss over the whole batch (Milletari et al., "V-Net", 2016): 1 - (2 sum(xy) + s) / (sum(x) + sum(y) + s)."""
    sums = jnp.stack([(output * target).sum(), output.sum() + target.sum()])
    overlap, size = sums if axis_name is None else lax.psum(sums, axis_name)
    return 1 - (2 * overlap + smooth) / (size + smooth)


def ssim(output, target, axis_name=None):
    """1 - mean SSIM of the pictures. At least 11 px."""
    return 1 - _mean(similarity.ssim(output, target), axis_name)


def ms_ssim(output, target, axis_name=None):
    """1 - mean MS-SSIM of the pictures. At least 161 px."""
    return 1 - _mean(similarity.ms_ssim(output, target), axis_name)


LOSSES = {"bce": bce, "rmse": rmse, "dice": dice, "ssim": ssim, "ms_ssim": ms_ssim}
TAKES_LOGITS = {"bce"}


def total(outputs, targets, weights, axis_name=None):
    """The weighted sum of losses, and every term by its name.

    Args:
      outputs: `{"mask", "depth"}` logits; a network without a depth head has only `"mask"`.
      targets: `{"mask", "depth"}` in [0, 1].
      weights: `{head: {loss: weight}}`. A term of weight 0 is not computed; a head without terms is not looked at.
      axis_name: see the module.

    Returns:
      (scalar, `{"mask/bce": ..., ...}`): the terms as they are, before their weights.
    """
    loss, terms = 0.0, {}
    for head, losses in weights.items():
        for name, weight in losses.items():
            if not weight:
                continue
            x = outputs[head] if name in TAKES_LOGITS else jax.nn.sigmoid(outputs[head])
            terms[f"{head}/{name}"] = LOSSES[name](x, targets[head], axis_name)
            loss += weight * terms[f"{head}/{name}"]
    return loss, terms


def _mean(x, axis_name):
    return x.mean() if axis_name is None else lax.pmean(x.mean(), axis_name)
