"""Each operation of the augmentation, against NumPy, SciPy, colorsys and known values."""

import colorsys

import jax.numpy as jnp
import numpy as np
import pytest
from scipy import ndimage

from augment_inputs import KEY, OPTIONS, always, only
from modest import augment


@pytest.fixture
def scene(rng):
    """Return 16 pairs of 24 x 36 px.

    `bg` is smooth. The mask is a disc, and the red channel of `bg_fg` is equal to it. `depth` is a
    slope with one value on the disc.
    """
    row, column = np.indices((24, 36), np.float32)
    disc = ((row - 8) ** 2 + (column - 24) ** 2 < 25).astype(np.float32)[..., None]
    bg = 0.5 + 0.4 * np.sin(row / 5 + rng.uniform(0, 6, (16, 1, 1))) * np.cos(column / 7)
    bg = np.repeat(bg.astype(np.float32)[..., None], 3, axis=-1)
    bg_fg = np.concatenate([np.broadcast_to(disc, bg[..., :1].shape), bg[..., 1:]], axis=-1)
    depth = np.where(disc > 0, 0.3, 0.4 + row[..., None] / 48).astype(np.float32)
    mask, depth = (np.repeat(image[None], 16, axis=0) for image in (disc, depth))
    return {"bg": bg, "bg_fg": bg_fg, "mask": mask, "depth": depth, "valid": np.arange(16) < 15}


def test_hsv_shift_matches_colorsys(rng):
    pictures = rng.random((1, 3, 3, 3), np.float32)
    out = augment._shift_hsv(jnp.asarray(pictures), hue=0.1, saturation=-0.05, value=0.07)
    for pixel, shifted in zip(pictures.reshape(-1, 3), np.asarray(out).reshape(-1, 3)):
        h, s, v = colorsys.rgb_to_hsv(*map(float, pixel))
        h, s, v = (h + 0.1) % 1, np.clip(s - 0.05, 0, 1), np.clip(v + 0.07, 0, 1)
        np.testing.assert_allclose(shifted, colorsys.hsv_to_rgb(h, s, v), atol=1e-5)


def test_default_ranges_are_the_originals():
    # albumentations in the original: hue 20 of 180, saturation 30 and value 20 of 255.
    assert OPTIONS["hue_saturation_value"] == {
        "probability": 0.5,
        "hue": 20 / 180,
        "saturation": 30 / 255,
        "value": 20 / 255,
    }


def test_brightness_contrast_scales_about_black():
    x = jnp.full((2, 1, 1, 3), 0.5)
    out = augment._shift_brightness_contrast(x, 0.1, -0.2)
    np.testing.assert_allclose(out, 0.5, atol=1e-6)  # (1 - 0.2) * 0.5 + 0.1


def test_crop_is_a_window_of_the_reflected_picture(scene):
    out = augment.augment(KEY, scene, only(**always("crop", padding=0.1)))
    height, width = 2, 4  # a tenth of 24 and of 36
    widths = ((0, 0), (height, height), (width, width), (0, 0))
    padded = {
        name: np.pad(scene[name], widths, mode="reflect")
        for name in ("bg", "bg_fg", "mask", "depth")
    }

    def is_window(i, row, column):
        return all(
            np.array_equal(images[i, row : row + 24, column : column + 36], out[name][i])
            for name, images in padded.items()
        )

    places = [(row, column) for row in range(2 * height + 1) for column in range(2 * width + 1)]
    found = [[place for place in places if is_window(i, *place)] for i in range(16)]
    assert all(len(matches) == 1 for matches in found)  # one place, the same in all four images
    rows, columns = zip(*(matches[0] for matches in found))
    assert {0, 2 * height} <= set(rows) and max(columns) - min(columns) >= 6
    np.testing.assert_array_equal(out["valid"], scene["valid"])


