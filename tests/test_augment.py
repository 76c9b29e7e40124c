"""Augmentation: one draw for the pair, flips for all four, and nothing where it is off."""

import colorsys

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from configs import depthnet
from modest import augment as augmentation

OPTIONS = depthnet.get_config().augment.to_dict()
KEY = jax.random.key(0)


@pytest.fixture
def batch(rng):
    """Both pictures equal, so that equal draws keep them equal; the targets count pixels from the left."""
    bg = rng.random((32, 8, 8, 3), np.float32)
    ramp = np.broadcast_to(np.arange(8, dtype=np.float32).reshape(1, 1, 8, 1) / 8, (32, 8, 8, 1))
    return {"bg": bg, "bg_fg": bg, "mask": ramp, "depth": ramp, "valid": np.ones(32, bool)}


def only(**changes):
    """The options with everything off but `changes`."""
    off = {name: 0.0 if name == "flip" else value | {"probability": 0.0} for name, value in OPTIONS.items()}
    return off | changes


def test_both_pictures_get_the_same_draw_and_examples_different_ones(batch):
    out = augmentation.augment(KEY, batch, OPTIONS)
    np.testing.assert_array_equal(out["bg"], out["bg_fg"])
    change = np.abs(np.asarray(out["bg"]) - batch["bg"]).mean(axis=(1, 2, 3))
    assert len(np.unique(change.round(6))) > 25
    assert out["bg"].min() >= 0 and out["bg"].max() <= 1
    assert bool(out["valid"].all())


def test_flip_turns_all_four(batch):
    out = augmentation.augment(KEY, batch, only(flip=0.5))
    turned = np.asarray(out["mask"])[:, 0, 0, 0] > 0
    assert 5 < turned.sum() < 27
    for name in ("bg", "bg_fg", "mask", "depth"):
        expected = np.where(turned[:, None, None, None], batch[name][:, :, ::-1], batch[name])
        np.testing.assert_array_equal(out[name], expected)


def test_off_is_the_identity_and_not_in_the_program(batch):
    out = augmentation.augment(KEY, batch, only())
    for name, value in batch.items():
        np.testing.assert_array_equal(out[name], value)
    zero_ranges = only(brightness_contrast={"probability": 1.0, "brightness": 0.0, "contrast": 0.0})
    np.testing.assert_array_equal(augmentation.augment(KEY, batch, zero_ranges)["bg"], batch["bg"])


def test_probability_is_the_share_of_examples_changed(batch):
    options = only(brightness_contrast=OPTIONS["brightness_contrast"] | {"probability": 0.25})
    many = jax.tree.map(lambda x: np.tile(x, (16,) + (1,) * (x.ndim - 1)), batch)
    out = augmentation.augment(KEY, many, options)
    changed = (np.asarray(out["bg"]) != many["bg"]).any(axis=(1, 2, 3))
    assert 0.18 < changed.mean() < 0.32


def test_hsv_shift_is_colorsys(rng):
    pictures = rng.random((1, 3, 3, 3), np.float32)
    out = augmentation._shift_hsv(jnp.asarray(pictures), hue=0.1, saturation=-0.05, value=0.07)
    for pixel, shifted in zip(pictures.reshape(-1, 3), np.asarray(out).reshape(-1, 3)):
        h, s, v = colorsys.rgb_to_hsv(*map(float, pixel))
        expected = colorsys.hsv_to_rgb((h + 0.1) % 1, np.clip(s - 0.05, 0, 1), np.clip(v + 0.07, 0, 1))
        np.testing.assert_allclose(shifted, expected, atol=1e-5)


def test_ranges_are_the_albumentations_of_the_original():
    # Hue 20 of 180, saturation 30 and value 20 of 255; x -> (1 + contrast) x + brightness.
    assert OPTIONS["hue_saturation_value"] == {"probability": 0.5, "hue": 20 / 180, "saturation": 30 / 255, "value": 20 / 255}
    x = jnp.full((2, 1, 1, 3), 0.5)
    np.testing.assert_allclose(augmentation._shift_brightness_contrast(x, 0.1, -0.2), 0.5, atol=1e-6)


def test_a_draw_depends_on_the_place_in_the_global_batch_alone(batch):
    whole = augmentation.augment(KEY, batch, OPTIONS)
    half = augmentation.augment(KEY, jax.tree.map(lambda x: x[16:], batch), OPTIONS, first_index=16)
    np.testing.assert_array_equal(np.asarray(whole["bg"])[16:], half["bg"])
