"""oneDNN's gradient by the kernel, called by pointers from within XLA, against plain JAX."""

import ctypes
import os
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from modest.models import convolution, libdnnl

needs_libdnnl = pytest.mark.skipif(not libdnnl.available(), reason="oneDNN's library is not installed (onednn-cpu-gomp)")


def maps(rng, shape, features):
    return (jnp.float32(rng.normal(size=(*shape[:3], channels))) for channels in (shape[3], features))


def plain(x, g, size):
    layout = ("NHWC", "HWIO", "NHWC")
    conv = lambda kernel: jax.lax.conv_general_dilated(x, kernel, (1, 1), "SAME", dimension_numbers=layout)
    return jax.linear_transpose(conv, jnp.zeros((*size, x.shape[-1], g.shape[-1])))(g)[0]


@needs_libdnnl
@pytest.mark.parametrize("size", [(3, 3), (1, 3), (5, 1)])
@pytest.mark.parametrize("shape, features", [((2, 13, 9, 5), 7), ((1, 1, 2, 32), 16), ((9, 6, 6, 3), 1), ((1, 4, 4, 1), 130)])
def test_by_kernel_is_the_transpose_of_the_convolution(rng, size, shape, features):
    x, g = maps(rng, shape, features)
    expected = plain(x, g, size)
    np.testing.assert_allclose(libdnnl.by_kernel(x, g, size), expected, atol=1e-5 * np.abs(expected).max())


@needs_libdnnl
def test_vmap_calls_one_after_another(rng):
    x, g = maps(rng, (6, 6, 5, 4), 7)
    stacked = jax.vmap(lambda x, g: libdnnl.by_kernel(x, g, (3, 3)))(x.reshape(3, 2, 6, 5, 4), g.reshape(3, 2, 6, 5, 7))
    np.testing.assert_allclose(stacked.sum(axis=0), libdnnl.by_kernel(x, g, (3, 3)), atol=1e-4)


@needs_libdnnl
def test_threads_get_their_own_results_and_the_same_bits_each_time(rng):
    function = jax.jit(lambda x, g: libdnnl.by_kernel(x, g, (3, 3)))
    arguments = [tuple(maps(rng, (2, 24, 24, 16), 16)) for _ in range(4)]
    first = [np.asarray(function(*pair)) for pair in arguments]
    with ThreadPoolExecutor(4) as pool:
        again = list(pool.map(lambda i: np.asarray(function(*arguments[i % 4])), range(64)))
    for i, result in enumerate(again):
        np.testing.assert_array_equal(result, first[i % 4])


@needs_libdnnl
def test_what_one_thread_prepared_another_can_run_also_where_onednn_takes_scratch_memory():
    """In a process that may use no vectors but SSE's: there oneDNN's way is a product that needs scratch memory."""
    program = (
        "import threading, numpy as np; from modest.models import libdnnl\n"
        "x, g = (np.ones((2, 6, 6, 16), np.float32) for _ in range(2)); result = np.zeros((3, 3, 16, 16), np.float32)\n"
        "shapes = x.shape, g.shape, result.shape\n"
        "first = threading.Thread(target=libdnnl._prepare, args=shapes); first.start(); first.join()\n"
        "libdnnl._prepare(*shapes)(*(array.ctypes.data for array in (x, g, result)))\n"
        "assert np.all(result[1, 1] == 72), result[1, 1]\n"
    )
    subprocess.run([sys.executable, "-c", program], env=os.environ | {"ONEDNN_MAX_CPU_ISA": "SSE41"}, check=True)


@needs_libdnnl
def test_other_types_are_refused(rng):
    x, g = maps(rng, (1, 4, 4, 2), 2)
    with pytest.raises(jax.errors.JaxRuntimeError, match="float32 of four axes only"):
        libdnnl.by_kernel(x, g.astype(jnp.bfloat16), (3, 3)).block_until_ready()


@needs_libdnnl
def test_a_failure_inside_is_an_error_outside(rng, monkeypatch):
    def fail(*shapes):
        raise RuntimeError("dnnl_primitive_execute: status 1")

    monkeypatch.setattr(libdnnl, "_prepare", fail)
    with pytest.raises(jax.errors.JaxRuntimeError, match="modest_gradient_by_kernel.*dnnl_primitive_execute: status 1"):
        libdnnl.by_kernel(*maps(rng, (1, 4, 4, 2), 2), (3, 3)).block_until_ready()


@needs_libdnnl
def test_only_float32_of_something_suits():
    assert libdnnl.suits(jnp.ones((1, 2, 2, 3)))
    assert not libdnnl.suits(jnp.ones((1, 2, 2, 3), jnp.bfloat16))
    assert not libdnnl.suits(np.ones((1, 2, 2, 3)))
    assert not libdnnl.suits(jnp.ones((0, 2, 2, 3)))


def test_a_jaxlib_that_does_not_take_the_function_is_told_of(monkeypatch):
    def refuse(*arguments, **options):
        raise RuntimeError("API version 0.3 is not supported")

    monkeypatch.setattr(libdnnl, "_library", lambda: "there")
    monkeypatch.setattr(jax.ffi, "register_ffi_target", refuse)
    with pytest.warns(UserWarning, match="API version 0.3 is not supported"):
        assert not libdnnl.available.__wrapped__()


@pytest.mark.parametrize("major, threads, taken", [(3, 2, True), (2, 2, False), (4, 2, False), (3, 1, False), (3, 512, False)])
def test_only_version_3_with_openmp_is_taken(monkeypatch, major, threads, taken):
    class Fake:
        class dnnl_primitive_desc_query_md:
            pass

        @staticmethod
        def dnnl_version():
            return ctypes.pointer(libdnnl.Version(major, 2, 0, None, threads, 0))

    monkeypatch.setattr(ctypes, "CDLL", lambda path: Fake)
    assert (libdnnl._library.__wrapped__() is not None) == taken


@pytest.mark.parametrize("batch", [2, 9])
def test_without_the_library_the_gradient_is_the_same(rng, monkeypatch, batch):
    x, g = maps(rng, (batch, 8, 8, 16), 8)
    kernel = jnp.float32(rng.normal(size=(3, 3, 16, 8)))
    gradient = lambda: jax.vjp(convolution.conv, x, kernel)[1](g)
    ours = gradient()
    monkeypatch.setattr(libdnnl, "suits", lambda x: False)
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, atol=1e-4), ours, gradient())
