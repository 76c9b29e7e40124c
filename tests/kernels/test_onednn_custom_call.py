"""XLA's built-in oneDNN call, whose configuration is undocumented, compared with plain JAX."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from modest.kernels.onednn import custom_call

needs_custom_call = pytest.mark.skipif(
    not custom_call.available(), reason="no tested jaxlib with oneDNN built in"
)


def normal(rng, *shape):
    return jnp.float32(rng.normal(size=shape))


@needs_custom_call
@pytest.mark.parametrize("kernel_size", [(3, 3), (1, 3), (5, 1)])
@pytest.mark.parametrize(
    "shape, features",
    [((2, 13, 9, 5), 7), ((1, 1, 2, 32), 16), ((9, 6, 6, 3), 1), ((1, 4, 4, 1), 130)],
)
@pytest.mark.parametrize("relu", [False, True])
def test_conv_equals_lax(rng, kernel_size, shape, features, relu):
    x, bias = normal(rng, *shape), normal(rng, features)
    kernel = normal(rng, *kernel_size, shape[-1], features)
    axes = ("NHWC", "HWIO", "NHWC")
    plain = jax.lax.conv_general_dilated(x, kernel, (1, 1), "SAME", dimension_numbers=axes)
    biased = plain + bias.reshape(1, 1, 1, -1)
    if relu:
        expected, expected_biased = jax.nn.relu(plain), jax.nn.relu(biased)
    else:
        expected, expected_biased = plain, biased

    @jax.jit
    def conv(*operands):
        return custom_call.conv(*operands, relu=relu)

    atol = 1e-5 * np.abs(plain).max()
    np.testing.assert_allclose(conv(x, kernel), expected, atol=atol)
    np.testing.assert_allclose(conv(x, kernel, bias), expected_biased, atol=atol)


@needs_custom_call
def test_vmap_equals_larger_batch(rng):
    x, kernel = normal(rng, 3, 2, 6, 5, 4), normal(rng, 3, 3, 4, 7)
    expected = custom_call.conv(x.reshape(6, 6, 5, 4), kernel).reshape(3, 2, 6, 5, 7)
    mapped = jax.vmap(custom_call.conv, in_axes=(0, None))(x, kernel)
    np.testing.assert_allclose(mapped, expected, atol=1e-6)


@needs_custom_call
def test_supports_only_non_empty_float32():
    assert custom_call.supports(jnp.ones((1, 2, 2, 3)))
    assert not custom_call.supports(jnp.ones((1, 2, 2, 3), jnp.bfloat16))
    assert not custom_call.supports(np.ones((1, 2, 2, 3)))
    assert not custom_call.supports(jnp.ones((0, 2, 2, 3)))


@needs_custom_call
def test_unavailable_with_untested_jaxlib_or_compilation_cache(monkeypatch, tmp_path):
    with monkeypatch.context() as patched:
        patched.setattr(custom_call.jaxlib, "__version__", "0.11.0")
        assert not custom_call.available()
    jax.config.update("jax_compilation_cache_dir", str(tmp_path))
    try:
        assert not custom_call.available()
    finally:
        jax.config.update("jax_compilation_cache_dir", None)
    assert custom_call.available()
