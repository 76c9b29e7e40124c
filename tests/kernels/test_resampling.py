"""Pooling and upsampling compared with Flax and JAX."""

import flax.linen as nn
import jax
import numpy as np

from modest import kernels


def test_max_pool_and_gradient_equal_flax(rng):
    x = rng.normal(size=(2, 6, 8, 3)).astype(np.float32)
    g = rng.normal(size=(2, 3, 4, 3)).astype(np.float32)

    def reference(x):
        return nn.max_pool(x, (2, 2), (2, 2))

    y, backward = jax.vjp(kernels.max_pool, x)
    expected, expected_backward = jax.vjp(reference, x)
    np.testing.assert_array_equal(y, expected)
    np.testing.assert_array_equal(backward(g)[0], expected_backward(g)[0])


def test_max_pool_splits_gradient_between_equal_values():
    def total(x):
        return kernels.max_pool(x).sum()

    gradient = jax.grad(total)(np.ones((1, 2, 2, 1), np.float32))
    np.testing.assert_array_equal(gradient, 0.25)


def test_upsample_and_gradient_equal_jax_image_resize(rng, x64):
    x = rng.normal(size=(2, 3, 5, 4))
    g = rng.normal(size=(2, 6, 10, 4))

    def reference(x):
        return jax.image.resize(x, (2, 6, 10, 4), "bilinear")

    y, backward = jax.vjp(kernels.upsample, x)
    expected, expected_backward = jax.vjp(reference, x)
    np.testing.assert_allclose(y, expected, atol=1e-12)
    np.testing.assert_allclose(backward(g)[0], expected_backward(g)[0], atol=1e-12)
