"""The convolution of every layer, and on a CPU the ways of doing it that are faster there than XLA's own.

Every array is NHWC (batch, height, width, channels), kernels are HWIO. All ways give the same numbers to rounding. A GPU or a TPU
always gets the library's call. `python -m benchmarks.layers` measures each way against that call.
"""

import contextlib
import contextvars
import functools

import flax.linen as nn
import jax
import jax.numpy as jnp
from jax import lax

from modest.models import calls, onednn

SMALL_COPY = 250_000  # numbers in a map of which a few copies fit a processor's cache

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


_kept_whole = contextvars.ContextVar("kept_whole", default=False)  # threads trace beside each other


@contextlib.contextmanager
def kept_whole():
    """What is traced in here has each operation marked by `whole` as one equation, `modest_` and its name."""
    before = _kept_whole.set(True)
    try:
        yield
    finally:
        _kept_whole.reset(before)


def whole(function):
    """Marks an operation that `kept_whole` leaves whole."""

    @functools.wraps(function)
    def call(*arguments):
        if not _kept_whole.get():
            return function(*arguments)
        alone = lambda *arguments: function(*arguments)  # a new one, which JAX has no trace of
        alone.__name__ = f"modest_{function.__name__}"
        return jax.jit(alone)(*arguments)

    return call


@whole
def conv(x, kernel):
    """Convolution with zero padding that keeps the size: `[B,H,W,I]`, `[k,k,I,O]` with odd k -> `[B,H,W,O]`."""
    size = kernel.shape[0]
    if size == 1:
        return x @ kernel[0, 0]
    if _by_library or jax.default_backend() != "cpu" or size != 3:
        return _library(x, kernel)
    return _conv_3x3(x, kernel)


@whole
def conv_relu(x, kernel, bias):
    """`relu(conv(x, kernel) + bias)`, for prediction: in one pass over the result where that can be done."""
    if _by_library or not onednn.suits(x) or calls.suits_conv(x, kernel):
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
    """`conv` 3x3: oneDNN's where it can be had, by its library where that gains or where jaxlib's cannot be; or XLA's."""
    if calls.suits_conv(x, kernel):
        return calls.conv(x, kernel)
    if onednn.suits(x):
        return onednn.conv(x, kernel)
    if calls.suits(x):
        return calls.conv(x, kernel)
    if x.shape[1] * x.shape[2] <= 4:  # XLA takes 100 times as long over a map this small
        return _as_products(x, kernel)
    return _library(x, kernel)


def _conv_3x3_forward(x, kernel):
    return _conv_3x3(x, kernel), (x, kernel)


def _conv_3x3_backward(residuals, g):
    """oneDNN's, or, by `x`, the convolution with the turned kernel, and by the kernel as `_by_kernel` says, or XLA's."""
    x, kernel = residuals
    if calls.suits(x):
        return calls.by_map(g, kernel), calls.by_kernel(x, g, kernel.shape[:2])
    if len(x) < 8:  # XLA goes by 8 numbers at a time over the examples of a batch: slowly where there are fewer
        by_kernel = _by_kernel(x, g)
    else:
        (by_kernel,) = jax.linear_transpose(lambda kernel: _library(x, kernel), kernel)(g)
    return _conv_3x3(g, kernel[::-1, ::-1].swapaxes(2, 3)), by_kernel


_conv_3x3.defvjp(_conv_3x3_forward, _conv_3x3_backward)


def _library(x, kernel):
    return lax.conv_general_dilated(x, kernel, (1, 1), "SAME", dimension_numbers=("NHWC", "HWIO", "NHWC"))


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
