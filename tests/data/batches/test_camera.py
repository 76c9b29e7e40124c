"""The camera: JPEG agrees with Pillow; light, noise and resolution change as they should."""

import io

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from PIL import Image

from modest.data.batches import camera
from modest.data.synthetic import rooms


@pytest.fixture(scope="module")
def picture():
    return rooms.render(1, 64).picture


@pytest.mark.parametrize("quality", [30, 50, 90])
def test_jpeg_agrees_with_pillow(picture, quality):
    stream = io.BytesIO()
    Image.fromarray(picture).save(stream, "JPEG", quality=quality, subsampling="4:2:0")
    expected = np.asarray(Image.open(stream), np.float32)
    made = 255 * camera.jpeg(jnp.asarray(picture[None] / 255, jnp.float32), jnp.float32(quality))[0]
    error = np.abs(np.asarray(made) - expected).mean()
    loss = np.abs(expected - picture).mean()
    assert error < 0.6 * loss  # they enlarge the chrominance differently
    grey = jnp.repeat(jnp.asarray(picture[None, ..., 1:2] / 255, jnp.float32), 3, axis=3)
    stream = io.BytesIO()
    Image.fromarray(picture[..., 1]).save(stream, "JPEG", quality=quality)
    made = 255 * camera.jpeg(grey, jnp.float32(quality))[0, ..., 0]
    assert np.abs(np.asarray(made) - np.asarray(Image.open(stream), np.float32)).mean() < 0.6


def test_video_copies_what_has_not_changed_and_codes_the_rest(picture, rng):
    first = np.asarray(picture / 255, np.float32)
    second = np.clip(first + rng.normal(0, 1 / 255, first.shape), 0, 1).astype(np.float32)
    second[16:32, 16:32] = 0.9
    made = np.asarray(camera.video(jnp.asarray(np.stack([first, second])), jnp.float32(40)))
    np.testing.assert_array_equal(made[:1], camera.jpeg(jnp.asarray(first[None]), jnp.float32(40)))
    changed = np.abs(made[1] - made[0]).max(-1) > 1e-6
    outside = changed.copy()
    outside[16:32, 16:32] = False
    assert changed[16:32, 16:32].all() and outside.mean() < 0.02
    assert np.abs(made[1, 16:32, 16:32] - 0.9).mean() < 0.03


def test_relight_without_changes_is_the_identity(picture):
    draws = jnp.linspace(-1, 1, 13)
    same = camera.relight(jnp.asarray(picture / 255), draws, 0.0, 0.0, 0.0)
    np.testing.assert_allclose(same, picture / 255, rtol=1e-6)
    brighter = camera.relight(jnp.asarray(picture / 255), -draws, 0.1, 0.0, 0.0)
    np.testing.assert_allclose(brighter, 1.1 * picture / 255, rtol=1e-5)


def test_noise_has_the_deviation(rng):
    grey = jnp.full((2, 64, 64, 3), 0.5)
    noisy = camera.add_noise(jax.random.key(0), grey, jnp.float32(5))
    assert float((255 * noisy).std()) == pytest.approx(5, rel=0.03)
    assert not np.array_equal(noisy[0], noisy[1])


def test_coarse_pictures_have_lost_their_finest_detail():
    checks = jnp.asarray(np.indices((16, 16)).sum(0) % 2, jnp.float32)[None, ..., None]
    coarse = camera.coarsen(jnp.broadcast_to(checks, (1, 16, 16, 3)))
    np.testing.assert_allclose(coarse, 0.5, atol=0.1)
