"""Pooling and upsampling by two, written so that XLA's CPU backend computes them fast.

`python -m benchmarks.layers` measures them against the functions of Flax and JAX that they replace.
Arrays are NHWC.
"""

import functools

import jax
import jax.numpy as jnp
from jax import lax

from modest.kernels.onednn.named_operations import named_operation


@named_operation
def max_pool(x: jax.Array) -> jax.Array:
    """Do 2x2 max-pooling with stride 2: `[B,H,W,C]` -> `[B,H/2,W/2,C]`, H and W even.

    Takes the maximum of two rows and then of two columns. On CPU the gradient of `nn.max_pool`
    (select-and-scatter) is slow. The gradient of a maximum over the whole 2x2 block is slow too,
    because it first counts equal values.
    """
    batch, height, width, channels = x.shape
    rows = x.reshape(batch, height // 2, 2, width, channels)
    rows_max = jnp.maximum(rows[:, :, 0], rows[:, :, 1])
    columns = rows_max.reshape(batch, height // 2, width // 2, 2, channels)
    return jnp.maximum(columns[:, :, :, 0], columns[:, :, :, 1])


@named_operation
def upsample(x: jax.Array) -> jax.Array:
    """Double the size bilinearly: `[B,H,W,C]` -> `[B,2H,2W,C]`; half-pixel centres, clamped edges.

    Equals PyTorch's `interpolate(scale_factor=2, mode="bilinear", align_corners=False)` and
    `jax.image.resize(..., "bilinear")`.
    """
    return _upsample_axis(_upsample_axis(x, 1), 2)


@functools.partial(jax.custom_vjp, nondiff_argnums=(1,))
def _upsample_axis(x, axis):
    """Upsample along one axis.

    Each new value is 3/4 of the old value that is nearest to it (a quarter of a pixel away), plus
    1/4 of the old value on its other side.
    """
    before = jnp.concatenate([_slice(x, 0, 1, axis), _slice(x, 0, -1, axis)], axis)
    after = jnp.concatenate([_slice(x, 1, None, axis), _slice(x, -1, None, axis)], axis)
    pairs = jnp.stack([0.25 * before + 0.75 * x, 0.75 * x + 0.25 * after], axis=axis + 1)
    return pairs.reshape(*x.shape[:axis], 2 * x.shape[axis], *x.shape[axis + 1 :])


def _upsample_axis_forward(x, axis):
    return _upsample_axis(x, axis), None


def _upsample_axis_backward(axis, residuals, g):
    """Return the input gradient in closed form.

    Autodiff would write each shifted slice as a padded copy of the whole feature map.
    """
    pairs = g.reshape(*g.shape[:axis], g.shape[axis] // 2, 2, *g.shape[axis + 1 :])
    even = lax.index_in_dim(pairs, 0, axis + 1, keepdims=False)
    odd = lax.index_in_dim(pairs, 1, axis + 1, keepdims=False)
    from_after = jnp.concatenate([_slice(even, 1, None, axis), _slice(odd, -1, None, axis)], axis)
    from_before = jnp.concatenate([_slice(even, 0, 1, axis), _slice(odd, 0, -1, axis)], axis)
    return (0.75 * (even + odd) + 0.25 * (from_after + from_before),)


_upsample_axis.defvjp(_upsample_axis_forward, _upsample_axis_backward)


def _slice(x, start, stop, axis):
    return lax.slice_in_dim(x, start, stop, axis=axis)
