"""Prediction by oneDNN primitives compared with XLA."""

import os
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from modest import kernels, models
from modest.kernels import selection
from modest.kernels.onednn import named_operations, program
from modest.kernels.onednn.translation import NotTranslatable
from onednn_library import needs_onednn


def network(drawn, rng, name, batch, size, **options):
    """Return a network, random variables, and a batch of two pictures."""
    model = models.build(name, **options)
    pictures = [np.float32(rng.normal(size=(batch, size, size, 3))) for _ in range(2)]
    variables = drawn(jax.eval_shape(model.init, jax.random.key(0), *pictures))
    return model, jax.tree.map(jnp.float32, variables), pictures


def assert_close(actual, expected):
    assert np.std(expected) > 0
    np.testing.assert_allclose(actual, expected, atol=1e-5 * np.abs(expected).max())


@needs_onednn
@pytest.mark.parametrize("folded", [True, False])
@pytest.mark.parametrize(
    "name, batch, size, options",
    [
        ("masknet", 2, 20, {}),
        ("depthnet", 1, 160, {}),  # Winograd at five sizes, strides, both memory formats
        ("depthnet", 2, 32, {"width": 3}),
        ("pairnet", 1, 160, {"widths": (16, 16, 32, 32, 48, 64)}),
        ("pairnet", 2, 32, {"widths": (2, 3, 4, 5, 6, 7)}),
        ("unet", 1, 32, {"width": 16}),
        ("unet", 2, 16, {"width": 6}),
    ],
)
def test_networks_equal_xla(rng, drawn, name, batch, size, options, folded):
    model, variables, pictures = network(drawn, rng, name, batch, size, **options)
    expected = jax.jit(model.apply)(variables, *pictures)
    variables = models.fold(model, variables) if folded else variables

    def probabilities(*pictures):
        return jax.tree.map(jax.nn.sigmoid, model.apply(variables, *pictures))

    outputs = program.compile_for_shapes(probabilities, *pictures)(*pictures)
    jax.tree.map(assert_close, outputs, jax.tree.map(jax.nn.sigmoid, expected))


