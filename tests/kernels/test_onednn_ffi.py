"""oneDNN's convolution and gradients, called by XLA through its FFI, compared with plain JAX."""

import os
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from modest.kernels import selection
from modest.kernels.onednn import c_api, ffi, primitives
from onednn_library import needs_onednn
from reference import reference_conv

needs_winograd = pytest.mark.skipif(
    not (selection.uses_onednn() and primitives.has_winograd()),
    reason="no Winograd: it needs AVX-512 and oneDNN 3.1 (modest[cpu])",
)

SHAPES = [
    ((2, 13, 9, 5), 7),
    ((1, 1, 2, 32), 16),
    ((9, 6, 6, 3), 1),
    ((1, 4, 4, 1), 130),
    ((3, 29, 27, 48), 96),
    ((1, 130, 129, 16), 48),
]


def input_and_cotangent(rng, shape, features):
    return [jnp.float32(rng.normal(size=(*shape[:3], c))) for c in (shape[3], features)]


def reference_weight_gradient(x, g):
    def conv(kernel):
        return reference_conv(x, kernel)

    kernel = jnp.zeros((3, 3, x.shape[-1], g.shape[-1]))
    return jax.linear_transpose(conv, kernel)(g)[0]


def assert_close(actual, expected):
    np.testing.assert_allclose(actual, expected, atol=1e-5 * np.abs(expected).max())


@needs_onednn
@pytest.mark.parametrize("shape, features", SHAPES)
def test_weight_gradient_equals_jax(rng, shape, features):
    x, g = input_and_cotangent(rng, shape, features)
    assert_close(ffi.weight_gradient_3x3(x, g), reference_weight_gradient(x, g))


@needs_onednn
@pytest.mark.parametrize("size", [(3, 3), (1, 3), (5, 1)])
@pytest.mark.parametrize("shape, features", [*SHAPES, ((3, 4, 300, 64), 64)])
def test_conv_and_input_gradient_equal_lax(rng, size, shape, features):
    x, g = input_and_cotangent(rng, shape, features)
    kernel = jnp.float32(rng.normal(size=(*size, shape[3], features)))

    def conv(x):
        return reference_conv(x, kernel)

    assert_close(ffi.conv(x, kernel), conv(x))
    (expected,) = jax.linear_transpose(conv, x)(g)
    assert_close(ffi.input_gradient(g, kernel), expected)


@needs_winograd
def test_winograd_has_float32_accuracy(rng):
    x, kernel = rng.normal(size=(1, 64, 64, 64)), rng.normal(size=(3, 3, 64, 64)) / 24
    with jax.enable_x64(True):
        exact = reference_conv(jnp.float64(x), jnp.float64(kernel))
    error = ffi.conv(jnp.float32(x), jnp.float32(kernel)) - np.asarray(exact)
    assert np.abs(error).max() < 2e-5  # outputs are about 1


@needs_winograd
@pytest.mark.parametrize(
    "shape, features, is_faster",
    [
        ((1, 64, 64, 64), 64, True),
        ((1, 32, 32, 128), 128, False),  # too few pixels to make up for the reorder
        ((4, 32, 32, 32), 32, False),  # too few multiplications
        ((32, 3, 64, 64), 64, False),  # lower than a tile of four rows
        ((16, 64, 64, 16), 16, False),
        ((16, 128, 128, 16), 16, True),
        ((1, 64, 64, 64), 24, False),
    ],
)
def test_winograd_is_used_only_where_faster(shape, features, is_faster):
    assert ffi._forward_uses_winograd(shape, (3, 3, shape[3], features)) == is_faster


@needs_onednn
def test_vmap_computes_each_example(rng):
    x, g = input_and_cotangent(rng, (6, 6, 5, 4), 7)

    def weight_gradient(x, g):
        return ffi.weight_gradient_3x3(x, g)

    mapped = jax.vmap(weight_gradient)(x.reshape(3, 2, 6, 5, 4), g.reshape(3, 2, 6, 5, 7))
    np.testing.assert_allclose(mapped.sum(axis=0), weight_gradient(x, g), atol=1e-4)


