"""Augmentation as a whole: draws, probabilities, ranges, and what the compiled program contains."""

import inspect

import jax
import numpy as np
import pytest

from augment_inputs import KEY, OPTIONS, always, only
from modest import augment

OFF_BY_DEFAULT = ("crop", "rotation", "blur", "cutout", "iso_noise")


@pytest.fixture
def batch(rng):
    """Return two equal pictures, which equal draws keep equal; targets increase to the right."""
    bg = rng.random((32, 8, 8, 3), np.float32)
    ramp = np.broadcast_to(np.arange(8, dtype=np.float32).reshape(1, 1, 8, 1) / 8, (32, 8, 8, 1))
    return {"bg": bg, "bg_fg": bg, "mask": ramp, "depth": ramp, "valid": np.ones(32, bool)}


def mean_change(output, batch):
    """Return the mean absolute change of `bg` in each example."""
    return np.abs(np.asarray(output["bg"]) - batch["bg"]).mean(axis=(1, 2, 3))


def test_pair_shares_a_draw_and_examples_differ(batch):
    out = augment.augment(KEY, batch, OPTIONS)
    np.testing.assert_array_equal(out["bg"], out["bg_fg"])
    assert len(np.unique(mean_change(out, batch).round(6))) > 25
    assert out["bg"].min() >= 0 and out["bg"].max() <= 1
    assert bool(out["valid"].all())


def test_flip_moves_pictures_and_targets(batch):
    out = augment.augment(KEY, batch, only(flip=0.5))
    flipped = np.asarray(out["mask"])[:, 0, 0, 0] > 0
    assert 5 < flipped.sum() < 27
    for name in ("bg", "bg_fg", "mask", "depth"):
        expected = np.where(flipped[:, None, None, None], batch[name][:, :, ::-1], batch[name])
        np.testing.assert_array_equal(out[name], expected)


def test_all_operations_off_is_the_identity(batch):
    out = augment.augment(KEY, batch, only())
    for name, value in batch.items():
        np.testing.assert_array_equal(out[name], value)
    zero_bounds = {"probability": 1.0, "brightness": 0.0, "contrast": 0.0}
    out = augment.augment(KEY, batch, only(brightness_contrast=zero_bounds))
    np.testing.assert_array_equal(out["bg"], batch["bg"])


def test_probability_is_the_fraction_of_changed_examples(batch):
    brightness_contrast = OPTIONS["brightness_contrast"] | {"probability": 0.25}
    many = jax.tree.map(lambda x: np.tile(x, (16,) + (1,) * (x.ndim - 1)), batch)
    out = augment.augment(KEY, many, only(brightness_contrast=brightness_contrast))
    changed = (np.asarray(out["bg"]) != many["bg"]).any(axis=(1, 2, 3))
    assert 0.18 < changed.mean() < 0.32


def test_draw_depends_only_on_position_in_the_global_batch(batch):
    whole = augment.augment(KEY, batch, OPTIONS)
    second_half = jax.tree.map(lambda x: x[16:], batch)
    half = augment.augment(KEY, second_half, OPTIONS, first_index=16)
    np.testing.assert_array_equal(np.asarray(whole["bg"])[16:], half["bg"])


@pytest.mark.parametrize("name", OFF_BY_DEFAULT)
def test_operation_without_effect_is_not_in_the_program(batch, name):
    def program(options):
        def run(key, batch):
            return augment.augment(key, batch, options)

        return str(jax.make_jaxpr(run)(KEY, batch))

    halved = {key: value if key == "squares" else value / 2 for key, value in OPTIONS[name].items()}
    assert OPTIONS[name]["probability"] == 0
    assert program(OPTIONS | {name: halved}) == program(OPTIONS)
    # `color_shift` is scaled by the intensity. If only it is 0, the noise still has an effect.
    for bound in set(OPTIONS[name]) - {"probability", "color_shift"}:
        assert program(OPTIONS | always(name, **{bound: 0})) == program(OPTIONS)
    assert program(OPTIONS | always(name)) != program(OPTIONS)


