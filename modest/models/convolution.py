"""The convolution of every layer, and on a CPU the ways of doing it that are faster there than XLA's own.

Every array is NHWC (batch, height, width, channels), kernels are HWIO. All ways give the same numbers to rounding. A GPU or a TPU
always gets the library's call. `python -m benchmarks.layers` measures each way against that call.
"""

import contextlib

import flax.linen as nn
import jax
import jax.numpy as jnp
from jax import lax

from modest.models import libdnnl, onednn

SMALL_COPY = 250_000  # numbers in a map of which a few copies fit a processor's cache

# Winograd's F(4, 3): four results of a filter of three taps from six inputs and six products, in place of twelve. The matrices are
# those of Lavin and Gray, "Fast Algorithms for Convolutional Neural Networks", 2016: of the inputs, the taps and the products.
OF_INPUTS = (
    (4, 0, -5, 0, 1, 0),
    (0, -4, -4, 1, 1, 0),
    (0, 4, -4, -1, 1, 0),
    (0, -2, -1, 2, 1, 0),
    (0, 2, -1, -2, 1, 0),
    (0, 4, 0, -5, 0, 1),
)
OF_TAPS = (
    (1 / 4, 0, 0),
    (-1 / 6, -1 / 6, -1 / 6),
    (-1 / 6, 1 / 6, -1 / 6),
    (1 / 24, 1 / 12, 1 / 6),
    (1 / 24, -1 / 12, 1 / 6),
    (0, 0, 1),
)
OF_PRODUCTS = ((1, 1, 1, 1, 1, 0), (0, 1, -1, 2, -2, 0), (0, 1, 1, 4, 4, 0), (0, 1, -1, 8, -8, 1))

_by_library = False


@contextlib.contextmanager
def by_library():
    """What is traced in here makes the library's calls alone: to compare with, and to count operations as everybody does."""
    global _by_library
    before, _by_library = _by_library, True
    try:
        yield
    finally:
        _by_library = before


def conv(x, kernel):
    """Convolution with zero padding that keeps the size: `[B,H,W,I]`, `[k,k,I,O]` with odd k -> `[B,H,W,O]`."""
    size = kernel.shape[0]
    if size == 1:
        return x @ kernel[0, 0]
    if _by_library or jax.default_backend() != "cpu" or size != 3:
        return _library(x, kernel)
    return _conv_3x3(x, kernel)


def conv_relu(x, kernel, bias):
    """`relu(conv(x, kernel) + bias)`, for prediction: in one pass over the result where that can be done."""
    if _by_library or not onednn.suits(x) or _suits_winograd(x, kernel):
        return _in_steps(x, kernel, bias)
    return _conv_relu(x, kernel, bias)


def _in_steps(x, kernel, bias):
    return nn.relu(conv(x, kernel) + bias.reshape(1, 1, 1, -1))


@jax.custom_vjp
def _conv_relu(x, kernel, bias):
    return onednn.conv(x, kernel, bias, relu=True)


# The gradient, should anybody want it, of the same in steps.
_conv_relu.defvjp(lambda *arguments: jax.vjp(_in_steps, *arguments), lambda backward, g: backward(g))


@jax.custom_vjp
def _conv_3x3(x, kernel):
    """`conv` 3x3, where no gradient is asked for. In training, where Winograd's way gains nothing, the next two stand for it."""
    return _winograd(x, kernel) if _suits_winograd(x, kernel) else _directly(x, kernel)


def _conv_3x3_forward(x, kernel):
    return _directly(x, kernel), (x, kernel)


def _conv_3x3_backward(residuals, g):
    """By `x`: the convolution with the turned kernel. By the kernel: oneDNN's, or as `_by_kernel` says, or XLA's."""
    x, kernel = residuals
    if libdnnl.suits(x):
        by_kernel = libdnnl.by_kernel(x, g, kernel.shape[:2])
    elif len(x) < 8:  # XLA goes by 8 numbers at a time over the examples of a batch: slowly where there are fewer
        by_kernel = _by_kernel(x, g)
    else:
        (by_kernel,) = jax.linear_transpose(lambda kernel: _library(x, kernel), kernel)(g)
    return _directly(g, kernel[::-1, ::-1].swapaxes(2, 3)), by_kernel