def test_rotation_moves_targets_with_pictures(scene):
    out = augment.augment(KEY, scene, only(**always("rotation", degrees=40)))
    red = np.asarray(out["bg_fg"])[..., 0]
    mask, depth = (np.asarray(out[name])[..., 0] for name in ("mask", "depth"))
    assert set(np.unique(mask)) == {0, 1}
    assert set(np.unique(depth)) <= set(np.unique(scene["depth"]))  # no new depth values
    # The nearest of four pixels has at least a quarter of the bilinear weight.
    assert np.abs(red - mask).max() <= 0.75 + 1e-5
    np.testing.assert_array_equal(depth == np.float32(0.3), mask == 1)
    moved = (mask != scene["mask"][..., 0]).sum(axis=(1, 2))
    assert moved.max() > 40 and len(np.unique(moved)) > 8
    np.testing.assert_array_equal(out["valid"], scene["valid"])


def test_rotation_matches_scipy_and_a_quarter_turn_is_exact(scene):
    image = scene["bg_fg"][0]
    for order in (0, 1):
        out = augment._rotate_by(jnp.asarray(image), np.radians(25.0).astype(np.float32), order)
        expected = ndimage.rotate(image, 25, reshape=False, order=order, mode="mirror")
        # A place half way between two pixels may be rounded either way.
        assert (np.abs(out - expected) < 1e-4).mean() > 0.999
    square = image[:, :24]
    out = augment._rotate_by(jnp.asarray(square), np.float32(np.pi / 2), 0)
    np.testing.assert_array_equal(out, np.rot90(square))


def test_rotation_stays_within_its_bound(monkeypatch, scene):
    def encode_angle(image, angle, order):
        return jnp.full_like(image, jnp.degrees(angle) / 100 + 0.5)

    monkeypatch.setattr(augment, "_rotate_by", encode_angle)
    out = augment.augment(KEY, scene, only(**always("rotation", degrees=20)))
    angles = 100 * (np.asarray(out["bg"])[:, 0, 0, 0] - 0.5)
    assert -20 <= angles.min() < -10 and 10 < angles.max() <= 20


@pytest.mark.parametrize("sigma", [0.0, 0.6, 1.7])
def test_blur_matches_scipy(scene, sigma):
    pictures = scene["bg_fg"][:2]
    out = augment.gaussian_blur(jnp.asarray(pictures), jnp.float32(sigma), radius=6)
    expected = pictures
    if sigma:
        expected = ndimage.gaussian_filter(
            pictures, (0, sigma, sigma, 0), mode="mirror", radius=(0, 6, 6, 0)
        )
    np.testing.assert_allclose(out, expected, atol=1e-6)


def test_blur_stays_within_its_bound_and_keeps_targets(scene):
    point = np.zeros((16, 24, 36, 3), np.float32)
    point[:, 12, 18] = 1
    points = scene | {"bg": point, "bg_fg": point}
    out = augment.augment(KEY, points, only(**always("blur", sigma=2.0)))
    profile = np.asarray(out["bg"])[..., 0].sum(axis=2)
    sigmas = np.sqrt((profile * (np.arange(24) - 12) ** 2).sum(axis=1))
    assert sigmas.min() < 0.7 and 1.3 < sigmas.max() <= 2
    for name in ("mask", "depth"):
        np.testing.assert_array_equal(out[name], scene[name])


def test_cutout_hides_the_same_squares_in_both_pictures_only(scene):
    # Make all pixels darker than a square.
    scene |= {name: 0.4 * scene[name] for name in ("bg", "bg_fg")}
    out = augment.augment(KEY, scene, only(**always("cutout", squares=2, size=0.25)))
    hidden = {
        name: (np.asarray(out[name]) == augment.CUTOUT_VALUE).all(axis=-1)
        for name in ("bg", "bg_fg")
    }
    np.testing.assert_array_equal(hidden["bg"], hidden["bg_fg"])
    for name, where in hidden.items():
        np.testing.assert_array_equal(np.asarray(out[name])[~where], scene[name][~where])
    count = hidden["bg"].sum(axis=(1, 2))
    # Two squares with a side of a quarter of 24 px, if they do not overlap and are inside.
    assert count.max() == 2 * 6 * 6
    # A square centred on a corner of the picture still hides a quarter of its area.
    assert 9 <= count.min() < 2 * 6 * 6
    for name in ("mask", "depth", "valid"):
        np.testing.assert_array_equal(out[name], scene[name])