@needs_onednn
def test_concurrent_threads_get_bit_identical_results(rng):
    @jax.jit
    def weight_gradient(x, g):
        return ffi.weight_gradient_3x3(x, g)

    arguments = [input_and_cotangent(rng, (2, 24, 24, 16), 16) for _ in range(4)]
    expected = [np.asarray(weight_gradient(*pair)) for pair in arguments]

    def compute(i):
        return np.asarray(weight_gradient(*arguments[i % 4]))

    with ThreadPoolExecutor(4) as pool:
        results = list(pool.map(compute, range(64)))
    for i, result in enumerate(results):
        np.testing.assert_array_equal(result, expected[i % 4])


@needs_onednn
def test_primitive_created_by_another_thread_executes_with_scratchpad():
    """With SSE4.1 only, oneDNN computes a matrix product that needs a scratchpad."""
    program = """
import threading, numpy as np
from modest.kernels.onednn import ffi
x, g = (np.ones((2, 6, 6, 16), np.float32) for _ in range(2))
result = np.zeros((3, 3, 16, 16), np.float32)
shapes = x.shape, g.shape, result.shape
thread = threading.Thread(target=ffi._prepare_weight_gradient, args=shapes)
thread.start()
thread.join()
ffi._prepare_weight_gradient(*shapes)(*(array.ctypes.data for array in (x, g, result)))
assert np.all(result[1, 1] == 72), result[1, 1]
"""
    environment = os.environ | {"ONEDNN_MAX_CPU_ISA": "SSE41"}
    subprocess.run([sys.executable, "-c", program], env=environment, check=True, timeout=100)


@needs_onednn
def test_growing_shared_buffer_keeps_earlier_sequences_valid(rng):
    """An earlier, smaller sequence must not use memory that has been freed since."""
    small, large = (input_and_cotangent(rng, (1, size, size, 48), 48) for size in (6, 60))
    first = ffi.weight_gradient_3x3(*small)
    ffi.weight_gradient_3x3(*large).block_until_ready()
    np.testing.assert_array_equal(ffi.weight_gradient_3x3(*small), first)


@needs_onednn
def test_other_dtypes_raise(rng):
    x, g = input_and_cotangent(rng, (1, 4, 4, 2), 2)
    message = "only float32 arrays with four axes are supported"
    with pytest.raises(jax.errors.JaxRuntimeError, match=message):
        ffi.weight_gradient_3x3(x, g.astype(jnp.bfloat16)).block_until_ready()


@needs_onednn
def test_error_in_handler_reaches_caller(rng, monkeypatch):
    def fail(self):
        raise RuntimeError("dnnl_primitive_execute: status 1")

    monkeypatch.setattr(primitives.PrimitiveSequence, "execute", fail)
    message = "modest_conv_weight_gradient.*dnnl_primitive_execute: status 1"
    x, g = input_and_cotangent(rng, (1, 4, 4, 2), 2)
    with pytest.raises(jax.errors.JaxRuntimeError, match=message):
        ffi.weight_gradient_3x3(x, g).block_until_ready()


def test_jaxlib_that_refuses_handlers_is_unavailable(monkeypatch):
    def refuse(*arguments, **options):
        raise RuntimeError("API version 0.3 is not supported")

    monkeypatch.setattr(c_api, "load", lambda: "a shared library")
    monkeypatch.setattr(jax.ffi, "register_ffi_target", refuse)
    with pytest.raises(c_api.Unavailable, match="API version 0.3 is not supported"):
        ffi.register.__wrapped__()


@needs_onednn
def test_prepared_convolutions_are_bounded():
    assert ffi._prepare_forward.cache_info().maxsize == ffi.PREPARED
