"""Convolutions and their weight gradients computed by XLA.

Arrays are NHWC, kernels HWIO. XLA's CPU backend is slow for some shapes of lax.conv_general_dilated
and of its weight gradient; those are written here with operations that it compiles well.
"""

import jax
import jax.numpy as jnp
from jax import lax

# Input channels of a convolution on a GPU are filled up with zeros to a multiple of this; 1: they
# are left as they are. XLA itself does so only for float16, to use tensor cores.
# `python -m benchmarks.gpu` compares 1 with 8.
GPU_CHANNELS = 1
VALUES_IN_CACHE = 250_000  # the cache of a CPU holds a few copies of this many float32 values


def conv(x: jax.Array, kernel: jax.Array) -> jax.Array:
    """Compute a zero-padded convolution that keeps the size, by lax.conv_general_dilated.

    Args:
      x: `[B,H,W,I]`, float.
      kernel: `[k,l,I,O]`, k and l odd, of the dtype of `x`.

    Returns:
      `[B,H,W,O]`, of the dtype of `x`.
    """
    axes = ("NHWC", "HWIO", "NHWC")
    return lax.conv_general_dilated(x, kernel, (1, 1), "SAME", dimension_numbers=axes)


def conv_on_gpu(x: jax.Array, kernel: jax.Array) -> jax.Array:
    """Compute `conv`, with the input channels filled up to a multiple of `GPU_CHANNELS`."""
    missing = -x.shape[-1] % GPU_CHANNELS
    if missing:
        x = jnp.pad(x, ((0, 0), (0, 0), (0, 0), (0, missing)))
        kernel = jnp.pad(kernel, ((0, 0), (0, 0), (0, missing), (0, 0)))
    return conv(x, kernel)


def conv_3x3_on_cpu(x: jax.Array, kernel: jax.Array) -> jax.Array:
    """Compute `conv` with a 3x3 kernel as fast as XLA can on CPU."""
    if x.shape[1] * x.shape[2] <= 4:  # lax.conv_general_dilated is 100 times slower for these
        return _conv_by_matmuls(x, kernel)
    return conv(x, kernel)


def input_gradient_3x3_on_cpu(g: jax.Array, kernel: jax.Array) -> jax.Array:
    """Return the input gradient of a 3x3 convolution for an output cotangent.

    Args:
      g: output cotangent, `[B,H,W,O]`.
      kernel: `[3,3,I,O]`.

    Returns:
      `[B,H,W,I]`.
    """
    return conv_3x3_on_cpu(g, kernel[::-1, ::-1].swapaxes(2, 3))


def weight_gradient_3x3_on_cpu(x: jax.Array, g: jax.Array) -> jax.Array:
    """Return the weight gradient of a 3x3 convolution for an output cotangent.

    Args:
      x: input of the convolution, `[B,H,W,I]`.
      g: output cotangent, `[B,H,W,O]`.

    Returns:
      `[3,3,I,O]`.
    """
    if len(x) < 8:  # XLA vectorises over the batch, 8 examples at a time; fewer are slow
        return _weight_gradient_by_shifts(x, g)

    def conv_of_x(kernel):
        return conv(x, kernel)

    kernel = jax.ShapeDtypeStruct((3, 3, x.shape[3], g.shape[3]), x.dtype)
    (gradient,) = jax.linear_transpose(conv_of_x, kernel)(g)
    return gradient


def _conv_by_matmuls(x, kernel):
    """Compute a 3x3 convolution as the sum of one matrix product for each tap of the kernel."""
    _, height, width, _ = x.shape
    padded = jnp.pad(x, ((0, 0), (1, 1), (1, 1), (0, 0)))
    taps = [(i, j) for i in range(3) for j in range(3)]
    return sum(padded[:, i : i + height, j : j + width] @ kernel[i, j] for i, j in taps)


def _weight_gradient_by_shifts(x, g):
    """Compute the weight gradient from shifted copies of `x` and `g`.

    The gradient of tap (i, j) is the sum over pixels of `g` shifted up by i - 1 rows times `x`
    shifted left by j - 1 columns. So one matrix product of three copies of `x` with three of `g`
    gives all nine taps. If the copies would not fit into the cache, examples are processed one by
    one.
    """
    if x.size <= VALUES_IN_CACHE:
        taps = _products_of_shifts((x, g))
    else:
        taps = lax.map(_products_of_shifts, (x[:, None], g[:, None])).sum(axis=0)
    return taps.reshape(3, x.shape[-1], 3, g.shape[-1]).transpose(2, 0, 1, 3)


def _products_of_shifts(x_and_g):
    """Return the sum over pixels of the products of all shifts: `[3*I,3*O]`."""
    x, g = x_and_g
    columns = jnp.concatenate(_shifts(x, axis=2), axis=-1)
    rows = jnp.concatenate(_shifts(g, axis=1)[::-1], axis=-1)
    return jnp.einsum("bhwi,bhwo->io", columns, rows)


def _shifts(x, axis):
    """Return `x` shifted by one to higher indices, unshifted, and shifted by one to lower ones.

    Zeros are shifted in.
    """
    length = x.shape[axis]
    padded = jnp.pad(x, [(1, 1) if i == axis else (0, 0) for i in range(x.ndim)])
    return [lax.slice_in_dim(padded, start, start + length, axis=axis) for start in range(3)]