def test_squares_are_filled_at_their_corners():
    out = augment._fill_squares(jnp.zeros((2, 5, 7, 3)), jnp.array([[-1, 4], [3, 0]]), 2)
    expected = np.zeros((5, 7))
    expected[0, 4:6] = expected[3:5, 0:2] = augment.CUTOUT_VALUE
    np.testing.assert_array_equal(out, np.broadcast_to(expected[..., None], (2, 5, 7, 3)))


def test_iso_noise_has_the_expected_deviation_per_picture():
    # Lightness is 0.3 in one picture and 0.7 in the other. The standard deviation of both together
    # is 0.2, so the counts have a mean of 255 * 0.5 * 0.2 = 25.5.
    levels = (0.3, 0.7)
    pictures = np.stack([np.full((32, 32, 3), level, np.float32) for level in levels])
    out = augment._iso_noise(KEY, jnp.asarray(pictures), 0.05, 0.5)
    noise = np.asarray(out)[..., 0] - pictures[..., 0]
    for values, lightness in zip(noise, levels):
        assert values.mean() == pytest.approx((1 - lightness) * 25.5 / 255, rel=0.03)
        assert values.std() == pytest.approx((1 - lightness) * np.sqrt(25.5) / 255, rel=0.08)
    neighbours = noise[0, :, :-1].ravel(), noise[0, :, 1:].ravel()
    assert abs(np.corrcoef(noise[0].ravel(), noise[1].ravel())[0, 1]) < 0.1
    assert abs(np.corrcoef(*neighbours)[0, 1]) < 0.1


def test_iso_noise_shifts_the_hue_in_turns():
    # All pixels have the same lightness, so that only the hue gets noise.
    pictures = np.broadcast_to(np.float32([0.2, 0.6, 0.6]), (2, 32, 32, 3))
    out = np.asarray(augment._iso_noise(KEY, jnp.asarray(pictures), 0.05, 0.8))
    hls = np.array([colorsys.rgb_to_hls(*map(float, pixel)) for pixel in out.reshape(-1, 3)])
    assert hls[:, 0].mean() == pytest.approx(0.5, abs=0.005)
    assert hls[:, 0].std() == pytest.approx(0.05 * 0.8, rel=0.05)
    np.testing.assert_allclose(hls[:, 1:], np.broadcast_to([0.4, 0.5], (2048, 2)), atol=1e-3)


def test_iso_noise_has_the_same_strength_for_the_pair(monkeypatch, scene):
    def encode_amounts(key, pictures, *amounts):
        return pictures.at[..., :2].set(jnp.stack(amounts))

    monkeypatch.setattr(augment, "_iso_noise", encode_amounts)
    options = only(**always("iso_noise", color_shift=0.2, intensity=0.8))
    out = augment.augment(KEY, scene, options)
    np.testing.assert_array_equal(out["bg"][..., :2], out["bg_fg"][..., :2])
    for channel, bound in enumerate((0.2, 0.8)):
        drawn = np.asarray(out["bg"])[:, 0, 0, channel]
        assert 0 <= drawn.min() < 0.3 * bound and 0.8 * bound < drawn.max() <= bound
    np.testing.assert_array_equal(out["mask"], scene["mask"])


def test_batch_without_depth_gets_the_same_draws(scene):
    moving = only(**always("crop"), **always("rotation"))
    out = augment.augment(KEY, scene, moving)
    batch = {name: scene[name] for name in ("bg", "bg_fg", "mask")}
    without = augment.augment(KEY, batch, moving)
    assert set(without) == {"bg", "bg_fg", "mask"}
    for name, value in without.items():
        np.testing.assert_array_equal(value, out[name])
