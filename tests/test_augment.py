"""Augmentation: one draw for the pair, whatever moves moves all four, and nothing where it is off."""

import colorsys
import inspect

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from PIL import Image
from scipy import ndimage

from configs import depthnet
from modest import augment as augmentation
from modest.data import augmentation_sheet

OPTIONS = depthnet.get_config().augment.to_dict()
KEY = jax.random.key(0)
LATER = ("crop", "rotation", "blur", "cutout", "iso_noise")  # off in the default recipe


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


def always(name, **bounds):
    """The options of one operation that is always done, with these bounds in place of the default ones."""
    return {name: OPTIONS[name] | {"probability": 1.0} | bounds}


@pytest.fixture
def scene(rng):
    """16 pairs of 24 x 36 px: a smooth bg; a bg_fg whose red is the mask, a disc; a sloped depth, one value on the disc."""
    row, column = np.indices((24, 36), np.float32)
    disc = ((row - 8) ** 2 + (column - 24) ** 2 < 25).astype(np.float32)[..., None]
    bg = 0.5 + 0.4 * np.sin(row / 5 + rng.uniform(0, 6, (16, 1, 1))) * np.cos(column / 7)
    bg = np.repeat(bg.astype(np.float32)[..., None], 3, axis=-1)
    bg_fg = np.concatenate([np.broadcast_to(disc, bg[..., :1].shape), bg[..., 1:]], axis=-1)
    depth = np.where(disc > 0, 0.3, 0.4 + row[..., None] / 48).astype(np.float32)
    repeated = {name: np.repeat(image[None], 16, axis=0) for name, image in (("mask", disc), ("depth", depth))}
    return {"bg": bg, "bg_fg": bg_fg, **repeated, "valid": np.arange(16) < 15}


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


@pytest.mark.parametrize("name", LATER)
def test_what_is_off_is_not_in_the_program(batch, name):
    program = lambda options: str(jax.make_jaxpr(lambda key, batch: augmentation.augment(key, batch, options))(KEY, batch))
    halved = {key: value if key == "squares" else value / 2 for key, value in OPTIONS[name].items()}
    assert OPTIONS[name]["probability"] == 0
    assert program(OPTIONS | {name: halved}) == program(OPTIONS)
    for bound in set(OPTIONS[name]) - {"probability", "color_shift"}:  # hue noise is scaled by the intensity, and may be 0 alone
        assert program(OPTIONS | always(name, **{bound: 0})) == program(OPTIONS)
    assert program(OPTIONS | always(name)) != program(OPTIONS)


def test_the_first_operations_draw_what_they_drew_before_there_were_others(batch):
    # Flip and brightness written out from the keys. A new operation takes none of these, whether it is on or off.
    keys = [jax.random.split(jax.random.fold_in(KEY, i), 3) for i in range(32)]
    turned = np.array([jax.random.bernoulli(key[0], 0.5) for key in keys])
    options = only(flip=0.5, brightness_contrast=OPTIONS["brightness_contrast"])
    out = augmentation.augment(KEY, batch, options)
    np.testing.assert_array_equal(np.asarray(out["mask"])[:, 0, 0, 0] > 0, turned)
    for i in range(32):
        apply, draw = jax.random.split(keys[i][2])
        brightness, contrast = 0.2 * np.asarray(jax.random.uniform(draw, (2,), minval=-1, maxval=1))
        picture = batch["bg"][i][:, ::-1] if turned[i] else batch["bg"][i]
        lit = np.clip((1 + contrast) * picture + brightness, 0, 1) if jax.random.bernoulli(apply, 0.5) else picture
        np.testing.assert_allclose(out["bg"][i], lit, atol=1e-6)
    others = always("blur") | always("cutout")
    np.testing.assert_array_equal(augmentation.augment(KEY, batch, options | others)["mask"], out["mask"])


def test_new_keys_are_none_of_the_old_ones():
    used = [number for number in range(256) if f"fold_in(key, {number})" in inspect.getsource(augmentation)]
    assert len(used) == len(LATER) and min(used) > 2  # fold_in(key, 0) may be split(key, 3)[0]


