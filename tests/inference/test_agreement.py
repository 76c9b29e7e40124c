"""How well two pictures agree: displacement, gain, mismatch."""

import numpy as np
import pytest
from scipy import ndimage

from modest.data.synthetic import rooms
from modest.inference import agreement


@pytest.fixture(scope="module")
def picture():
    return rooms.render(1, 224).picture


def noisy(rng, picture, gain=1.0):
    drawn = picture * gain + rng.normal(0, 2, picture.shape)
    return np.clip(drawn, 0, 255).astype(np.uint8)


@pytest.mark.parametrize("px", [0.0, 0.5, 1.0])
def test_displacement_of_a_small_shift_is_exact(rng, picture, px):
    moved = ndimage.shift(picture.astype(float), (0, px, 0), order=1, mode="nearest")
    found = agreement.compare(picture, noisy(rng, moved))
    assert found.displacement * 224 == pytest.approx(px, abs=0.2)
    np.testing.assert_allclose(found.gain, 1, atol=0.02)


def test_contrast_brightens_the_darker_half_and_darkens_the_brighter(rng, picture):
    found = agreement.compare(picture, noisy(rng, 128 + 0.7 * (picture.astype(float) - 128)))
    assert (found.gain[0] > found.gain[1] + 0.05).all()


def test_gain_and_displacement_ignore_a_figure(rng, picture):
    other = noisy(rng, picture, 0.8)
    other[60:, 70:150] = (200, 30, 30)
    found = agreement.compare(picture, other)
    np.testing.assert_allclose(found.gain, 0.8, atol=0.02)
    assert found.displacement * 224 < 0.4


def test_mismatch_tells_one_view_from_two(rng, picture):
    assert agreement.mismatch(picture, noisy(rng, picture, 0.7)) < 0.1
    for seed in (2, 3, 4):
        assert agreement.mismatch(picture, rooms.render(seed, 224).picture) > 0.5


def test_noise_of_a_small_camera_is_no_mismatch(rng, picture):
    small = picture[40:200, :160]
    before, after = (np.clip(small + rng.normal(0, 12, small.shape), 0, 255) for _ in range(2))
    assert agreement.mismatch(before.astype(np.uint8), after.astype(np.uint8)) < 0.15


def test_background_with_few_corners_is_not_of_every_view(picture):
    """Then the texture of the other picture counts; without any, nothing can be told."""
    wall = np.full_like(picture, 128)
    assert not agreement.compare(wall, picture).is_one_view
    assert agreement.compare(wall, wall).is_one_view


def test_mismatch_leaves_the_mask_out_unless_it_hides_nearly_all(picture):
    other = picture.copy()
    other[:, :150] = np.random.default_rng(0).integers(0, 255, (224, 150, 3))
    mask = np.zeros((224, 224), np.float32)
    assert agreement.mismatch(picture, other, mask) > 0.5
    mask[:, :150] = 1
    assert agreement.mismatch(picture, other, mask) < 0.01
    mask[:] = 1
    assert agreement.mismatch(picture, other, mask) > 0.5


def test_pictures_without_texture_cannot_be_compared():
    grey = np.full((100, 120, 3), 128, np.uint8)
    assert agreement.mismatch(grey, grey) is None
    assert agreement.compare(grey, grey).displacement == 0