@needs_onednn
def test_networks_equal_xla_without_avx512():
    """With AVX2 only, there is no Winograd and all feature maps are NHWC."""
    test = f"{__file__}::{test_networks_equal_xla.__name__}"
    options = ["-q", "-n0", "-p", "no:cacheprovider", "-k", "True and (masknet or 160)"]
    result = subprocess.run(
        [sys.executable, "-m", "pytest", *options, test],
        env=os.environ | {"ONEDNN_MAX_CPU_ISA": "AVX2"},
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert result.returncode == 0 and "3 passed" in result.stdout, result.stdout


def sine_kernel(*shape):
    values = np.sin(np.arange(np.prod(shape), dtype=np.float32))
    return values.reshape(shape) / shape[-2]


def mixed(x, y):
    """Compute with 32 channels (blocked), 3 and 8 (not blocked), sums, and shared results."""
    bias = np.linspace(-1, 1, 32, dtype=np.float32)
    first = kernels.conv_relu(x, sine_kernel(3, 3, 3, 32), bias)
    small = kernels.conv(first, sine_kernel(1, 1, 32, 8))
    halves = kernels.max_pool(first)
    strided = kernels.conv(first[:, ::2, ::2], sine_kernel(1, 1, 32, 32))
    joined = nn.relu(strided * 2.0 + jnp.ones((1, 1, 1, 32)) + halves)
    doubled = kernels.upsample(joined) + first
    several = [doubled, jnp.concatenate([y, small], -1)]
    return {
        "first": first,
        "small": small + y,
        "sum": nn.relu(small + y),
        "joined": joined,
        "several": several,
    }


def mixed_inputs(rng):
    return [np.float32(rng.normal(size=(2, 12, 16, channels))) for channels in (3, 8)]


def mixed_with_variables(variables, x, y):
    return mixed(x, y)


@needs_onednn
def test_mixed_operations_and_channels_equal_xla(rng):
    x, y = mixed_inputs(rng)
    compiled = program.compile_for_shapes(mixed, x, y)
    outputs = compiled(x, y)
    jax.tree.map(assert_close, outputs, jax.jit(mixed)(x, y))
    copies = jax.tree.map(np.array, outputs)
    compiled(-x, -y)
    jax.tree.map(np.testing.assert_array_equal, outputs, copies)  # the caller owns the result
    not_contiguous = x[:, ::-1].copy()[:, ::-1]
    jax.tree.map(np.testing.assert_array_equal, compiled(not_contiguous, y), copies)


@needs_onednn
def test_concurrent_threads_get_their_own_results(rng):
    pairs = [mixed_inputs(rng) for _ in range(4)]
    compiled = program.compile_for_shapes(mixed, *pairs[0])
    expected = [compiled(*pair)["joined"] for pair in pairs]

    def compute(i):
        return compiled(*pairs[i % 4])["joined"]

    with ThreadPoolExecutor(4) as pool:
        for i, result in enumerate(pool.map(compute, range(40))):
            np.testing.assert_array_equal(result, expected[i % 4])


@needs_onednn
def test_pytrees_differences_and_unchanged_inputs(rng):
    """Inputs and outputs are pytrees. An input may be an output too."""
    kernel = jnp.float32(rng.normal(size=(3, 3, 16, 16)))
    x, y = (np.float32(rng.normal(size=(2, 12, 16, 16))) for _ in range(2))

    def compare(variables, maps, z):
        conv = kernels.conv_relu(maps["x"], kernel, jnp.zeros(16))
        return {"difference": jnp.abs(conv - z), "signed": z - conv}, maps["x"]

    compiled = kernels.compile(compare, {})
    actual, unchanged = compiled({"x": x}, y)
    expected, _ = compare({}, {"x": x}, y)
    np.testing.assert_array_equal(unchanged, x)
    assert expected["signed"].min() < 0 < expected["signed"].max()
    jax.tree.map(assert_close, actual, expected)


def upsample(x):
    """Do something else than the named operation with the same name."""
    return jnp.sin(x)


def repeated_conv_relu(x):
    def body(i, x):
        return kernels.conv_relu(x, jnp.ones((3, 3, 3, 3)), jnp.ones(3))

    return jax.lax.fori_loop(0, 3, body, x)


@needs_onednn
@pytest.mark.parametrize(
    "function, reason",
    [
        (lambda x: jnp.sin(x), "no primitive for sin"),
        (lambda x: jnp.ones(3), "an output is a constant"),
        (lambda x: x - 1.0, "a difference that is not of two feature maps"),
        (lambda x: x * 2.0, "a sum or product that is not of a convolution and one value per"),
        (
            lambda x: kernels.conv(x, jnp.ones((1, 1, 3, 4))) + jnp.ones((1, 8, 8, 4)),
            "a sum or product that is not of a convolution and one value per channel",
        ),
        (
            lambda x: jnp.concatenate([x, x], 1),
            "a concatenation that is not of the channels of feature maps",
        ),
        (lambda x: x[:, 1:], r"a slice that is not x\[:, ::2, ::2\]"),
        (
            lambda x: x[:, ::2, ::2] + x[:, ::2, ::2],
            r"x\[:, ::2, ::2\] without a 1x1 convolution after it",
        ),
        (lambda x: nn.relu(x), "relu after input"),
        (repeated_conv_relu, "scan"),
        (lambda x: jax.jit(upsample)(x), "no primitive"),
        (lambda x: kernels.conv(x, jnp.ones((1, 1, 3, 1))) + x, "changes the shape"),
    ],
)
def test_functions_without_primitives_fall_back_to_xla(rng, function, reason):
    x = np.float32(rng.normal(size=(1, 8, 8, 3)))
    with pytest.raises(NotTranslatable, match=reason):
        program.compile_for_shapes(function, x)
    compiled = kernels.compile(lambda variables, x: function(x), {})
    np.testing.assert_allclose(compiled(x), function(jnp.asarray(x)), atol=1e-6)


@needs_onednn
def test_concurrent_threads_can_compile():
    x, kernel = np.ones((1, 8, 8, 3), np.float32), np.ones((3, 3, 3, 4), np.float32)

    def compile_and_call(i):
        def function(x):
            return kernels.conv_relu(x, kernel, np.full(4, i))

        return program.compile_for_shapes(function, x)(x)

    with ThreadPoolExecutor(4) as pool:
        for i, y in enumerate(pool.map(compile_and_call, range(12))):
            expected = kernels.conv_relu(x, kernel, np.full(4, i, np.float32))
            np.testing.assert_allclose(y, expected, atol=1e-5)
    assert not named_operations._keep_whole.get()


@needs_onednn
@pytest.mark.parametrize("channels", [3, 16, 32])
def test_strided_convolution_of_odd_size_equals_xla(rng, channels):
    x = np.float32(rng.normal(size=(2, 7, 9, channels)))
    kernel = np.float32(rng.normal(size=(1, 1, channels, channels)))

    def function(x):
        return kernels.conv(x[:, ::2, ::2], kernel)

    assert_close(program.compile_for_shapes(function, x)(x), function(x))


@needs_onednn
def test_other_shapes_raise_or_are_compiled(rng):
    x, y = mixed_inputs(rng)
    message = (
        r"an input has shape \(1, 12, 16, 3\), and the program was compiled for \(2, 12, 16, 3\)"
    )
    with pytest.raises(ValueError, match=message):
        program.compile_for_shapes(mixed, x, y)(x[:1], y)
    compiled = kernels.compile(mixed_with_variables, {})
    assert compiled(x, y)["small"].shape[0] == 2
    assert compiled(x[:1], y[:1])["small"].shape[0] == 1
    with pytest.raises(NotTranslatable, match="float32"):
        program.compile_for_shapes(mixed, np.float64(x), y)


@needs_onednn
def test_what_is_not_finite_is_computed_by_xla(rng):
    x, y = mixed_inputs(rng)
    x[0, 3, 3, 0] = np.nan
    outputs = kernels.compile(mixed_with_variables, {})(x, y)
    assert np.isnan(outputs["joined"]).any()  # after ReLU and max-pooling
    jax.tree.map(np.testing.assert_allclose, outputs, jax.jit(mixed)(x, y))
    kernel = np.full((1, 1, 3, 4), np.nan, np.float32)
    with pytest.raises(NotTranslatable, match="not finite"):
        program.compile_for_shapes(lambda x: kernels.conv(x, kernel), x)


def test_xla_predicts_without_onednn(rng, monkeypatch):
    monkeypatch.setattr(selection, "uses_onednn", lambda: False)
    x, y = mixed_inputs(rng)
    outputs = kernels.compile(mixed_with_variables, {})(x, y)
    jax.tree.map(assert_close, outputs, mixed(x, y))