@pytest.mark.parametrize("name", ["crop", "rotation", "blur", "cutout"])
def test_the_pair_gets_one_draw_and_every_example_its_own(batch, name):
    out = augmentation.augment(KEY, batch, only(**always(name)))
    np.testing.assert_array_equal(out["bg"], out["bg_fg"])
    change = np.abs(np.asarray(out["bg"]) - batch["bg"]).mean(axis=(1, 2, 3))
    assert len(np.unique(change.round(6))) > (3 if name == "crop" else 20)  # a crop of 8 px has nine places
    later = augmentation.augment(KEY, jax.tree.map(lambda x: np.roll(x, -2, axis=0), batch), only(**always(name)), first_index=2)
    for kind in batch:
        np.testing.assert_array_equal(later[kind][:30], out[kind][2:])


def test_crop_is_a_window_of_the_reflected_picture(scene):
    out = augmentation.augment(KEY, scene, only(**always("crop", padding=0.1)))
    height, width = 2, 4  # a tenth of 24 and of 36
    padded = {
        name: np.pad(scene[name], ((0, 0), (height, height), (width, width), (0, 0)), mode="reflect")
        for name in ("bg", "bg_fg", "mask", "depth")
    }
    same = lambda i, row, column: all(
        np.array_equal(images[i, row : row + 24, column : column + 36], out[name][i]) for name, images in padded.items()
    )
    places = [(row, column) for row in range(2 * height + 1) for column in range(2 * width + 1)]
    found = [[place for place in places if same(i, *place)] for i in range(16)]
    assert all(len(fitting) == 1 for fitting in found)  # one place, the same in all four
    rows, columns = zip(*(fitting[0] for fitting in found))
    assert {0, 2 * height} <= set(rows) and max(columns) - min(columns) >= 6
    np.testing.assert_array_equal(out["valid"], scene["valid"])


def test_rotation_moves_the_targets_with_the_pictures(scene):
    out = augmentation.augment(KEY, scene, only(**always("rotation", degrees=40)))
    red, mask, depth = np.asarray(out["bg_fg"])[..., 0], np.asarray(out["mask"])[..., 0], np.asarray(out["depth"])[..., 0]
    assert set(np.unique(mask)) == {0, 1}
    assert set(np.unique(depth)) <= set(np.unique(scene["depth"]))  # no distance that was not there
    assert np.abs(red - mask).max() <= 0.75 + 1e-5  # the nearest of four pixels has a quarter of the weight at least
    np.testing.assert_array_equal(depth == np.float32(0.3), mask == 1)
    moved = (mask != scene["mask"][..., 0]).sum(axis=(1, 2))
    assert moved.max() > 40 and len(np.unique(moved)) > 8
    np.testing.assert_array_equal(out["valid"], scene["valid"])


def test_rotation_is_scipys_and_a_quarter_turn_is_exact(scene):
    image = scene["bg_fg"][0]
    for order in (0, 1):
        out = augmentation._rotated(jnp.asarray(image), np.radians(25.0).astype(np.float32), order)
        expected = ndimage.rotate(image, 25, reshape=False, order=order, mode="mirror")
        assert (np.abs(out - expected) < 1e-4).mean() > 0.999  # a place between two pixels may be rounded either way
    square = image[:, :24]
    np.testing.assert_array_equal(augmentation._rotated(jnp.asarray(square), np.float32(np.pi / 2), 0), np.rot90(square))


def test_rotation_stays_within_its_bound(monkeypatch, scene):
    monkeypatch.setattr(augmentation, "_rotated", lambda image, angle, order: jnp.full_like(image, jnp.degrees(angle) / 100 + 0.5))
    out = augmentation.augment(KEY, scene, only(**always("rotation", degrees=20)))
    angles = 100 * (np.asarray(out["bg"])[:, 0, 0, 0] - 0.5)
    assert -20 <= angles.min() < -10 and 10 < angles.max() <= 20


