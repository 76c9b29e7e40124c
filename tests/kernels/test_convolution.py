"""Every way to compute a convolution and its gradients, compared with lax.conv_general_dilated."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from modest import kernels, models
from modest.kernels import selection, xla
from modest.kernels.onednn import ffi
from reference import reference_conv

BATCHES_AND_SIZES = [
    (2, (1, 1)),
    (2, (2, 2)),
    (2, (1, 3)),
    (2, (6, 5)),
    (9, (6, 5)),
    (3, (7, 1)),
    (2, (5, 6)),
    (9, (5, 6)),
]


def reference_conv_relu(x, kernel, bias):
    return jax.nn.relu(reference_conv(x, kernel) + bias.reshape(1, 1, 1, -1))


def assert_trees_close(actual, expected, tolerance):
    """Compare with a tolerance relative to the largest value of each array."""

    def compare(a, b):
        np.testing.assert_allclose(a, b, atol=tolerance * np.abs(b).max())

    jax.tree.map(compare, actual, expected)


@pytest.mark.parametrize("batch, size", BATCHES_AND_SIZES)
@pytest.mark.parametrize("values_in_cache", [0, xla.VALUES_IN_CACHE])
def test_float64_conv_and_gradients_equal_lax(rng, x64, monkeypatch, batch, size, values_in_cache):
    monkeypatch.setattr(xla, "VALUES_IN_CACHE", values_in_cache)
    x, kernel = rng.normal(size=(batch, *size, 3)), rng.normal(size=(3, 3, 3, 4))
    g = rng.normal(size=(batch, *size, 4))
    y, backward = jax.vjp(kernels.conv, x, kernel)
    expected, expected_backward = jax.vjp(reference_conv, x, kernel)
    np.testing.assert_allclose(y, expected, atol=1e-12)
    for gradient, expected_gradient in zip(backward(g), expected_backward(g), strict=True):
        np.testing.assert_allclose(gradient, expected_gradient, atol=1e-12)


@pytest.mark.parametrize(
    "batch, size, channels",
    [
        (2, 6, (3, 4)),
        (9, 6, (16, 32)),
        (9, 5, (33, 16)),
        (2, 2, (5, 5)),
        (1, 16, (64, 64)),
        (4, 32, (64, 64)),
    ],
)
def test_float32_conv_and_gradients_equal_lax(rng, batch, size, channels):
    shapes = (batch, size, size, channels[0]), (3, 3, *channels), (batch, size, size, channels[1])
    x, kernel, g = (jnp.float32(rng.normal(size=shape)) for shape in shapes)
    y, backward = jax.vjp(kernels.conv, x, kernel)
    expected, expected_backward = jax.vjp(reference_conv, x, kernel)
    assert_trees_close(y, expected, 1e-5)
    assert_trees_close(backward(g), expected_backward(g), 1e-5)


@pytest.mark.parametrize("size, channels", [(8, 4), (48, 64)])
def test_conv_relu_and_gradient_equal_unfused_steps(rng, size, channels):
    shapes = (2, size, size, channels), (3, 3, channels, channels), (channels,)
    x, kernel, bias = (jnp.float32(rng.normal(size=shape)) for shape in shapes)
    y, backward = jax.vjp(kernels.conv_relu, x, kernel, bias)
    expected, expected_backward = jax.vjp(reference_conv_relu, x, kernel, bias)
    assert_trees_close(y, expected, 2e-5)
    assert_trees_close(jax.jit(kernels.conv_relu)(x, kernel, bias), expected, 2e-5)
    # Near 0, rounding decides whether the ReLU lets the cotangent pass.
    g = jnp.where(jnp.abs(expected) > 1e-3, 1.0, 0.0)
    assert_trees_close(backward(g), expected_backward(g), 2e-5)


@pytest.fixture
def xla_only(monkeypatch):
    monkeypatch.setattr(selection, "uses_onednn_within_xla", lambda: False)


@pytest.mark.parametrize("batch", [2, 9])
def test_gradients_by_xla_are_close(rng, xla_only, batch):
    x, g = (jnp.float32(rng.normal(size=(batch, 8, 8, channels))) for channels in (16, 8))
    kernel = jnp.float32(rng.normal(size=(3, 3, 16, 8)))
    expected = jax.vjp(reference_conv, x, kernel)[1](g)
    assert_trees_close(jax.vjp(kernels.conv, x, kernel)[1](g), expected, 1e-5)


def test_program_for_another_platform_has_no_onednn():
    """A program that is lowered for two platforms has the convolution of each."""
    x, kernel = jnp.ones((1, 32, 32, 64)), jnp.ones((3, 3, 64, 64))

    def text(*platforms):
        traced = jax.jit(jax.grad(lambda x, kernel: kernels.conv(x, kernel).sum())).trace(x, kernel)
        return traced.lower(lowering_platforms=platforms).as_text()

    assert "modest_conv" not in text("cuda") and "stablehlo.convolution" in text("cuda")
    assert ("modest_conv" in text("cpu")) == selection.uses_onednn_within_xla()
    assert ("modest_conv" in text("cuda", "cpu")) == selection.uses_onednn_within_xla()


def test_network_output_equals_xla(rng, drawn, monkeypatch):
    model = models.build("depthnet", width=8)
    pictures = [jnp.float32(rng.uniform(size=(2, 64, 64, 3))) for _ in range(2)]
    variables = drawn(jax.eval_shape(model.init, jax.random.key(0), *pictures))

    def apply_by_xla(*arguments):  # another function, which has no cached trace
        return model.apply(*arguments)

    outputs = jax.jit(model.apply)(variables, *pictures)
    monkeypatch.setattr(selection, "uses_onednn_within_xla", lambda: False)
    expected = jax.jit(apply_by_xla)(variables, *pictures)
    for head in expected:
        np.testing.assert_allclose(outputs[head], expected[head], atol=1e-5)
    assert outputs.keys() == expected.keys()


def test_failed_preparation_falls_back_to_xla_and_is_logged_once(rng, monkeypatch, caplog):
    def fail(*arrays):
        raise RuntimeError("status 7")

    monkeypatch.setattr(selection, "uses_onednn_within_xla", lambda: True)
    monkeypatch.setattr(ffi, "conv", fail)
    selection.log_fallback.cache_clear()
    x, kernel = jnp.float32(rng.normal(size=(1, 6, 6, 3))), jnp.ones((3, 3, 3, 4))
    for _ in range(2):
        assert_trees_close(kernels.conv(x, kernel), reference_conv(x, kernel), 1e-5)
    assert [record.getMessage()[-8:] for record in caplog.records] == ["status 7"]


def test_convolution_with_filled_up_channels_is_the_same(rng, x64, monkeypatch):
    x, kernel = rng.normal(size=(2, 6, 5, 3)), rng.normal(size=(3, 3, 3, 4))
    expected = jax.vjp(xla.conv, x, kernel)
    monkeypatch.setattr(xla, "GPU_CHANNELS", 8)
    actual = jax.vjp(xla.conv_on_gpu, x, kernel)
    gradient = rng.normal(size=expected[0].shape)
    results = [(value, *backward(gradient)) for value, backward in (actual, expected)]
    assert_trees_close(*results, 1e-12)
    shapes = jax.make_jaxpr(xla.conv_on_gpu)(x, kernel)
    assert "f64[2,6,5,8]" in str(shapes)
