"""Composites made on the device agree with those of `composite.py`."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from PIL import Image

import modest_folder
from modest.data import composite, images
from modest.data.batches import cutouts, device_composites, library_loader
from modest.data.museum import preparation
from modest.errors import InputError

COUNTS = (6, 5)  # backgrounds and figures in the library of the tiny museum
OPTIONS = {"scale": 0.2, "shift": 2.0, "shadow": 0.35, "exposure": 0.03, "noise": 2.0}


@pytest.fixture
def builder(small_museum, prepared_dir):
    return preparation.prepare("procedural", prepared_dir=str(prepared_dir))


@pytest.fixture
def full_size(builder):
    """Return the library at the size of the stored pictures."""
    return load(builder, 64)


def load(builder, size):
    return jax.tree.map(jnp.asarray, library_loader.load(builder, size))


def cutout(full_size, figure):
    height, width = full_size.sizes[figure]
    return np.asarray(full_size.figures[figure])[full_size.margin :, full_size.margin :][
        :height, :width
    ]


@pytest.mark.parametrize("mirrored", [False, True])
def test_render_agrees_with_compose(full_size, mirrored):
    for figure, place in ((0, 0), (3, 1), (4, 2)):
        rgba = cutout(full_size, figure)[:, ::-1] if mirrored else cutout(full_size, figure)
        xy = [(0, 0), (64 - rgba.shape[1], 64 - rgba.shape[0]), (7, 11)][place]
        room = np.asarray(full_size.depths[place][..., 0]) * np.float32(10 / 255)
        metres = composite.figure_depth(
            full_size.focals[place], full_size.metres[figure], rgba.shape[0]
        )
        realism = composite.Realism(noise=0.0)
        rng = np.random.default_rng(place)
        bg = np.asarray(full_size.backgrounds[place])
        expected = composite.compose(
            rng, bg, rgba, xy, depth=room, figure_metres=metres, realism=realism
        )
        again = np.random.default_rng(place)
        darkening = realism.shadow * again.uniform(0.5, 1)
        brightness = 1 + again.uniform(-realism.exposure, realism.exposure)
        drawn = cutouts.Draw(place, figure, mirrored, *xy, 1.0, darkening, brightness, None)
        made = jax.jit(device_composites.render)(full_size, drawn)
        np.testing.assert_array_equal(made["bg"], np.float32(full_size.backgrounds[place] / 255))
        error = np.abs(255 * np.clip(made["bg_fg"], 0, 1) - expected.bg_fg)
        assert error.max() <= 0.5 + 1e-3  # from rounding to 8 bits
        foreground = expected.mask > composite.FOREGROUND
        np.testing.assert_array_equal(255 * made["mask"][..., 0], 255 * foreground)
        np.testing.assert_array_equal(made["box"], expected.box)
        depth = np.clip(expected.depth, 0.1, 10)
        np.testing.assert_allclose(10 * made["depth"][..., 0], depth, rtol=1e-5)


def test_small_composite_agrees_with_a_resized_one(builder, full_size):
    small = load(builder, 32)
    # Replace its backgrounds: they were decoded at half their size, which is another filter.
    backgrounds = [images.resize(np.asarray(bg), (32, 32)) for bg in full_size.backgrounds]
    small = small._replace(backgrounds=jnp.stack(backgrounds))
    drawn = cutouts.Draw(1, 2, True, 9, 20, 1.0, 0.2, 1.02, None)
    render = jax.jit(device_composites.render)
    large, made = (render(each, drawn) for each in (full_size, small))
    uint8 = np.asarray(jnp.round(255 * large["bg_fg"]).clip(0, 255), np.uint8)
    assert np.abs(255 * made["bg_fg"] - images.resize(uint8, (32, 32))).mean() < 1.0
    assert abs(float(made["mask"].mean()) - float(large["mask"].mean())) < 0.01
    np.testing.assert_allclose(2 * made["box"], large["box"], atol=4)  # thin arms may vanish


def test_draws_are_inside_and_reach_every_border(full_size):
    keys = jax.random.split(jax.random.key(0), 400)
    draw = jax.jit(jax.vmap(lambda key: device_composites.draw(key, full_size, 0, 4, OPTIONS)))
    draws = draw(keys)
    height, width = full_size.sizes[4]
    assert draws.x.min() == 0 and draws.y.min() == 0
    right, bottom = draws.x + width * draws.scale, draws.y + height * draws.scale
    assert ((right <= 64 + 1e-4) & (bottom <= 64 + 1e-4)).all()
    assert right.max() > 62 and bottom.max() > 62
    assert 0.8 <= draws.scale.min() < 0.85 < 1.15 < draws.scale.max() <= 1.2
    assert 0.4 < draws.mirrored.mean() < 0.6
    assert 0.97 <= draws.brightness.min() < 0.975 and np.abs(draws.shift).max() > 1.9
    render = jax.jit(jax.vmap(device_composites.render, (None, 0)))
    boxes = render(full_size, draws)["box"]
    np.testing.assert_allclose(boxes[:, 3], height * draws.scale, atol=2)


def test_batch_is_a_function_of_key_and_place(full_size):
    @jax.jit
    def make(key, batch, first):
        return device_composites.make(key, full_size, batch, OPTIONS, first)

    batch = next(device_composites.batches(*COUNTS, 8, 8, seed=0, epoch=0))
    both = make(jax.random.key(1), batch, 0)
    half = make(jax.random.key(1), {name: values[4:] for name, values in batch.items()}, 4)
    assert {name: value.shape for name, value in both.items()} == {
        "bg": (8, 64, 64, 3),
        "bg_fg": (8, 64, 64, 3),
        "mask": (8, 64, 64, 1),
        "depth": (8, 64, 64, 1),
        "valid": (8,),
    }
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a[4:], b, atol=1e-6), both, half)
    other = make(jax.random.key(2), batch, 0)
    assert all(np.abs(both["bg_fg"][i] - other["bg_fg"][i]).max() > 0.1 for i in range(8))
    for name in ("bg", "bg_fg", "depth"):
        assert 0 <= both[name].min() and both[name].max() <= 1
    assert set(np.unique(both["mask"])) == {0, 1}


@pytest.mark.parametrize("size", [64, 32])
def test_noise_has_the_deviation_of_resized_stored_noise(builder, size, rng):
    at_size = load(builder, size)
    grey = jnp.full((size, size, 3), 0.5)
    key = jax.random.key(0)
    drawn = 255 * (device_composites.add_noise(key, grey, at_size, 4.0) - grey)
    stored = rng.normal(128, 4, (64, 64)).astype(np.float32)
    smaller = np.asarray(Image.fromarray(stored).resize((size, size), Image.Resampling.BILINEAR))
    assert float(drawn.std()) == pytest.approx(smaller.std(), rel=0.05)
    np.testing.assert_array_equal(device_composites.add_noise(key, grey, at_size, 0.0), grey)


def test_shift_moves_only_the_background(full_size):
    drawn = cutouts.Draw(0, 0, False, 5, 6, 1.0, 0.0, 1.0, None)
    still = device_composites.render(full_size, drawn)
    drawn = drawn._replace(shift=jnp.asarray([2.0, -1.0]))
    moved = device_composites.render(full_size, drawn)
    np.testing.assert_array_equal(still["bg_fg"], moved["bg_fg"])
    np.testing.assert_allclose(moved["bg"][2:, :-1], still["bg"][:-2, 1:], atol=1e-6)
    np.testing.assert_allclose(moved["bg"][0], moved["bg"][1], atol=1e-6)  # the border is repeated


def test_figure_of_unknown_height_has_the_depth_at_its_feet(full_size):
    rows = np.arange(64, dtype=np.uint8)[None, :, None, None]
    depths = np.broadcast_to(rows, full_size.depths.shape)
    unknown = full_size._replace(metres=np.zeros_like(full_size.metres), depths=depths)
    drawn = cutouts.Draw(0, 1, False, 3, 4, 1.0, 0.0, 1.0, None)
    made = device_composites.render(unknown, drawn)
    lowest = int(made["box"][1] + made["box"][3] - 1)
    inside = np.asarray(made["mask"]) > 0
    np.testing.assert_allclose(made["depth"][inside], lowest / 255, rtol=1e-6)


def test_backgrounds_occur_equally_often_in_an_epoch():
    batches = list(device_composites.batches(*COUNTS, 26, 4, seed=0, epoch=3))
    assert len(batches) == 6
    used = np.concatenate([batch["background"] for batch in batches])
    counts = np.bincount(used, minlength=COUNTS[0])
    assert counts.max() - counts.min() <= 1
    rest = list(device_composites.batches(*COUNTS, 26, 4, seed=0, epoch=3, first=4))
    assert len(rest) == 2
    np.testing.assert_array_equal(rest[0]["figure"], batches[4]["figure"])
    other = device_composites.batches(*COUNTS, 26, 4, seed=0, epoch=4)
    assert any((a["figure"] != b["figure"]).any() for a, b in zip(batches, other))


def test_library_holds_only_training_members(builder, full_size):
    train = preparation.source(builder, "train")
    assert len(full_size.backgrounds) == len({train[i]["bg_id"] for i in range(len(train))})
    assert COUNTS == (len(full_size.backgrounds), len(full_size.figures))


def add_figures(directory, height=20):
    """Write cut-outs of the figures of `modest_folder`, at the scale of the composites."""
    (directory / "fg").mkdir()
    for number in range(12):
        rgba = np.full((height, 12, 4), 200, np.uint8)
        (directory / "fg" / f"fg{number:03}.png").write_bytes(images.encode_picture(rgba, 0))


def add_background_depth(directory, unknown_rows=0):
    depth = np.full((48, 48), 90, np.uint8)
    depth[:unknown_rows] = 0
    (directory / "bg_depth_map").mkdir()
    for number in range(12):
        path = directory / "bg_depth_map" / f"bg{number:03}_depth_map.png"
        path.write_bytes(images.encode_grey(depth))


def test_library_of_a_directory_needs_cutouts_and_depth(tmp_path):
    directory = modest_folder.make(tmp_path / "set", grow=0)

    def prepare():
        return preparation.prepare("folder", str(directory), str(tmp_path / "prepared"))

    with pytest.raises(InputError, match=r"has no cut-outs .*; set --config.data.source=records"):
        library_loader.load(prepare(), 32)
    add_figures(directory)
    builder = prepare()
    with pytest.raises(
        InputError,
        match="has no depth of its empty backgrounds .*; set --config.data.source=records",
    ):
        library_loader.load(builder, 32)
    assert library_loader.load(builder, 32, with_depth=False).depths is None
    add_background_depth(directory)
    made = library_loader.load(prepare(), 32)
    assert made.depths.shape == (*made.backgrounds.shape[:3], 1) and (made.sizes == (20, 12)).all()
    with pytest.raises(InputError, match="20 px, made 150% larger, does not fit into 48 px"):
        library_loader.load(prepare(), 32, scale=1.5)


def test_library_of_unknown_depth_is_refused(tmp_path):
    directory = modest_folder.make(tmp_path / "set", grow=0)
    add_figures(directory)
    add_background_depth(directory, unknown_rows=9)
    composite_depth = directory / "bg_fg_depth_map" / "bg000_fg000_01_depth_map.jpeg"
    of_background = directory / "bg_depth_map" / "bg000_depth_map.png"
    composite_depth.with_suffix(".png").write_bytes(of_background.read_bytes())
    composite_depth.unlink()
    builder = preparation.prepare("folder", str(directory), str(tmp_path / "prepared"))
    with pytest.raises(InputError, match="unknown depth.*; set --config.data.source=records"):
        library_loader.load(builder, 32)


def test_backgrounds_of_different_sizes_are_rejected(tmp_path):
    directory = modest_folder.make(tmp_path / "set")
    add_figures(directory)
    builder = preparation.prepare("folder", str(directory), str(tmp_path / "prepared"))
    with pytest.raises(InputError, match="not squares of one size"):
        library_loader.load(builder, 32, with_depth=False)


def test_bad_cutouts_are_reported_before_the_build(tmp_path):
    directory = modest_folder.make(tmp_path / "set", grow=0)
    add_figures(directory)
    (directory / "fg" / "fg000.png").unlink()
    large = np.full((60, 36, 4), 200, np.uint8)
    (directory / "fg" / "fg003.png").write_bytes(images.encode_picture(large, 0))
    (directory / "fg" / "fg004.png").write_bytes(b"<html>")
    with pytest.raises(InputError) as raised:
        preparation.prepare("folder", str(directory), str(tmp_path / "prepared"))
    for expected in (
        "3 mistakes",
        "has no picture of fg000",
        "fg003.png: 60 px high, but 20 px in",
        "fg004.png: cannot be read",
    ):
        assert expected in str(raised.value)


def test_rejected_background_is_not_in_the_library(tmp_path):
    directory = modest_folder.make(tmp_path / "set", grow=0)
    add_figures(directory)
    (directory / "bg" / "bg004.jpeg").write_bytes(b"")
    builder = preparation.prepare(
        "folder", str(directory), str(tmp_path / "prepared"), max_bad_fraction=0.2
    )
    train = preparation.source(builder, "train")
    made = library_loader.load(builder, 32, with_depth=False)
    assert len(made.backgrounds) == len({train[i]["bg_id"] for i in range(len(train))})