@pytest.mark.parametrize("sigma", [0.0, 0.6, 1.7])
def test_blur_is_scipys(scene, sigma):
    pictures = scene["bg_fg"][:2]
    out = augmentation._blurred(jnp.asarray(pictures), jnp.float32(sigma), radius=6)
    expected = ndimage.gaussian_filter(pictures, (0, sigma, sigma, 0), mode="mirror", radius=(0, 6, 6, 0)) if sigma else pictures
    np.testing.assert_allclose(out, expected, atol=1e-6)


def test_blur_draws_up_to_its_bound_and_leaves_the_targets(scene):
    point = np.zeros((16, 24, 36, 3), np.float32)
    point[:, 12, 18] = 1
    out = augmentation.augment(KEY, scene | {"bg": point, "bg_fg": point}, only(**always("blur", sigma=2.0)))
    row = np.asarray(out["bg"])[..., 0].sum(axis=2)
    sigmas = np.sqrt((row * (np.arange(24) - 12) ** 2).sum(axis=1))
    assert sigmas.min() < 0.7 and 1.3 < sigmas.max() <= 2
    for name in ("mask", "depth"):
        np.testing.assert_array_equal(out[name], scene[name])


def test_cutout_hides_the_same_squares_in_both_and_no_target(scene):
    scene |= {name: 0.4 * scene[name] for name in ("bg", "bg_fg")}  # nothing is as bright as a square
    out = augmentation.augment(KEY, scene, only(**always("cutout", squares=2, size=0.25)))
    hidden = {name: (np.asarray(out[name]) == augmentation.FILL).all(axis=-1) for name in ("bg", "bg_fg")}
    np.testing.assert_array_equal(hidden["bg"], hidden["bg_fg"])
    for name in hidden:
        np.testing.assert_array_equal(np.asarray(out[name])[~hidden[name]], scene[name][~hidden[name]])
    count = hidden["bg"].sum(axis=(1, 2))
    assert count.max() == 2 * 6 * 6  # two squares of a quarter of 24 px, where they do not overlap and lie inside
    assert 9 <= count.min() < 2 * 6 * 6  # a middle in the corner still leaves a quarter of it
    for name in ("mask", "depth", "valid"):
        np.testing.assert_array_equal(out[name], scene[name])


def test_squares_lie_where_they_are_put():
    out = augmentation._filled(jnp.zeros((2, 5, 7, 3)), jnp.array([[-1, 4], [3, 0]]), 2)
    expected = np.zeros((5, 7))
    expected[0, 4:6] = expected[3:5, 0:2] = augmentation.FILL
    np.testing.assert_array_equal(out, np.broadcast_to(expected[..., None], (2, 5, 7, 3)))


def test_iso_noise_has_the_deviation_it_should_and_each_picture_its_own():
    # One picture of a lightness of 0.3, one of 0.7: a deviation of 0.2 together, and counts of mean 255 x 0.5 x 0.2.
    pictures = np.stack([np.full((32, 32, 3), 0.3, np.float32), np.full((32, 32, 3), 0.7, np.float32)])
    noise = np.asarray(augmentation._noisy(KEY, jnp.asarray(pictures), 0.05, 0.5))[..., 0] - pictures[..., 0]
    for values, lightness in zip(noise, (0.3, 0.7)):
        assert values.mean() == pytest.approx((1 - lightness) * 25.5 / 255, rel=0.03)
        assert values.std() == pytest.approx((1 - lightness) * np.sqrt(25.5) / 255, rel=0.08)
    assert abs(np.corrcoef(noise[0].ravel(), noise[1].ravel())[0, 1]) < 0.1
    assert abs(np.corrcoef(noise[0, :, :-1].ravel(), noise[0, :, 1:].ravel())[0, 1]) < 0.1


