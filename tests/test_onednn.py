"""XLA's oneDNN calls, which are described by JSON that XLA documents nowhere, against plain JAX."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from modest.models import onednn

needs_onednn = pytest.mark.skipif(not onednn.available(), reason="this machine's jaxlib has no oneDNN that was tested")


def normal(rng, *shape):
    return jnp.float32(rng.normal(size=shape))


@needs_onednn
@pytest.mark.parametrize("taps", [(3, 3), (1, 3), (5, 1)])
@pytest.mark.parametrize("shape, features", [((2, 13, 9, 5), 7), ((1, 1, 2, 32), 16), ((9, 6, 6, 3), 1), ((1, 4, 4, 1), 130)])
@pytest.mark.parametrize("relu", [False, True])
def test_conv_is_laxs(rng, taps, shape, features, relu):
    x, kernel, bias = normal(rng, *shape), normal(rng, *taps, shape[-1], features), normal(rng, features)
    layout = ("NHWC", "HWIO", "NHWC")
    plain = jax.lax.conv_general_dilated(x, kernel, (1, 1), "SAME", dimension_numbers=layout)
    finish = jax.nn.relu if relu else lambda y: y
    atol = 1e-5 * np.abs(plain).max()
    np.testing.assert_allclose(jax.jit(lambda *a: onednn.conv(*a, relu=relu))(x, kernel), finish(plain), atol=atol)
    biased = finish(plain + bias.reshape(1, 1, 1, -1))
    np.testing.assert_allclose(jax.jit(lambda *a: onednn.conv(*a, relu=relu))(x, kernel, bias), biased, atol=atol)


@needs_onednn
def test_vmap_calls_one_after_another(rng):
    x, kernel = normal(rng, 3, 2, 6, 5, 4), normal(rng, 3, 3, 4, 7)
    expected = onednn.conv(x.reshape(6, 6, 5, 4), kernel).reshape(3, 2, 6, 5, 7)
    np.testing.assert_allclose(jax.vmap(lambda x: onednn.conv(x, kernel))(x), expected, atol=1e-6)


@needs_onednn
def test_only_float32_of_something_suits():
    assert onednn.suits(jnp.ones((1, 2, 2, 3)))
    assert not onednn.suits(jnp.ones((1, 2, 2, 3), jnp.bfloat16))
    assert not onednn.suits(np.ones((1, 2, 2, 3)))
    assert not onednn.suits(jnp.ones((0, 2, 2, 3)))


@needs_onednn
def test_not_with_another_jaxlib_nor_with_the_compilation_cache(monkeypatch, tmp_path):
    with monkeypatch.context() as patched:
        patched.setattr(onednn.jaxlib, "__version__", "0.11.0")
        assert not onednn.available()
    jax.config.update("jax_compilation_cache_dir", str(tmp_path))
    try:
        assert not onednn.available()
    finally:
        jax.config.update("jax_compilation_cache_dir", None)
    assert onednn.available()
