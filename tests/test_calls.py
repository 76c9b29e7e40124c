"""oneDNN's convolution and its gradients, called by pointers from within XLA, against plain JAX."""

import ctypes
import os
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from modest.models import calls, convolution, libdnnl

needs_winograd = pytest.mark.skipif(not libdnnl.has_winograd(), reason="no Winograd here: AVX-512 and oneDNN 3.1 (onednn-cpu-gomp)")
needs_libdnnl = pytest.mark.skipif(not calls.available(), reason="oneDNN's library is not installed (onednn-cpu-gomp)")


def maps(rng, shape, features):
    return (jnp.float32(rng.normal(size=(*shape[:3], channels))) for channels in (shape[3], features))


SHAPES = [
    ((2, 13, 9, 5), 7),
    ((1, 1, 2, 32), 16),
    ((9, 6, 6, 3), 1),
    ((1, 4, 4, 1), 130),
    ((3, 29, 27, 48), 96),
    ((1, 130, 129, 16), 48),
]


def plain(x, g, size):
    layout = ("NHWC", "HWIO", "NHWC")
    conv = lambda kernel: jax.lax.conv_general_dilated(x, kernel, (1, 1), "SAME", dimension_numbers=layout)
    return jax.linear_transpose(conv, jnp.zeros((*size, x.shape[-1], g.shape[-1])))(g)[0]


@needs_libdnnl
@pytest.mark.parametrize("size", [(3, 3), (1, 3), (5, 1)])
@pytest.mark.parametrize("shape, features", SHAPES)
def test_by_kernel_is_the_transpose_of_the_convolution(rng, size, shape, features):
    x, g = maps(rng, shape, features)
    expected = plain(x, g, size)
    np.testing.assert_allclose(calls.by_kernel(x, g, size), expected, atol=1e-5 * np.abs(expected).max())


@needs_libdnnl
@pytest.mark.parametrize("size", [(3, 3), (1, 3), (5, 1)])
@pytest.mark.parametrize("shape, features", [*SHAPES, ((3, 4, 300, 64), 64)])
def test_conv_and_its_gradient_by_the_map_are_laxs(rng, size, shape, features):
    x, g = maps(rng, shape, features)
    kernel = jnp.float32(rng.normal(size=(*size, shape[3], features)))
    conv = lambda x: jax.lax.conv_general_dilated(x, kernel, (1, 1), "SAME", dimension_numbers=("NHWC", "HWIO", "NHWC"))
    expected = conv(x)
    np.testing.assert_allclose(calls.conv(x, kernel), expected, atol=1e-5 * np.abs(expected).max())
    (expected,) = jax.linear_transpose(conv, x)(g)
    np.testing.assert_allclose(calls.by_map(g, kernel), expected, atol=1e-5 * np.abs(expected).max())


@needs_winograd
def test_conv_keeps_the_digits_of_float32(rng):
    x, kernel = rng.normal(size=(1, 64, 64, 64)), rng.normal(size=(3, 3, 64, 64)) / 24
    with jax.enable_x64(True):
        layout = ("NHWC", "HWIO", "NHWC")
        exact = jax.lax.conv_general_dilated(jnp.float64(x), jnp.float64(kernel), (1, 1), "SAME", dimension_numbers=layout)
    error = calls.conv(jnp.float32(x), jnp.float32(kernel)) - np.asarray(exact)
    assert np.abs(error).max() < 2e-5  # of numbers that are about 1


@needs_winograd
def test_conv_is_not_for_little_work_small_maps_odd_channels_or_other_types(rng, monkeypatch):
    taken = []
    monkeypatch.setattr(calls, "conv", lambda x, kernel: taken.append(x.shape) or jnp.zeros((*x.shape[:3], kernel.shape[3])))

    def takes(*shape, features=None, dtype=jnp.float32, gradient=False):
        taken.clear()
        value = lambda x, kernel: convolution.conv(x, kernel).astype(jnp.float32).sum()
        kernel = jnp.ones((3, 3, shape[3], features or shape[3]), dtype)
        jax.eval_shape(jax.grad(value) if gradient else value, jnp.ones(shape, dtype), kernel)
        return len(taken)

    assert takes(1, 64, 64, 64) == 1
    assert takes(1, 64, 64, 64, gradient=True) == 1
    assert not takes(1, 32, 32, 128)  # too few pixels to put the kernel in order for
    assert not takes(4, 32, 32, 32)  # too little work
    assert not takes(32, 3, 64, 64)  # less than the four rows that are made at once
    assert not takes(16, 64, 64, 16) and takes(16, 128, 128, 16)
    assert not takes(1, 64, 64, 64, features=24)
    assert not takes(1, 64, 64, 64, dtype=jnp.bfloat16)


@needs_libdnnl
def test_vmap_calls_one_after_another(rng):
    x, g = maps(rng, (6, 6, 5, 4), 7)
    stacked = jax.vmap(lambda x, g: calls.by_kernel(x, g, (3, 3)))(x.reshape(3, 2, 6, 5, 4), g.reshape(3, 2, 6, 5, 7))
    np.testing.assert_allclose(stacked.sum(axis=0), calls.by_kernel(x, g, (3, 3)), atol=1e-4)