def test_iso_noise_shifts_the_hue_by_turns():
    pictures = np.broadcast_to(np.float32([0.2, 0.6, 0.6]), (2, 32, 32, 3))  # of one lightness, so that only the hue has noise
    out = np.asarray(augmentation._noisy(KEY, jnp.asarray(pictures), 0.05, 0.8))
    hls = np.array([colorsys.rgb_to_hls(*map(float, pixel)) for pixel in out.reshape(-1, 3)])
    assert hls[:, 0].mean() == pytest.approx(0.5, abs=0.005) and hls[:, 0].std() == pytest.approx(0.05 * 0.8, rel=0.05)
    np.testing.assert_allclose(hls[:, 1:], np.broadcast_to([0.4, 0.5], (2048, 2)), atol=1e-3)


def test_iso_noise_has_one_amount_for_the_pair(monkeypatch, scene):
    amounts = lambda key, pictures, *amounts: pictures.at[..., :2].set(jnp.stack(amounts))
    monkeypatch.setattr(augmentation, "_noisy", lambda *given: amounts(*given))
    out = augmentation.augment(KEY, scene, only(**always("iso_noise", color_shift=0.2, intensity=0.8)))
    np.testing.assert_array_equal(out["bg"][..., :2], out["bg_fg"][..., :2])
    for channel, bound in enumerate((0.2, 0.8)):
        drawn = np.asarray(out["bg"])[:, 0, 0, channel]
        assert 0 <= drawn.min() < 0.3 * bound and 0.8 * bound < drawn.max() <= bound
    np.testing.assert_array_equal(out["mask"], scene["mask"])


def test_everything_at_once_stays_in_range_and_is_the_same_on_any_device(rng):
    largest = {
        "crop": {"padding": 1.0},
        "rotation": {"degrees": 180.0},
        "blur": {"sigma": 2.0},
        "cutout": {"squares": 2, "size": 0.5},
        "iso_noise": {"color_shift": 1.0, "intensity": 1.0},
    }
    options = only(
        flip=0.5, **{name: OPTIONS[name] | {"probability": 1.0} | largest.get(name, {}) for name in OPTIONS if name != "flip"}
    )
    batch = {name: rng.choice(np.float32([0, 0.5, 1]), (4, 1, 9, 13, 3)) for name in ("bg", "bg_fg")}
    batch |= {
        "mask": rng.choice(np.float32([0, 1]), (4, 1, 9, 13, 1)),
        "depth": rng.uniform(0.01, 1, (4, 1, 9, 13, 1)).astype(np.float32),
    }
    first = np.arange(4)
    augmented = jax.pmap(lambda i, example: augmentation.augment(KEY, example, options, i), devices=jax.devices()[:4])
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


def test_a_batch_without_depth_gets_the_same_draws(scene):
    moving = only(**always("crop"), **always("rotation"))
    out = augmentation.augment(KEY, scene, moving)
    without = augmentation.augment(KEY, {name: scene[name] for name in ("bg", "bg_fg", "mask")}, moving)
    assert set(without) == {"bg", "bg_fg", "mask"}
    for name, value in without.items():
        np.testing.assert_array_equal(value, out[name])


def test_a_sheet_is_drawn_with_the_default_bounds(monkeypatch, tmp_path):
    bounds = {name: {k: v for k, v in value.items() if k != "probability"} for name, value in OPTIONS.items() if name != "flip"}
    assert augmentation_sheet.BOUNDS == bounds
    off = {name: dict.fromkeys(values, 0) for name, values in bounds.items()}
    monkeypatch.setattr(augmentation_sheet, "BOUNDS", off)  # whose programs need not be compiled
    augmentation_sheet.main(["--out", str(tmp_path / "sheet.png"), "--size", "32", "--draws", "1"])
    with Image.open(tmp_path / "sheet.png") as sheet:
        assert sheet.size == (2 * (32 + 16 + 4), 9 * (32 + 14))
        picture = np.asarray(sheet)
    for row in range(9):
        as_it_is, drawn = picture[row * 46 + 14 : row * 46 + 46, :32], picture[row * 46 + 14 : row * 46 + 46, 52:84]
        if row < 8:  # the first row is the flip, the last may be
            np.testing.assert_array_equal(drawn, as_it_is[:, ::-1] if row == 0 else as_it_is)
    assert (picture[:, :48] == augmentation_sheet.OUTLINE).all(axis=-1).any()
