"""A network's prediction by oneDNN's primitives against XLA's."""

import os
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from modest import models
from modest.models import convolution, layers, libdnnl, program
from modest.models.operations import NotTranslated

needs_libdnnl = pytest.mark.skipif(libdnnl.library() is None, reason="oneDNN's library is not installed (onednn-cpu-gomp)")


def network(drawn, rng, name, batch, size, **options):
    """A network with drawn variables, and two pictures for each of a batch."""
    model = models.build(name, **options)
    pictures = [np.float32(rng.normal(size=(batch, size, size, 3))) for _ in range(2)]
    variables = drawn(jax.eval_shape(model.init, jax.random.key(0), *pictures))
    return model, jax.tree.map(jnp.float32, variables), pictures


def close(a, b, tolerance=1e-5):
    assert np.std(b) > 0
    np.testing.assert_allclose(a, b, atol=tolerance * np.abs(b).max())


@needs_libdnnl
@pytest.mark.parametrize("folded", [True, False])
@pytest.mark.parametrize(
    "name, batch, size, options",
    [
        ("masknet", 2, 20, {}),
        ("depthnet", 1, 160, {}),  # Winograd's way at five sizes, a stride, all kinds of maps
        ("depthnet", 2, 32, {"width": 3}),
        ("unet", 1, 32, {"width": 16}),
        ("unet", 2, 16, {"width": 6}),
    ],
)
def test_every_network_predicts_what_it_does_by_xla(rng, drawn, name, batch, size, options, folded):
    model, variables, pictures = network(drawn, rng, name, batch, size, **options)
    expected = jax.jit(model.apply)(variables, *pictures)
    variables = models.fold(model, variables) if folded else variables
    outputs = program.compile(lambda *x: jax.tree.map(jax.nn.sigmoid, model.apply(variables, *x)), *pictures)(*pictures)
    jax.tree.map(close, outputs, jax.tree.map(jax.nn.sigmoid, expected))


@needs_libdnnl
def test_without_vectors_of_512_bits_it_is_the_same():
    """In a process that may use AVX2 alone, where there is no Winograd and maps are NHWC."""
    test = f"{__file__}::{test_every_network_predicts_what_it_does_by_xla.__name__}"
    arguments = [sys.executable, "-m", "pytest", "-q", "-n0", "-p", "no:cacheprovider", "-k", "True and (masknet or 160)", test]
    result = subprocess.run(arguments, env=os.environ | {"ONEDNN_MAX_CPU_ISA": "AVX2"}, capture_output=True, text=True, timeout=300)
    assert result.returncode == 0 and "2 passed" in result.stdout, result.stdout


def upsample(x):
    """Of the same name as the layers', and another thing."""
    return jnp.sin(x)


def mixed(x, y):
    """Maps of 32 channels (blocked) and of 3 and 8 (not), sums, and results that later operations read."""
    kernel = lambda *shape: np.sin(np.arange(np.prod(shape), dtype=np.float32)).reshape(shape) / shape[-2]
    first = convolution.conv_relu(x, kernel(3, 3, 3, 32), np.linspace(-1, 1, 32, dtype=np.float32))
    small = convolution.conv(first, kernel(1, 1, 32, 8))
    halves = layers.max_pool(first)
    strided = convolution.conv(first[:, ::2, ::2], kernel(1, 1, 32, 32)) * 2.0 + jnp.ones((1, 1, 1, 32))
    joined = nn.relu(strided + halves)
    doubled = layers.upsample(joined) + first
    several = [doubled, jnp.concatenate([y, small], -1)]
    return {"first": first, "small": small + y, "sum": nn.relu(small + y), "joined": joined, "several": several}


@needs_libdnnl
def test_operations_in_any_order_and_of_any_channels(rng):
    x, y = (np.float32(rng.normal(size=(2, 12, 16, channels))) for channels in (3, 8))
    made = program.compile(mixed, x, y)
    outputs = made(x, y)
    jax.tree.map(close, outputs, jax.jit(mixed)(x, y))
    kept = jax.tree.map(np.array, outputs)
    made(-x, -y)
    jax.tree.map(np.testing.assert_array_equal, outputs, kept)  # a result is the caller's own
    jax.tree.map(np.testing.assert_array_equal, made(x[:, ::-1][:, ::-1], y), kept)


