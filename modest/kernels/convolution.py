"""Convolution and its gradients, and the choice of how they are computed.

Arrays are NHWC (batch, height, width, channels), kernels are HWIO. All ways give the same results
to rounding. A 1x1 convolution is a matrix product. On GPU and TPU, other convolutions are
lax.conv_general_dilated. On CPU, a 3x3 convolution is computed in the fastest way: by oneDNN for
float32 if it is available, otherwise by XLA. `python -m benchmarks.layers` measures the choices
against lax.conv_general_dilated.
"""

import contextlib
from collections.abc import Iterator
from typing import Any

import flax.linen as nn
import jax

from modest.kernels import xla
from modest.kernels.onednn import custom_call, ffi
from modest.kernels.onednn.named_operations import named_operation

_xla_only = False


@contextlib.contextmanager
def xla_only() -> Iterator[None]:
    """Use only lax.conv_general_dilated in functions that are traced inside the block.

    For comparisons, and to count floating-point operations in the usual way.
    """
    global _xla_only
    before, _xla_only = _xla_only, True
    try:
        yield
    finally:
        _xla_only = before


@named_operation
def conv(x: jax.Array, kernel: jax.Array) -> jax.Array:
    """Compute a zero-padded convolution that keeps the size.

    Args:
      x: `[B,H,W,I]`, float.
      kernel: `[k,k,I,O]`, k odd, of the dtype of `x`.

    Returns:
      `[B,H,W,O]`, of the dtype of `x`.
    """
    size = kernel.shape[0]
    if size == 1:
        return x @ kernel[0, 0]
    if _xla_only or jax.default_backend() != "cpu" or size != 3:
        return xla.conv(x, kernel)
    return _conv_3x3(x, kernel)


@named_operation
def conv_relu(x: jax.Array, kernel: jax.Array, bias: jax.Array) -> jax.Array:
    """Return `relu(conv(x, kernel) + bias)`, for prediction; fused into one pass where possible.

    Args:
      x: `[B,H,W,I]`, float.
      kernel: `[k,k,I,O]`, k odd, of the dtype of `x`.
      bias: `[O]`, of the dtype of `x`.

    Returns:
      `[B,H,W,O]`, of the dtype of `x`.
    """
    if _xla_only or not custom_call.supports(x) or ffi.winograd_is_faster(x, kernel):
        return _unfused_conv_relu(x, kernel, bias)
    return _fused_conv_relu(x, kernel, bias)


def _unfused_conv_relu(x, kernel, bias):
    return nn.relu(conv(x, kernel) + bias.reshape(1, 1, 1, -1))


@jax.custom_vjp
def _fused_conv_relu(x: Any, kernel: Any, bias: Any) -> jax.Array:
    return custom_call.conv(x, kernel, bias, relu=True)


def _fused_conv_relu_forward(x, kernel, bias):
    """Compute the value for differentiation, without fusion: the fused call has no gradient."""
    return jax.vjp(_unfused_conv_relu, x, kernel, bias)


def _fused_conv_relu_backward(backward, g):
    return backward(g)


_fused_conv_relu.defvjp(_fused_conv_relu_forward, _fused_conv_relu_backward)


@jax.custom_vjp
def _conv_3x3(x: Any, kernel: Any) -> jax.Array:
    """Compute `conv` with a 3x3 kernel on CPU.

    The first that applies of: Winograd by oneDNN's shared library, where it is faster; the oneDNN
    inside jaxlib, which uses XLA's threads; oneDNN's shared library; XLA.
    """
    if ffi.winograd_is_faster(x, kernel):
        return ffi.conv(x, kernel)
    if custom_call.supports(x):
        return custom_call.conv(x, kernel)
    if ffi.supports(x):
        return ffi.conv(x, kernel)
    return xla.conv_3x3_on_cpu(x, kernel)


def _conv_3x3_forward(x, kernel):
    return _conv_3x3(x, kernel), (x, kernel)


def _conv_3x3_backward(residuals, g):
    """Return the input gradient and the weight gradient, by oneDNN or else by XLA."""
    x, kernel = residuals
    if ffi.supports(x):
        return ffi.input_gradient(g, kernel), ffi.weight_gradient(x, g, kernel.shape[:2])
    weight_gradient = xla.weight_gradient_3x3_on_cpu(x, g, kernel)
    return _conv_3x3(g, kernel[::-1, ::-1].swapaxes(2, 3)), weight_gradient


_conv_3x3.defvjp(_conv_3x3_forward, _conv_3x3_backward)
