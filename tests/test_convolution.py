"""Every way of doing a convolution, and its gradients, against the library's call."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from modest import models
from modest.models import convolution, onednn

needs_onednn = pytest.mark.skipif(not onednn.available(), reason="this machine's jaxlib has no oneDNN that was tested")


def library(x, kernel):
    return jax.lax.conv_general_dilated(x, kernel, (1, 1), "SAME", dimension_numbers=("NHWC", "HWIO", "NHWC"))


@pytest.mark.parametrize(
    "batch, size", [(2, (1, 1)), (2, (2, 2)), (2, (1, 3)), (2, (6, 5)), (9, (6, 5)), (3, (7, 1)), (2, (5, 6)), (9, (5, 6))]
)
@pytest.mark.parametrize("small_copy", [0, convolution.SMALL_COPY])
def test_conv_is_laxs_and_so_are_its_gradients(rng, x64, monkeypatch, batch, size, small_copy):
    monkeypatch.setattr(convolution, "SMALL_COPY", small_copy)
    x, kernel, g = (rng.normal(size=shape) for shape in ((batch, *size, 3), (3, 3, 3, 4), (batch, *size, 4)))
    (y, backward), (expected, expected_backward) = jax.vjp(convolution.conv, x, kernel), jax.vjp(library, x, kernel)
    np.testing.assert_allclose(y, expected, atol=1e-12)
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, atol=1e-12), backward(g), expected_backward(g))


@needs_onednn
@pytest.mark.parametrize(
    "batch, size, channels",
    [(2, 6, (3, 4)), (9, 6, (16, 32)), (9, 5, (33, 16)), (2, 2, (5, 5)), (1, 16, (64, 64)), (4, 32, (64, 64))],
)
def test_onednns_ways_are_laxs_and_so_are_their_gradients(rng, batch, size, channels):
    shapes = (batch, size, size, channels[0]), (3, 3, *channels), (batch, size, size, channels[1])
    x, kernel, g = (jnp.float32(rng.normal(size=shape)) for shape in shapes)
    (y, backward), (expected, expected_backward) = jax.vjp(convolution.conv, x, kernel), jax.vjp(library, x, kernel)
    close = lambda a, b: np.testing.assert_allclose(a, b, atol=1e-5 * np.abs(b).max())
    close(y, expected)
    jax.tree.map(close, backward(g), expected_backward(g))


@pytest.mark.parametrize("size, channels", [(8, 4), (48, 64)])
def test_conv_relu_is_its_three_steps_and_so_is_its_gradient(rng, size, channels):
    shapes = (2, size, size, channels), (3, 3, channels, channels), (channels,)
    x, kernel, bias = (jnp.float32(rng.normal(size=shape)) for shape in shapes)
    plain = lambda x, kernel, bias: jax.nn.relu(library(x, kernel) + bias.reshape(1, 1, 1, -1))
    (y, backward), (expected, expected_backward) = jax.vjp(convolution.conv_relu, x, kernel, bias), jax.vjp(plain, x, kernel, bias)
    close = lambda a, b: np.testing.assert_allclose(a, b, atol=2e-5 * np.abs(b).max())
    close(y, expected)
    close(jax.jit(convolution.conv_relu)(x, kernel, bias), expected)
    g = jnp.where(jnp.abs(expected) > 1e-3, 1.0, 0.0)  # not where rounding decides
    jax.tree.map(close, backward(g), expected_backward(g))


def test_by_library_makes_the_librarys_calls_alone():
    x, kernel = jnp.ones((1, 32, 32, 64)), jnp.ones((3, 3, 64, 64))
    with convolution.by_library():
        inside = jax.jit(lambda x, kernel: convolution.conv_relu(x, kernel, kernel[0, 0, 0])).lower(x, kernel).as_text()
    assert "onednn" not in inside and inside.count("stablehlo.convolution") == 1


def test_a_network_predicts_the_same_either_way(rng, drawn):
    model, pictures = models.build("depthnet", width=8), [jnp.float32(rng.uniform(size=(2, 64, 64, 3))) for _ in range(2)]
    variables = drawn(jax.eval_shape(model.init, jax.random.key(0), *pictures))
    ours = jax.jit(model.apply)(variables, *pictures)
    with convolution.by_library():
        expected = jax.jit(lambda *arguments: model.apply(*arguments))(variables, *pictures)
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, atol=1e-5), ours, expected)
