"""Scenes: masks, depths, shadows and what is gone, each effect by itself."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy import ndimage

from configs import depthnet
from modest.data.batches import device_composites, library_loader, panes, scenes
from modest.data.museum import preparation

COUNT = 16
ALL = depthnet.get_config().data.scenes.to_dict()
PLAIN = dict.fromkeys(ALL, 0.0) | {"figures": 1, "smallest": 0.3, "largest": 0.6}


@pytest.fixture
def library(small_museum, prepared_dir):
    builder = preparation.prepare("procedural", prepared_dir=str(prepared_dir))
    loaded = library_loader.load(builder, 64, True, scenes.REDUCTION, may_be_cut=True)
    return jax.tree.map(jnp.asarray, loaded)


@pytest.fixture
def batch():
    return next(device_composites.batches(6, 5, COUNT, COUNT, seed=0, epoch=0))


@functools.cache
def compiled(**changes):
    return jax.jit(functools.partial(scenes.make, options=PLAIN | changes))


def make(library, batch, seed=0, **changes):
    return jax.device_get(compiled(**changes)(jax.random.key(seed), library, batch))


def test_plain_scene_differs_from_its_background_only_inside_the_mask(library, batch):
    made = make(library, batch)
    background = np.asarray(library.backgrounds)[batch["background"]] / np.float32(255)
    np.testing.assert_allclose(made["bg"], background, atol=1e-6)
    changed = np.abs(made["bg_fg"] - made["bg"]).max(-1, keepdims=True) > 0.02
    share = made["mask"].mean((1, 2, 3))
    assert (share > 0.01).all() and (share < 0.5).all()
    edge = changed & (made["mask"] == 0)
    assert edge.mean() < 0.02  # the soft edge
    room = np.asarray(library.depths)[batch["background"]] / np.float32(255)
    still = made["mask"] == 0
    np.testing.assert_allclose(made["depth"][still], np.maximum(room, 0.01)[still], rtol=1e-6)


def test_heights_are_between_smallest_and_largest(library, batch):
    made = make(library, batch)
    rows = made["mask"][..., 0].any(2).sum(1) / 64
    assert rows.min() > 0.25 and rows.max() < 0.65 and rows.max() - rows.min() > 0.1


def test_empty_scene_has_no_foreground(library, batch):
    made = make(library, batch, empty=1.0)
    assert not made["mask"].any()
    np.testing.assert_allclose(made["bg"], made["bg_fg"], atol=1e-6)


def test_floor_reflects_the_figure_upside_down(library, batch):
    plain, glossy = make(library, batch), make(library, batch, reflection=1.0)
    for name in ("bg", "mask", "depth"):
        np.testing.assert_array_equal(glossy[name], plain[name])
    changed = np.abs(glossy["bg_fg"] - plain["bg_fg"]).max(-1) > 0.02
    assert changed.any((1, 2)).sum() > COUNT / 2  # other figures end at the picture's edge
    for of_one, mask in zip(changed, plain["mask"][..., 0] > 0):
        rows = np.flatnonzero(of_one.any(1))
        if rows.size:
            feet = np.flatnonzero(mask.any(1)).max()
            assert rows.min() >= feet - 1
            columns = np.flatnonzero(mask.any(0))  # and a soft edge
            assert not of_one[:, : columns.min() - 2].any()
            assert not of_one[:, columns.max() + 3 :].any()


def test_screen_shows_something_else_and_is_no_foreground(library, batch):
    made = make(library, batch, empty=1.0, screens=1.0)
    assert not made["mask"].any()
    changed = np.abs(made["bg_fg"] - made["bg"]).max(-1) > 0.02
    assert (changed.any((1, 2))).mean() > 0.6  # the same background may be drawn twice
    for of_one in changed[changed.any((1, 2))]:
        rows, columns = (np.flatnonzero(of_one.any(axis)) for axis in (1, 0))
        assert max(np.ptp(rows), np.ptp(columns)) < panes.LARGEST * 64
        assert of_one[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1].mean() > 0.5


def test_mirror_is_behind_the_figures_and_glass_before_them(library, batch):
    made, plain = (make(library, batch, panes=share, figures=2) for share in (1.0, 0.0))
    np.testing.assert_array_equal(made["mask"], plain["mask"])
    np.testing.assert_array_equal(made["depth"], plain["depth"])
    assert (np.abs(made["bg"] - plain["bg"]).max((1, 2, 3)) > 0.02).all()
    inside = ndimage.binary_erosion(made["mask"][..., 0], np.ones((1, 3, 3)))
    changed = np.abs(made["bg_fg"] - plain["bg_fg"]).max(-1)
    most = np.array([changed[k][inside[k]].max(initial=0) for k in range(COUNT)])
    assert (most < 1e-5).sum() >= 4  # behind a mirror, and glass elsewhere
    assert (most > 0.05).sum() >= 2
    beside = ndimage.binary_dilation(made["mask"][..., 0], np.ones((1, 5, 5))) == 0
    images = (np.abs(made["bg_fg"] - made["bg"]).max(-1) > 0.1) & beside
    assert not (np.abs(plain["bg_fg"] - plain["bg"]).max(-1) > 0.1)[beside].any()
    assert (images.mean((1, 2)) > 0.005).sum() >= 3


def test_mirror_shows_figures_with_left_and_right_exchanged():
    alpha = jnp.zeros((32, 32, 1)).at[10:20, 2:6].set(1).at[10, 6].set(1)  # an arm to the right
    rectangle = panes.Rectangle(jnp.array([8.0, 16.0]), jnp.array([16.0, 12.0]))
    nothing = jnp.zeros((32, 32, 1))
    pane = panes.Pane(rectangle, nothing, nothing, jnp.full((32, 32, 3), 0.7))
    colours = jnp.stack([shade * alpha.repeat(3, 2) for shade in (0.2, 0.4)])
    figures = colours, jnp.stack([alpha, alpha])
    expected = np.full((32, 32), 0.7)
    expected[10:20, 20:24] = expected[10, 19] = 0.4
    shown = panes.reflect(pane, *figures, jnp.array([True, True]))
    np.testing.assert_allclose(shown[..., 1], expected, rtol=1e-6)
    np.testing.assert_allclose(panes.reflect(pane, *figures, jnp.zeros(2, bool)), pane.shown)


def test_video_copies_the_background(library, batch):
    filmed = make(library, batch, noise=3.0, video=1.0)
    away = ndimage.binary_dilation(filmed["mask"][..., 0], np.ones((1, 33, 33))) == 0
    assert away.any((1, 2)).sum() >= 3
    # Without a video, noise would change every pixel.
    assert (np.abs(filmed["bg_fg"] - filmed["bg"]).max(-1)[away] < 1e-6).mean() > 0.7


def test_squeezed_scene_is_a_window_of_the_scene(library, batch):
    """The depth says which row and which column of the background each pixel shows."""
    ramp = 4 * np.arange(64, dtype=np.uint8)
    ramps = np.meshgrid(ramp, ramp, indexing="ij")
    depths = [np.broadcast_to(each[..., None], library.depths.shape) for each in ramps]
    squeezed = [
        make(library._replace(depths=jnp.asarray(each)), batch, empty=1.0, squeeze=0.5)
        for each in depths
    ]
    rows, columns = (np.rint(made["depth"][..., 0] * 255 / 4).astype(int) for made in squeezed)
    assert (rows == rows[:, :, :1]).all() and (columns == columns[:, :1]).all()
    shown_rows, shown_columns = np.ptp(rows, axis=(1, 2)) + 1, np.ptp(columns, axis=(1, 2)) + 1
    assert (np.maximum(shown_rows, shown_columns) >= 63).all()  # 1 px of depth is the least
    shares = np.minimum(shown_rows, shown_columns) / 64
    assert 0.5 <= shares.min() < 0.7 < shares.max()
    assert {True, False} == set((shown_rows < shown_columns).tolist())
    background = np.asarray(library.backgrounds)[batch["background"]] / np.float32(255)
    for k in range(COUNT):
        difference = np.abs(squeezed[0]["bg"][k] - background[k][rows[k], columns[k]])
        assert difference.mean() < 0.02


def test_squeeze_and_light_are_independent(library, batch):
    """`fold_in(key, i)` is `split(key, n)[i]`; one of them must not follow the other."""
    brightness, shares = [], []
    for seed in range(4):
        dark = make(library, batch, seed, empty=1.0, exposure=0.5)
        brightness += (dark["bg_fg"].mean((1, 2, 3)) / dark["bg"].mean((1, 2, 3))).tolist()
        ramp = np.broadcast_to(4 * np.arange(64, dtype=np.uint8)[:, None, None], (64, 64, 1))
        depths = jnp.asarray(np.broadcast_to(ramp, library.depths.shape))
        made = make(library._replace(depths=depths), batch, seed, empty=1.0, squeeze=0.5)
        shares += np.ptp(made["depth"], axis=(1, 2, 3)).tolist()
    squeezed = np.array(shares) < 0.95 * max(shares)  # of the others, the width was reduced
    assert squeezed.sum() >= 20
    correlation = np.corrcoef(np.array(brightness)[squeezed], np.array(shares)[squeezed])[0, 1]
    assert abs(correlation) < 0.6


def test_figure_that_is_gone_is_foreground_and_only_in_bg(library, batch):
    made, gone = make(library, batch), make(library, batch, gone=1.0)
    np.testing.assert_array_equal(gone["mask"], made["mask"])
    np.testing.assert_allclose(gone["bg"], made["bg_fg"], atol=1e-6)
    np.testing.assert_allclose(gone["bg_fg"], made["bg"], atol=1e-6)
    room = np.asarray(library.depths)[batch["background"]] / np.float32(255)
    np.testing.assert_allclose(gone["depth"], np.maximum(room, 0.01), rtol=1e-6)


def test_nearest_of_several_figures_is_in_front(library, batch):
    made = make(library, batch, figures=3)
    more = made["mask"].mean() - make(library, batch)["mask"].mean()
    assert more > 0
    # Inside the mask, there are at most three distances and each is constant.
    for depth, mask in zip(made["depth"], made["mask"]):
        assert 1 <= len(np.unique(depth[mask > 0])) <= 3


@pytest.mark.parametrize("effect", ["cast", "strays"])
def test_hard_shadows_darken_and_are_not_foreground(library, batch, effect):
    plain = make(library, batch)
    made = make(library, batch, **{effect: 1.0, "darkness": 0.8})
    if effect == "cast":  # the other draws are the same
        np.testing.assert_array_equal(made["mask"], plain["mask"])
        darker = (plain["bg_fg"] - made["bg_fg"]).max(-1)
        assert (made["bg_fg"] <= plain["bg_fg"] + 1e-6).all()
        assert ((darker > 0.05).mean((1, 2)) > 0.002).sum() > COUNT / 2
        assert not (darker > 1e-5)[plain["mask"][..., 0] > 0.5].mean() > 0.1
    difference = np.abs(made["bg_fg"] - made["bg"]).max(-1) * (made["mask"][..., 0] == 0)
    assert ((difference > 0.05).mean((1, 2)) > 0.002).sum() > COUNT / 4


def test_standing_figure_has_the_depth_of_the_background_at_its_feet(library, batch):
    made = make(library, batch, standing=1.0, smallest=0.1)
    agreeing = 0
    for index, mask in zip(batch["background"], made["mask"][..., 0]):
        rows, columns = np.nonzero(mask)
        if rows.max(initial=0) in (0, 63):  # cut off at the feet, or nothing
            continue
        figure = np.median(made["depth"][list(batch["background"]).index(index)][rows, columns])
        feet = np.asarray(library.depths)[index, rows.max(), columns[rows == rows.max()], 0] / 255
        agreeing += abs(np.median(feet) - figure) < 0.1
    assert agreeing >= 3


def test_camera_and_wind_leave_the_targets_alone(library, batch):
    plain = make(library, batch)
    camera = {"shift": 3.0, "sway": 3.0, "noise": 8.0, "jpeg": 40.0, "coarse": 0.5, "video": 0.5}
    light = {"exposure": 0.2, "white_balance": 0.1, "light": 0.2}
    made = make(library, batch, **camera, **light)
    np.testing.assert_array_equal(made["mask"], plain["mask"])
    np.testing.assert_array_equal(made["depth"], plain["depth"])
    for name in ("bg", "bg_fg"):
        assert np.abs(made[name] - plain[name]).mean() > 0.005
        assert made[name].min() >= 0 and made[name].max() <= 1


def test_scene_is_a_function_of_key_and_place(library, batch):
    """With all effects in a batch of the same size; without them also in a smaller one."""
    rolled = {name: np.roll(values, -8) for name, values in batch.items()}
    part = {name: values[8:] for name, values in batch.items()}
    for options, second_half in ((ALL | {"figures": 2}, rolled), ({}, part)):
        program = compiled(**options)
        whole = program(jax.random.key(1), library, batch, first_index=0)
        later = program(jax.random.key(1), library, second_half, first_index=8)
        np.testing.assert_allclose(whole["bg_fg"][8:], later["bg_fg"][:8], atol=1e-5)
        np.testing.assert_array_equal(whole["mask"][8:], later["mask"][:8])