_conv_3x3.defvjp(_conv_3x3_forward, _conv_3x3_backward)


def _directly(x, kernel):
    if onednn.suits(x):
        return onednn.conv(x, kernel)
    if kernel.shape[0] == 3 and x.shape[1] * x.shape[2] <= 4:  # XLA takes 100 times as long over a map this small
        return _as_products(x, kernel)
    return _library(x, kernel)


def _library(x, kernel):
    return lax.conv_general_dilated(x, kernel, (1, 1), "SAME", dimension_numbers=("NHWC", "HWIO", "NHWC"))


def _suits_winograd(x, kernel):
    """Whether there are channels enough to outweigh sums over maps, and pixels enough, of several examples, to outweigh those over
    kernels."""
    pixels = x.size // x.shape[-1]
    return onednn.suits(x) and len(x) > 1 and min(kernel.shape[2:]) >= 64 and pixels >= 16 * max(kernel.shape[2:])


def _winograd(x, kernel):
    """F(4, 3) along the height: six 1x3 convolutions of maps a quarter as high, half the multiplications. Along both axes it would
    be a quarter of them, but the sums over maps then cost more than that saves."""
    batch, height, width, _ = x.shape
    fours = -(-height // 4)
    padded = jnp.pad(x, ((0, 0), (1, 4 * fours - height + 3), (0, 0), (0, 0))).reshape(batch, fours + 1, 4, width, -1)
    rows = [padded[:, :-1, i] for i in range(4)] + [padded[:, 1:, i] for i in range(2)]
    maps_and_kernels = zip(_combine(OF_INPUTS, rows), _combine(OF_TAPS, kernel))
    products = [_directly(rows, taps[None]) for rows, taps in maps_and_kernels]
    y = jnp.stack(_combine(OF_PRODUCTS, products), axis=2)
    return y.reshape(batch, 4 * fours, width, -1)[:, :height]


def _combine(matrix, arrays):
    """For each row of a matrix, the sum of the arrays by its numbers."""
    return [sum(factor * array for factor, array in zip(row, arrays) if factor) for row in matrix]


def _as_products(x, kernel):
    """`conv` as one matrix product for each tap of the kernel, summed."""
    _, height, width, _ = x.shape
    padded = jnp.pad(x, ((0, 0), (1, 1), (1, 1), (0, 0)))
    return sum(padded[:, i : i + height, j : j + width] @ kernel[i, j] for i in range(3) for j in range(3))


def _by_kernel(x, g):
    """The gradient of tap (i, j) is the sum over pixels of `g`, moved up by i - 1 rows, times `x`, moved left by j - 1 columns.

    So one matrix product of three copies of `x` with three of `g` gives all nine; of one example after the other where the copies
    would not fit the cache.
    """

    def products(x, g):
        columns = jnp.concatenate(_shifts(x, axis=2), axis=-1)
        rows = jnp.concatenate(_shifts(g, axis=1)[::-1], axis=-1)
        return jnp.einsum("bhwi,bhwo->io", columns, rows)

    if x.size <= SMALL_COPY:
        taps = products(x, g)
    else:
        taps = lax.map(lambda example: products(*example), (x[:, None], g[:, None])).sum(axis=0)
    return taps.reshape(3, x.shape[-1], 3, g.shape[-1]).transpose(2, 0, 1, 3)


def _shifts(x, axis):
    """`x` moved forward by one along an axis, as it is, and moved back by one; zeros come in."""
    length = x.shape[axis]
    padded = jnp.pad(x, [(1, 1) if i == axis else (0, 0) for i in range(x.ndim)])
    return [lax.slice_in_dim(padded, start, start + length, axis=axis) for start in range(3)]
