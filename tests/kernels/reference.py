"""The convolution of JAX, with which those of the package are compared."""

import jax


def reference_conv(x, kernel):
    """Return the convolution of `x`, `[B,H,W,C]`, with a kernel `[h,w,C,D]`, of the same size."""
    axes = ("NHWC", "HWIO", "NHWC")
    return jax.lax.conv_general_dilated(x, kernel, (1, 1), "SAME", dimension_numbers=axes)