@needs_libdnnl
def test_threads_get_their_own_results(rng):
    pairs = [[np.float32(rng.normal(size=(2, 12, 16, channels))) for channels in (3, 8)] for _ in range(4)]
    made = program.compile(mixed, *pairs[0])
    expected = [made(*pair)["joined"] for pair in pairs]
    with ThreadPoolExecutor(4) as pool:
        for i, result in enumerate(pool.map(lambda i: made(*pairs[i % 4])["joined"], range(40))):
            np.testing.assert_array_equal(result, expected[i % 4])


@needs_libdnnl
@pytest.mark.parametrize(
    "function, reason",
    [
        (lambda x: jnp.sin(x), "no primitive for sin"),
        (lambda x: x, "nothing to do"),
        (lambda x: x * 2.0, "a product of other than a convolution"),
        (lambda x: convolution.conv(x, jnp.ones((1, 1, 3, 4))) + jnp.ones((1, 8, 8, 4)), "a sum or a product of other than"),
        (lambda x: jnp.concatenate([x, x], 1), "joining of other than channels"),
        (lambda x: x[:, 1:], "a part of other than every second pixel"),
        (lambda x: x[:, ::2, ::2] + x[:, ::2, ::2], "every second pixel, other than for a 1x1 convolution"),
        (lambda x: nn.relu(x), "relu of input"),
        (lambda x: jax.lax.fori_loop(0, 3, lambda i, x: convolution.conv_relu(x, jnp.ones((3, 3, 3, 3)), jnp.ones(3)), x), "scan"),
        (lambda x: jax.jit(upsample)(x), "no primitive"),
        (lambda x: convolution.conv(x, jnp.ones((1, 1, 3, 1))) + x, "changes the shape"),
    ],
)
def test_what_has_no_primitive_is_refused_and_left_to_xla(rng, function, reason):
    x = np.float32(rng.normal(size=(1, 8, 8, 3)))
    with pytest.raises(NotTranslated, match=reason):
        program.compile(function, x)
    np.testing.assert_allclose(program.compiled(lambda variables, x: function(x), {})(x), function(jnp.asarray(x)), atol=1e-6)


@needs_libdnnl
def test_threads_may_compile_beside_each_other():
    x, kernel = np.ones((1, 8, 8, 3), np.float32), np.ones((3, 3, 3, 4), np.float32)
    made = lambda i: program.compile(lambda x: convolution.conv_relu(x, kernel, np.full(4, i)), x)(x)
    with ThreadPoolExecutor(4) as pool:
        for i, y in enumerate(pool.map(made, range(12))):
            np.testing.assert_allclose(y, convolution.conv_relu(x, kernel, np.full(4, i, np.float32)), atol=1e-5)
    assert not convolution._kept_whole.get()


@needs_libdnnl
@pytest.mark.parametrize("channels", [3, 16, 32])
def test_every_second_pixel_of_odd_sizes(rng, channels):
    x, kernel = np.float32(rng.normal(size=(2, 7, 9, channels))), np.float32(rng.normal(size=(1, 1, channels, channels)))
    function = lambda x: convolution.conv(x[:, ::2, ::2], kernel)
    close(program.compile(function, x)(x), function(x))


@needs_libdnnl
def test_other_shapes_are_refused_or_made_anew(rng):
    x, y = (np.float32(rng.normal(size=(2, 12, 16, channels))) for channels in (3, 8))
    with pytest.raises(ValueError, match=r"a map is \(1, 12, 16, 3\), and the program was made for \(2, 12, 16, 3\)"):
        program.compile(mixed, x, y)(x[:1], y)
    made = program.compiled(lambda variables, x, y: mixed(x, y), {})
    assert made(x, y)["small"].shape[0] == 2 and made(x[:1], y[:1])["small"].shape[0] == 1
    with pytest.raises(NotTranslated, match="float32"):
        program.compile(mixed, np.float64(x), y)


def test_without_the_library_xla_predicts(rng, monkeypatch):
    monkeypatch.setattr(libdnnl, "library", lambda: None)
    x, y = (np.float32(rng.normal(size=(2, 12, 16, channels))) for channels in (3, 8))
    with pytest.raises(NotTranslated, match="must be installed"):
        program.compile(mixed, x, y)
    jax.tree.map(close, program.compiled(lambda variables, x, y: mixed(x, y), {})(x, y), mixed(x, y))
