"""Convolution and its gradients, and the choice of how they are computed.

Arrays are NHWC (batch, height, width, channels), kernels are HWIO. All ways give the same results
to rounding. A 1x1 convolution is a matrix product. On GPU and TPU, other convolutions are
lax.conv_general_dilated. On CPU, a 3x3 convolution is computed by oneDNN for float32, if
`selection.uses_onednn_within_xla`, and otherwise by XLA. The choice by platform is part of the
program, so that a network traced on a machine with a GPU also runs on a CPU.
`python -m benchmarks.layers` measures the choices against lax.conv_general_dilated.
"""

from collections.abc import Callable
from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp
from jax import lax

from modest.kernels import selection, xla
from modest.kernels.onednn import ffi
from modest.kernels.onednn.named_operations import named_operation


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
    return _conv_3x3(x, kernel) if size == 3 else xla.conv(x, kernel)


@named_operation
def conv_relu(x: jax.Array, kernel: jax.Array, bias: jax.Array) -> jax.Array:
    """Return `relu(conv(x, kernel) + bias)`. `compile` makes one operation of it.

    Args:
      x: `[B,H,W,I]`, float.
      kernel: `[k,k,I,O]`, k odd, of the dtype of `x`.
      bias: `[O]`, of the dtype of `x`.

    Returns:
      `[B,H,W,O]`, of the dtype of `x`.
    """
    return nn.relu(conv(x, kernel) + bias.reshape(1, 1, 1, -1))


@jax.custom_vjp
def _conv_3x3(x: Any, kernel: Any) -> jax.Array:
    def on_cpu(x, kernel):
        return _by_onednn_or_xla(ffi.conv, xla.conv_3x3_on_cpu, x, kernel)

    return lax.platform_dependent(x, kernel, cpu=on_cpu, default=xla.conv_on_gpu)


def _conv_3x3_forward(x, kernel):
    return _conv_3x3(x, kernel), (x, kernel)


def _conv_3x3_backward(residuals, g):
    """Return the input gradient and the weight gradient."""

    def on_cpu(x, kernel, g):
        return (
            _by_onednn_or_xla(ffi.input_gradient, xla.input_gradient_3x3_on_cpu, g, kernel),
            _by_onednn_or_xla(ffi.weight_gradient_3x3, xla.weight_gradient_3x3_on_cpu, x, g),
        )

    def elsewhere(x, kernel, g):
        return jax.vjp(xla.conv_on_gpu, x, kernel)[1](g)

    return lax.platform_dependent(*residuals, g, cpu=on_cpu, default=elsewhere)


_conv_3x3.defvjp(_conv_3x3_forward, _conv_3x3_backward)


def _by_onednn_or_xla(
    by_onednn: Callable[..., jax.Array], by_xla: Callable[..., jax.Array], *arrays: jax.Array
) -> jax.Array:
    """Call the first of two functions that can be used; both compute the same."""
    is_float32 = all(x.dtype == jnp.float32 and x.size for x in arrays)
    if is_float32 and selection.uses_onednn_within_xla():
        try:
            return by_onednn(*arrays)
        except Exception as error:  # whatever prevents it is no reason to stop
            selection.log_fallback(f"{by_onednn.__name__}: {error}")
    return by_xla(*arrays)