@needs_libdnnl
def test_threads_get_their_own_results_and_the_same_bits_each_time(rng):
    function = jax.jit(lambda x, g: calls.by_kernel(x, g, (3, 3)))
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
        "import threading, numpy as np; from modest.models import calls\n"
        "x, g = (np.ones((2, 6, 6, 16), np.float32) for _ in range(2)); result = np.zeros((3, 3, 16, 16), np.float32)\n"
        "shapes = x.shape, g.shape, result.shape\n"
        "first = threading.Thread(target=calls._prepare_by_kernel, args=shapes); first.start(); first.join()\n"
        "calls._prepare_by_kernel(*shapes)(*(array.ctypes.data for array in (x, g, result)))\n"
        "assert np.all(result[1, 1] == 72), result[1, 1]\n"
    )
    subprocess.run([sys.executable, "-c", program], env=os.environ | {"ONEDNN_MAX_CPU_ISA": "SSE41"}, check=True, timeout=100)


@needs_libdnnl
def test_what_steps_need_for_the_time_of_a_run_grows_with_the_largest(rng):
    """The first, small call must not go on with memory that a larger one gave up."""
    small, large = (tuple(maps(rng, (1, size, size, 48), 48)) for size in (6, 60))
    first = calls.by_kernel(*small, (3, 3))
    calls.by_kernel(*large, (3, 3)).block_until_ready()
    np.testing.assert_array_equal(calls.by_kernel(*small, (3, 3)), first)


@needs_libdnnl
def test_other_types_are_refused(rng):
    x, g = maps(rng, (1, 4, 4, 2), 2)
    with pytest.raises(jax.errors.JaxRuntimeError, match="float32 of four axes only"):
        calls.by_kernel(x, g.astype(jnp.bfloat16), (3, 3)).block_until_ready()


@needs_libdnnl
def test_a_failure_inside_is_an_error_outside(rng, monkeypatch):
    def fail(self):
        raise RuntimeError("dnnl_primitive_execute: status 1")

    monkeypatch.setattr(libdnnl.Steps, "run", fail)
    with pytest.raises(jax.errors.JaxRuntimeError, match="modest_gradient_by_kernel.*dnnl_primitive_execute: status 1"):
        calls.by_kernel(*maps(rng, (1, 4, 4, 2), 2), (3, 3)).block_until_ready()


@needs_libdnnl
def test_only_float32_of_something_suits():
    assert calls.suits(jnp.ones((1, 2, 2, 3)))
    assert not calls.suits(jnp.ones((1, 2, 2, 3), jnp.bfloat16))
    assert not calls.suits(np.ones((1, 2, 2, 3)))
    assert not calls.suits(jnp.ones((0, 2, 2, 3)))


def test_a_jaxlib_that_does_not_take_the_function_is_told_of(monkeypatch):
    def refuse(*arguments, **options):
        raise RuntimeError("API version 0.3 is not supported")

    monkeypatch.setattr(libdnnl, "library", lambda: "there")
    monkeypatch.setattr(jax.ffi, "register_ffi_target", refuse)
    with pytest.warns(UserWarning, match="API version 0.3 is not supported"):
        assert not calls.available.__wrapped__()


@pytest.mark.parametrize("major, threads, taken", [(3, 2, True), (2, 2, False), (4, 2, False), (3, 1, False), (3, 512, False)])
def test_only_version_3_with_openmp_is_taken(monkeypatch, major, threads, taken):
    class Fake:
        class dnnl_primitive_desc_query_md:
            pass

        class dnnl_memory_desc_get_size:
            pass

        @staticmethod
        def dnnl_version():
            return ctypes.pointer(libdnnl.Version(major, 2, 0, None, threads, 0))

    monkeypatch.setattr(ctypes, "CDLL", lambda path: Fake)
    assert (libdnnl.library.__wrapped__() is not None) == taken


@pytest.mark.parametrize("batch", [2, 9])
def test_without_the_library_the_gradient_is_the_same(rng, monkeypatch, batch):
    x, g = maps(rng, (batch, 8, 8, 16), 8)
    kernel = jnp.float32(rng.normal(size=(3, 3, 16, 8)))
    gradient = lambda: jax.vjp(convolution.conv, x, kernel)[1](g)
    ours = gradient()
    monkeypatch.setattr(calls, "suits", lambda x: False)
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, atol=1e-4), ours, gradient())


def test_a_library_that_does_not_load_is_told_of(monkeypatch, tmp_path):
    (tmp_path / "lib").mkdir()
    (tmp_path / "lib" / "libdnnl.so.3").write_text("not a library")
    monkeypatch.setattr(libdnnl.sysconfig, "get_path", lambda name: str(tmp_path))
    monkeypatch.setattr(libdnnl.site, "getuserbase", lambda: "/nowhere")
    with pytest.warns(UserWarning, match="XLA's own, slower ones: .*libdnnl"):
        assert libdnnl.library.__wrapped__() is None