def test_default_operations_keep_their_original_draws(batch):
    # Flip and brightness are recomputed from the keys. The operations that were added later must
    # not use these keys, whether they are on or off.
    keys = [jax.random.split(jax.random.fold_in(KEY, i), 3) for i in range(32)]
    flipped = np.array([jax.random.bernoulli(key[0], 0.5) for key in keys])
    options = only(flip=0.5, brightness_contrast=OPTIONS["brightness_contrast"])
    out = augment.augment(KEY, batch, options)
    np.testing.assert_array_equal(np.asarray(out["mask"])[:, 0, 0, 0] > 0, flipped)
    for i in range(32):
        apply, draw = jax.random.split(keys[i][2])
        uniform = jax.random.uniform(draw, (2,), minval=-1, maxval=1)
        brightness, contrast = 0.2 * np.asarray(uniform)
        picture = batch["bg"][i][:, ::-1] if flipped[i] else batch["bg"][i]
        if jax.random.bernoulli(apply, 0.5):
            picture = np.clip((1 + contrast) * picture + brightness, 0, 1)
        np.testing.assert_allclose(out["bg"][i], picture, atol=1e-6)
    others = always("blur") | always("cutout")
    with_others = augment.augment(KEY, batch, options | others)
    np.testing.assert_array_equal(with_others["mask"], out["mask"])


def test_folded_in_numbers_are_distinct_from_split_keys():
    source = inspect.getsource(augment)
    used = [number for number in range(256) if f"fold_in(key, {number})" in source]
    # fold_in(key, 0) may be equal to split(key, 3)[0]
    assert len(used) == len(OFF_BY_DEFAULT) and min(used) > 2


@pytest.mark.parametrize("name", ["crop", "rotation", "blur", "cutout"])
def test_operation_has_one_draw_per_example(batch, name):
    options = only(**always(name))
    out = augment.augment(KEY, batch, options)
    np.testing.assert_array_equal(out["bg"], out["bg_fg"])
    # A crop of 8 px has only nine places.
    least = 3 if name == "crop" else 20
    assert len(np.unique(mean_change(out, batch).round(6))) > least
    rolled = jax.tree.map(lambda x: np.roll(x, -2, axis=0), batch)
    later = augment.augment(KEY, rolled, options, first_index=2)
    for kind in batch:
        np.testing.assert_array_equal(later[kind][:30], out[kind][2:])


def test_all_operations_stay_in_range_on_any_device(rng):
    largest = {
        "crop": {"padding": 1.0},
        "rotation": {"degrees": 180.0},
        "blur": {"sigma": 2.0},
        "cutout": {"squares": 2, "size": 0.5},
        "iso_noise": {"color_shift": 1.0, "intensity": 1.0},
    }
    options = {"flip": 0.5}
    for name in set(OPTIONS) - {"flip"}:
        options |= always(name, **largest.get(name, {}))
    batch = {
        name: rng.choice(np.float32([0, 0.5, 1]), (4, 1, 9, 13, 3)) for name in ("bg", "bg_fg")
    }
    batch |= {
        "mask": rng.choice(np.float32([0, 1]), (4, 1, 9, 13, 1)),
        "depth": rng.uniform(0.01, 1, (4, 1, 9, 13, 1)).astype(np.float32),
    }

    def augment_at(first_index, example):
        return augment.augment(KEY, example, options, first_index)

    first = np.arange(4)
    augmented = jax.pmap(augment_at, devices=jax.devices()[:4])
    out = augmented(first, batch)
    for name in ("bg", "bg_fg"):
        assert out[name].shape == (4, 1, 9, 13, 3) and out[name].dtype == np.float32
        assert 0 <= out[name].min() and out[name].max() <= 1
        assert (np.abs(out[name] - batch[name]) > 0.01).mean() > 0.5
    assert set(np.unique(out["mask"])) == {0, 1}
    assert set(np.unique(out["depth"])) <= set(np.unique(batch["depth"]))
    elsewhere = augmented(first[::-1], {name: value[::-1] for name, value in batch.items()})
    for name, value in elsewhere.items():
        np.testing.assert_array_equal(value[::-1], out[name])
