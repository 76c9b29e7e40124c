"""Composites made on the device are those of `compose.py`."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from PIL import Image

import modest_folder
from modest import pictures
from modest.data import compose, library, museum, procedural
from modest.vocabulary import InputError

QUIET = {"scale": 0.0, "shift": 0.0, "shadow": 0.0, "exposure": 0.0, "noise": 0.0}
COUNTS = (6, 5)  # of backgrounds and figures in the tiny museum's library
OPTIONS = {"scale": 0.2, "shift": 2.0, "shadow": 0.35, "exposure": 0.03, "noise": 2.0}


@pytest.fixture
def builder(small_museum, prepared_dir):
    return museum.prepare("procedural", prepared_dir=str(prepared_dir))


@pytest.fixture
def whole(builder):
    """The library at the size of the stored pictures."""
    return load(builder, 64)


def load(builder, size):
    return jax.tree.map(jnp.asarray, library.load(builder, size))


def cutout(whole, figure):
    height, width = whole.sizes[figure]
    return np.asarray(whole.figures[figure])[whole.margin :, whole.margin :][:height, :width]


@pytest.mark.parametrize("mirrored", [False, True])
def test_the_same_draw_gives_the_numbers_of_compose(whole, mirrored):
    for figure, place in ((0, 0), (3, 1), (4, 2)):
        rgba = cutout(whole, figure)[:, ::-1] if mirrored else cutout(whole, figure)
        xy = [(0, 0), (64 - rgba.shape[1], 64 - rgba.shape[0]), (7, 11)][place]
        room = np.asarray(whole.depths[place][..., 0]) * np.float32(10 / 255)
        metres = compose.figure_depth(whole.focals[place], whole.metres[figure], rgba.shape[0])
        realism = compose.Realism(noise=0.0)
        rng = np.random.default_rng(place)
        expected = compose.compose(
            rng, np.asarray(whole.backgrounds[place]), rgba, xy, depth=room, figure_metres=metres, realism=realism
        )
        again = np.random.default_rng(place)
        darkening, brightness = realism.shadow * again.uniform(0.5, 1), 1 + again.uniform(-realism.exposure, realism.exposure)
        drawn = library.Draw(place, figure, mirrored, *xy, 1.0, darkening, brightness, None)
        made = jax.jit(library.composite)(whole, drawn)
        np.testing.assert_array_equal(made["bg"], np.float32(whole.backgrounds[place] / 255))
        assert np.abs(255 * np.clip(made["bg_fg"], 0, 1) - expected.bg_fg).max() <= 0.5 + 1e-3  # of rounding to 8 bits
        np.testing.assert_array_equal(255 * made["mask"][..., 0], 255 * (expected.mask > compose.FOREGROUND))
        np.testing.assert_array_equal(made["box"], expected.box)
        np.testing.assert_allclose(10 * made["depth"][..., 0], np.clip(expected.depth, 0.1, 10), rtol=1e-5)


def test_at_a_smaller_size_it_is_the_composite_made_smaller(builder, whole):
    small = load(builder, 32)  # whose JPEG was decoded at half its size, by another filter
    small = small._replace(backgrounds=jnp.stack([pictures.resize(np.asarray(bg), (32, 32)) for bg in whole.backgrounds]))
    drawn = library.Draw(1, 2, True, 9, 20, 1.0, 0.2, 1.02, None)
    large, made = (library.composite(each, drawn) for each in (whole, small))
    uint8 = np.asarray(jnp.round(255 * large["bg_fg"]).clip(0, 255), np.uint8)
    assert np.abs(255 * made["bg_fg"] - pictures.resize(uint8, (32, 32))).mean() < 1.0
    assert abs(float(made["mask"].mean()) - float(large["mask"].mean())) < 0.01
    np.testing.assert_allclose(2 * made["box"], large["box"], atol=4)  # thin arms may vanish


def test_every_draw_lies_inside_and_reaches_every_border(whole):
    keys = jax.random.split(jax.random.key(0), 400)
    draws = jax.vmap(lambda key: library.draw(key, whole, 0, 4, OPTIONS))(keys)
    height, width = whole.sizes[4]
    assert draws.x.min() == 0 and draws.y.min() == 0
    assert ((draws.x + width * draws.scale <= 64 + 1e-4) & (draws.y + height * draws.scale <= 64 + 1e-4)).all()
    assert (draws.x + width * draws.scale).max() > 62 and (draws.y + height * draws.scale).max() > 62
    assert 0.8 <= draws.scale.min() < 0.85 < 1.15 < draws.scale.max() <= 1.2
    assert 0.4 < draws.mirrored.mean() < 0.6
    assert 0.97 <= draws.brightness.min() < 0.975 and np.abs(draws.shift).max() > 1.9
    boxes = jax.vmap(lambda drawn: library.composite(whole, drawn)["box"])(draws)
    np.testing.assert_allclose(boxes[:, 3], height * draws.scale, atol=2)


def test_a_batch_follows_from_the_key_and_the_place_alone(whole):
    make = jax.jit(lambda key, batch, first: library.make(key, whole, batch, OPTIONS, first))
    batch = next(library.batches(*COUNTS, 8, 8, seed=0, epoch=0))
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
def test_noise_has_the_deviation_that_a_stored_one_has_at_that_size(builder, size, rng):
    at_size = load(builder, size)
    grey = jnp.full((size, size, 3), 0.5)
    drawn = 255 * (library.add_noise(jax.random.key(0), grey, at_size, 4.0) - grey)
    stored = rng.normal(128, 4, (64, 64)).astype(np.float32)
    smaller = np.asarray(Image.fromarray(stored).resize((size, size), Image.Resampling.BILINEAR))
    assert float(drawn.std()) == pytest.approx(smaller.std(), rel=0.05)
    np.testing.assert_array_equal(library.add_noise(jax.random.key(0), grey, at_size, 0.0), grey)


def test_a_shift_moves_the_background_alone(whole):
    drawn = library.Draw(0, 0, False, 5, 6, 1.0, 0.0, 1.0, None)
    still, moved = (library.composite(whole, drawn._replace(shift=shift)) for shift in (None, jnp.asarray([2.0, -1.0])))
    np.testing.assert_array_equal(still["bg_fg"], moved["bg_fg"])
    np.testing.assert_allclose(moved["bg"][2:, :-1], still["bg"][:-2, 1:], atol=1e-6)
    np.testing.assert_allclose(moved["bg"][0], moved["bg"][1], atol=1e-6)  # stretched


def test_where_no_height_is_known_the_figure_stands_where_its_feet_are(whole):
    depths = np.broadcast_to(np.arange(64, dtype=np.uint8)[None, :, None, None], whole.depths.shape)
    unknown = whole._replace(metres=np.zeros_like(whole.metres), depths=depths)
    made = library.composite(unknown, library.Draw(0, 1, False, 3, 4, 1.0, 0.0, 1.0, None))
    lowest = int(made["box"][1] + made["box"][3] - 1)
    inside = np.asarray(made["mask"]) > 0
    np.testing.assert_allclose(made["depth"][inside], lowest / 255, rtol=1e-6)


def test_an_epoch_has_each_background_as_often_as_any_other():
    batches = list(library.batches(*COUNTS, 26, 4, seed=0, epoch=3))
    assert len(batches) == 6
    counts = np.bincount(np.concatenate([batch["background"] for batch in batches]), minlength=COUNTS[0])
    assert counts.max() - counts.min() <= 1
    rest = list(library.batches(*COUNTS, 26, 4, seed=0, epoch=3, first=4))
    assert len(rest) == 2
    np.testing.assert_array_equal(rest[0]["figure"], batches[4]["figure"])
    assert any((a["figure"] != b["figure"]).any() for a, b in zip(batches, library.batches(*COUNTS, 26, 4, seed=0, epoch=4)))


def test_only_what_trains_is_in_it(builder, whole):
    train = museum.source(builder, "train")
    assert len(whole.backgrounds) == len({train[i]["bg_id"] for i in range(len(train))})
    assert COUNTS == (len(whole.backgrounds), len(whole.figures))


def add_figures(directory, height=20):
    """Cut-outs of the figures of `modest_folder`, at their scale."""
    (directory / "fg").mkdir()
    for number in range(12):
        rgba = np.full((height, 12, 4), 200, np.uint8)
        (directory / "fg" / f"fg{number:03}.png").write_bytes(procedural.encode_picture(rgba, 0))


def add_background_depth(directory):
    (directory / "bg_depth_map").mkdir()
    for number in range(12):
        path = directory / "bg_depth_map" / f"bg{number:03}_depth_map.png"
        path.write_bytes(procedural.encode_grey(np.full((48, 48), 90, np.uint8)))


def test_a_directory_with_cut_outs_has_a_library_and_one_without_says_so(tmp_path):
    directory = modest_folder.make(tmp_path / "set", grow=0)
    prepare = lambda: museum.prepare("folder", str(directory), str(tmp_path / "prepared"))
    with pytest.raises(InputError, match=r"has no cut-outs .*; set --config.data.source=records"):
        library.load(prepare(), 32)
    add_figures(directory)
    builder = prepare()
    with pytest.raises(InputError, match="has no depth of its bare backgrounds .*; set --config.data.source=records"):
        library.load(builder, 32)
    assert library.load(builder, 32, with_depth=False).depths is None
    add_background_depth(directory)
    made = library.load(prepare(), 32)
    assert made.depths.shape == (*made.backgrounds.shape[:3], 1) and (made.sizes == (20, 12)).all()
    with pytest.raises(InputError, match="a cut-out of 20 px, 150% larger, does not fit 48 px"):
        library.load(prepare(), 32, scale=1.5)


def test_backgrounds_of_mixed_sizes_have_no_library(tmp_path):
    directory = modest_folder.make(tmp_path / "set")
    add_figures(directory)
    with pytest.raises(InputError, match="not squares of one size"):
        library.load(museum.prepare("folder", str(directory), str(tmp_path / "prepared")), 32, with_depth=False)


def test_cut_outs_that_do_not_fit_the_composites_are_told_of_before_the_build(tmp_path):
    directory = modest_folder.make(tmp_path / "set", grow=0)
    add_figures(directory)
    (directory / "fg" / "fg000.png").unlink()
    (directory / "fg" / "fg003.png").write_bytes(procedural.encode_picture(np.full((60, 36, 4), 200, np.uint8), 0))
    (directory / "fg" / "fg004.png").write_bytes(b"<html>")
    with pytest.raises(InputError) as raised:
        museum.prepare("folder", str(directory), str(tmp_path / "prepared"))
    for expected in ("3 mistakes", "has no picture of fg000", "fg003.png: 60 px high, but 20 px in", "fg004.png: cannot be read"):
        assert expected in str(raised.value)


def test_a_background_that_was_left_out_is_not_in_the_library(tmp_path):
    directory = modest_folder.make(tmp_path / "set", grow=0)
    add_figures(directory)
    (directory / "bg" / "bg004.jpeg").write_bytes(b"")
    builder = museum.prepare("folder", str(directory), str(tmp_path / "prepared"), max_bad_fraction=0.2)
    train = museum.source(builder, "train")
    made = library.load(builder, 32, with_depth=False)
    assert len(made.backgrounds) == len({train[i]["bg_id"] for i in range(len(train))})
