"""Building blocks of the networks."""

import jax
import numpy as np
import pytest

from modest.models import layers


@pytest.mark.parametrize("train", [True, False])
def test_batch_norm_offset_equals_added_bias(rng, x64, train):
    x, bias = rng.normal(size=(4, 3, 3, 2)), rng.normal(size=2)
    biased = x + layers.per_channel(bias)
    norm = layers.BatchNorm()
    variables = norm.init(jax.random.key(0), x, True)
    mutable = ["batch_stats"]
    affine, stats = norm.apply(variables, x, train, offset=bias, mutable=mutable)
    expected_affine, expected_stats = norm.apply(variables, biased, train, mutable=mutable)

    def assert_close(a, b):
        np.testing.assert_allclose(a, b, atol=1e-12)

    assert_close(layers.affine(x, *affine), layers.affine(biased, *expected_affine))
    jax.tree.map(assert_close, stats, expected_stats)
