"""oneDNN's convolution, which XLA's CPU backend has built in and does not choose by itself.

oneDNN (github.com/uxlfoundation/oneDNN, Apache 2.0) is what PyTorch convolves with on a CPU. XLA knows it as a custom call,
`__onednn$convolution`, described by XLA's `onednn_config.proto` as JSON. What a field of that means is XLA's own affair, and oneDNN
ends the process where it is given something impossible; so the call is made only with versions of jaxlib that it was tested with
(`tests/test_onednn.py`).
"""

import json
import platform
import sys

import jax
import jax.numpy as jnp
import jaxlib

TESTED_JAXLIB = ("0.10.0", "0.10.1", "0.10.2")
NHWC = {"dims": 4, "data": {"batch_dim": 0, "feature_dim": 3, "spatial_dims": [1, 2]}}
HWIO = {"dims": 4, "filter": {"spatial_dims": [0, 1], "input_feature_dim": 2, "output_feature_dim": 3}}


def available():
    """Whether this process computes on a CPU and its jaxlib has a oneDNN that is known to do what `conv` says.

    Not with JAX's compilation cache: XLA cannot write such a program down, and where it tries to, memory goes astray.
    """
    built_in = sys.platform == "linux" and platform.machine() == "x86_64"
    tested = jaxlib.__version__ in TESTED_JAXLIB and jax.config.jax_compilation_cache_dir is None
    return built_in and tested and jax.default_backend() == "cpu"


def suits(x):
    """Whether `conv` can be asked for: on a CPU, in float32, of something."""
    return available() and x.dtype == jnp.float32 and x.size > 0


def conv(x, kernel, bias=None, relu=False):
    """Zero-padded convolution that keeps the size: `[B,H,W,I]`, `[k,l,I,O]` with odd k, l -> `[B,H,W,O]`, float32.

    With a bias `[O]` and a ReLU on the result, where asked for, in the same pass. Has no gradient.
    """
    operands = (x, kernel) if bias is None else (x, kernel, bias)
    size, ones = kernel.shape[:2], [1, 1]
    padding = [taps // 2 for taps in size]
    config = {
        "dims": 4,
        "input": NHWC,
        "kernel": HWIO,
        "output": NHWC,
        "window": {"size": size, "pad_left": padding, "pad_right": padding, "strides": ones, "window_dilations": ones},
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
