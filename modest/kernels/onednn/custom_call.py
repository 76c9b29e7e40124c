"""Direct convolutions by the oneDNN that is built into jaxlib.

oneDNN (github.com/uxlfoundation/oneDNN, Apache 2.0) is also what PyTorch uses for convolutions on
CPU. XLA's CPU backend can run it as the custom call `__onednn$convolution`, but does not choose it
by itself. XLA's `onednn_config.proto` defines the configuration of the call, passed as JSON.

This is not a public interface of XLA: fields may change their meaning, and oneDNN aborts the
process on an impossible configuration. So the call is made only with tested versions of jaxlib
(`tests/kernels/test_onednn_custom_call.py`).
"""

import json
import platform
import sys

import jax
import jax.numpy as jnp
import jaxlib

TESTED_JAXLIB = ("0.10.0", "0.10.1", "0.10.2")
NHWC = {"dims": 4, "data": {"batch_dim": 0, "feature_dim": 3, "spatial_dims": [1, 2]}}
HWIO = {
    "dims": 4,
    "filter": {"spatial_dims": [0, 1], "input_feature_dim": 2, "output_feature_dim": 3},
}


def available() -> bool:
    """Return whether JAX runs on CPU with a tested jaxlib that has oneDNN built in.

    The result is False if JAX's compilation cache is on: XLA cannot serialise an executable that
    contains this call, and corrupts memory when it tries.
    """
    built_in = sys.platform == "linux" and platform.machine() == "x86_64"
    has_cache = jax.config.jax_compilation_cache_dir is not None  # type: ignore[attr-defined]
    tested = jaxlib.__version__ in TESTED_JAXLIB and not has_cache
    return built_in and tested and jax.default_backend() == "cpu"


def supports(x: jax.Array) -> bool:
    """Return whether `x` is a non-empty float32 array on CPU and the call is available."""
    return available() and x.dtype == jnp.float32 and x.size > 0


def conv(
    x: jax.Array, kernel: jax.Array, bias: jax.Array | None = None, relu: bool = False
) -> jax.Array:
    """Compute a zero-padded convolution that keeps the size, fused with a bias and a ReLU if asked.

    It is not differentiable.

    Args:
      x: float32 `[B,H,W,I]`.
      kernel: float32 `[k,l,I,O]`, k and l odd.
      bias: float32 `[O]`, added to the result; or None.
      relu: apply a ReLU at the end.

    Returns:
      float32 `[B,H,W,O]`.
    """
    operands = (x, kernel) if bias is None else (x, kernel, bias)
    size, ones = kernel.shape[:2], [1, 1]
    padding = [taps // 2 for taps in size]
    window = {
        "size": size,
        "pad_left": padding,
        "pad_right": padding,
        "strides": ones,
        "window_dilations": ones,
    }
    config = {
        "dims": 4,
        "input": NHWC,
        "kernel": HWIO,
        "output": NHWC,
        "window": window,
        "feature_groups": 1,
        "fusions": {"ops": ["BIAS"] * (bias is not None) + ["RELU"] * relu},
    }
    call = jax.ffi.ffi_call(
        "__onednn$convolution",
        jax.ShapeDtypeStruct((*x.shape[:3], kernel.shape[3]), x.dtype),
        vmap_method="sequential",
        custom_call_api_version=2,
        legacy_backend_config=json.dumps({"onednn_conv_config": config}),
    )
    return call(*operands)
