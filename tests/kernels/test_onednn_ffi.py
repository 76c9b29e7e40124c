"""oneDNN's convolution and gradients, called by XLA through its FFI, compared with plain JAX."""

import os
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from modest import kernels
from modest.kernels.onednn import c_api, ffi, primitives

needs_winograd = pytest.mark.skipif(
    not primitives.has_winograd(),
    reason="no Winograd: it needs AVX-512 and oneDNN 3.1 (onednn-cpu-gomp)",
)
needs_onednn = pytest.mark.skipif(
    not ffi.available(), reason="oneDNN is not installed (onednn-cpu-gomp)"
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


def reference_conv(x, kernel):
    axes = ("NHWC", "HWIO", "NHWC")
    return jax.lax.conv_general_dilated(x, kernel, (1, 1), "SAME", dimension_numbers=axes)


def reference_weight_gradient(x, g, size):
    def conv(kernel):
        return reference_conv(x, kernel)

    kernel = jnp.zeros((*size, x.shape[-1], g.shape[-1]))
    return jax.linear_transpose(conv, kernel)(g)[0]


def assert_close(actual, expected):
    np.testing.assert_allclose(actual, expected, atol=1e-5 * np.abs(expected).max())


@needs_onednn
@pytest.mark.parametrize("size", [(3, 3), (1, 3), (5, 1)])
@pytest.mark.parametrize("shape, features", SHAPES)
def test_weight_gradient_equals_jax(rng, size, shape, features):
    x, g = input_and_cotangent(rng, shape, features)
    assert_close(ffi.weight_gradient(x, g, size), reference_weight_gradient(x, g, size))


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
def test_winograd_is_used_only_where_faster(rng, monkeypatch):
    calls = []

    def fake_conv(x, kernel):
        calls.append(x.shape)
        return jnp.zeros((*x.shape[:3], kernel.shape[3]))

    monkeypatch.setattr(ffi, "conv", fake_conv)

    def value(x, kernel):
        return kernels.conv(x, kernel).astype(jnp.float32).sum()

    def number_of_calls(*shape, features=None, dtype=jnp.float32, gradient=False):
        calls.clear()
        kernel = jnp.ones((3, 3, shape[3], features or shape[3]), dtype)
        jax.eval_shape(jax.grad(value) if gradient else value, jnp.ones(shape, dtype), kernel)
        return len(calls)

    assert number_of_calls(1, 64, 64, 64) == 1
    assert number_of_calls(1, 64, 64, 64, gradient=True) == 1
    assert not number_of_calls(1, 32, 32, 128)  # too few pixels to make up for the reorder
    assert not number_of_calls(4, 32, 32, 32)  # too few multiplications
    assert not number_of_calls(32, 3, 64, 64)  # lower than a tile of four rows
    assert not number_of_calls(16, 64, 64, 16)
    assert number_of_calls(16, 128, 128, 16)
    assert not number_of_calls(1, 64, 64, 64, features=24)
    assert not number_of_calls(1, 64, 64, 64, dtype=jnp.bfloat16)


@needs_onednn
def test_vmap_computes_each_example(rng):
    x, g = input_and_cotangent(rng, (6, 6, 5, 4), 7)

    def weight_gradient(x, g):
        return ffi.weight_gradient(x, g, (3, 3))

    mapped = jax.vmap(weight_gradient)(x.reshape(3, 2, 6, 5, 4), g.reshape(3, 2, 6, 5, 7))
    np.testing.assert_allclose(mapped.sum(axis=0), weight_gradient(x, g), atol=1e-4)


@needs_onednn
def test_concurrent_threads_get_bit_identical_results(rng):
    @jax.jit
    def weight_gradient(x, g):
        return ffi.weight_gradient(x, g, (3, 3))

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
    first = ffi.weight_gradient(*small, (3, 3))
    ffi.weight_gradient(*large, (3, 3)).block_until_ready()
    np.testing.assert_array_equal(ffi.weight_gradient(*small, (3, 3)), first)


@needs_onednn
def test_other_dtypes_raise(rng):
    x, g = input_and_cotangent(rng, (1, 4, 4, 2), 2)
    message = "only float32 arrays with four axes are supported"
    with pytest.raises(jax.errors.JaxRuntimeError, match=message):
        ffi.weight_gradient(x, g.astype(jnp.bfloat16), (3, 3)).block_until_ready()


@needs_onednn
def test_error_in_handler_reaches_caller(rng, monkeypatch):
    def fail(self):
        raise RuntimeError("dnnl_primitive_execute: status 1")

    monkeypatch.setattr(primitives.PrimitiveSequence, "execute", fail)
    message = "modest_conv_weight_gradient.*dnnl_primitive_execute: status 1"
    x, g = input_and_cotangent(rng, (1, 4, 4, 2), 2)
    with pytest.raises(jax.errors.JaxRuntimeError, match=message):
        ffi.weight_gradient(x, g, (3, 3)).block_until_ready()


@needs_onednn
def test_supports_only_non_empty_float32():
    assert ffi.supports(jnp.ones((1, 2, 2, 3)))
    assert not ffi.supports(jnp.ones((1, 2, 2, 3), jnp.bfloat16))
    assert not ffi.supports(np.ones((1, 2, 2, 3)))
    assert not ffi.supports(jnp.ones((0, 2, 2, 3)))


def test_jaxlib_that_refuses_handlers_warns(monkeypatch):
    def refuse(*arguments, **options):
        raise RuntimeError("API version 0.3 is not supported")

    monkeypatch.setattr(c_api, "load", lambda: "a shared library")
    monkeypatch.setattr(jax.ffi, "register_ffi_target", refuse)
    with pytest.warns(UserWarning, match="API version 0.3 is not supported"):
        assert not ffi.available.__wrapped__()


@pytest.mark.parametrize("batch", [2, 9])
def test_gradient_without_onednn_is_close(rng, monkeypatch, batch):
    x, g = input_and_cotangent(rng, (batch, 8, 8, 16), 8)
    kernel = jnp.float32(rng.normal(size=(3, 3, 16, 8)))

    def gradients():
        return jax.vjp(kernels.conv, x, kernel)[1](g)

    by_onednn = gradients()
    monkeypatch.setattr(ffi, "supports", lambda x: False)
    for actual, expected in zip(by_onednn, gradients(), strict=True):
        np.testing.assert_allclose(actual, expected, atol=1e-4)
