"""Composites: where the figure is pasted, masks, boxes, depths, and errors."""

import numpy as np
import pytest

from modest.data import composite

PLAIN = composite.Realism(noise=0.0, exposure=0.0, shadow=0.0)


def _figure(h=20, w=10):
    """Return a red figure: column 0 is transparent over hidden green, column 1 half transparent."""
    rgba = np.zeros((h, w, 4), np.uint8)
    rgba[:] = (200, 10, 20, 255)
    rgba[:, 0] = (0, 255, 0, 0)
    rgba[:, 1, 3] = 128
    return rgba


def _room(rng):
    return rng.integers(0, 256, (48, 64, 3), dtype=np.uint8), rng.uniform(2, 9, (48, 64)).astype(
        np.float32
    )


def test_only_the_figure_changes_without_realism(rng):
    bg, depth = _room(rng)
    kept = bg.copy()
    made = composite.compose(
        rng, bg, _figure(), (7, 5), depth=depth, figure_metres=3.25, realism=PLAIN
    )
    outside = made.mask == 0
    np.testing.assert_array_equal(made.bg_fg[outside], bg[outside])
    np.testing.assert_array_equal(
        made.bg_fg[5:25, 9:17], np.broadcast_to((200, 10, 20), (20, 8, 3))
    )
    blend = bg[5:25, 8] + 128 / 255 * (np.array((200, 10, 20)) - bg[5:25, 8])
    np.testing.assert_allclose(made.bg_fg[5:25, 8], blend, atol=1)
    np.testing.assert_array_equal(bg, kept)


def test_mask_box_and_depth_agree(rng):
    bg, depth = _room(rng)
    made = composite.compose(rng, bg, _figure(), (7, 5), depth=depth, figure_metres=3.25)
    foreground = made.mask > 127
    x, y, w, h = made.box
    assert made.box == (8, 5, 9, 20)
    assert foreground[y : y + h, x : x + w].all() and foreground.sum() == w * h
    np.testing.assert_array_equal(made.depth[foreground], np.float32(3.25))
    np.testing.assert_array_equal(made.depth[~foreground], depth[~foreground])
    assert made.depth.dtype == np.float32 and made.mask.dtype == made.bg_fg.dtype == np.uint8


def test_mirrored_figure_has_mirrored_mask(rng):
    bg, _ = _room(rng)
    figure = _figure()
    plain, mirrored = (
        composite.compose(rng, bg, f, (7, 5), realism=PLAIN) for f in (figure, figure[:, ::-1])
    )
    np.testing.assert_array_equal(plain.mask[5:25, 7:17], mirrored.mask[5:25, 7:17][:, ::-1])
    assert plain.depth is None and mirrored.box == (7, 5, 9, 20)


def test_noise_is_independent_with_the_given_standard_deviation(rng):
    grey = np.full((200, 200, 3), 128, np.uint8)
    first, second = (
        composite.photograph(rng, grey, composite.Realism(noise=4.0)).astype(float)
        for _ in range(2)
    )
    assert first.std() == pytest.approx(4.0, rel=0.05) and first.mean() == pytest.approx(
        128, abs=0.1
    )
    assert abs(np.corrcoef(first.ravel(), second.ravel())[0, 1]) < 0.02
    np.testing.assert_array_equal(composite.photograph(rng, grey, PLAIN), grey)


def test_exposure_and_shadow_are_within_their_limits():
    bg, figure = np.full((60, 60, 3), 200, np.uint8), _figure(30, 12)
    brighter = PLAIN._replace(exposure=0.1)
    made = [
        composite.compose(np.random.default_rng(k), bg, figure, (20, 20), realism=brighter)
        for k in range(30)
    ]
    exposed = [one.bg_fg[0, 0, 0] for one in made]
    assert 179 <= min(exposed) < 190 and 210 < max(exposed) <= 221
    shadowed = PLAIN._replace(shadow=0.4)
    made = composite.compose(np.random.default_rng(0), bg, figure, (20, 20), realism=shadowed)
    shaded = made.bg_fg
    assert 200 * 0.6 <= shaded[49, 18, 0] < 190  # beside the feet
    np.testing.assert_array_equal(shaded[:40, :20], 200)  # but nowhere else
    np.testing.assert_array_equal(shaded[20:50, 22:32], np.broadcast_to((200, 10, 20), (30, 10, 3)))


def test_places_are_inside_and_all_occur(rng):
    places = {composite.place(rng, (12, 10), (9, 7)) for _ in range(300)}
    assert places == {(x, y) for x in range(4) for y in range(4)}
    assert composite.place(rng, (5, 5), (5, 5)) == (0, 0)


def test_bad_arguments_raise(rng):
    bg = np.zeros((20, 20, 3), np.uint8)
    with pytest.raises(ValueError, match="10 x 21 px.*20 x 20 px"):
        composite.place(rng, (20, 20), (21, 10))
    with pytest.raises(ValueError, match="10 x 21 px.*20 x 20 px"):
        composite.compose(rng, bg, _figure(21, 10), (0, 0))
    with pytest.raises(ValueError, match="leaves the canvas"):
        composite.compose(rng, bg, _figure(10, 10), (11, 0))
    with pytest.raises(ValueError, match="figure_metres"):
        composite.compose(rng, bg, _figure(10, 10), (0, 0), depth=np.ones((20, 20)))
    with pytest.raises(ValueError, match="uint8"):
        composite.scale_figure(np.zeros((4, 4, 3), np.uint8), 8)


def test_scaling_keeps_proportions_and_hides_transparent_colours():
    figure = _figure(60, 30)
    figure[:, :15] = (0, 255, 0, 0)
    small = composite.scale_figure(figure, 20)
    assert small.shape == (20, 10, 4)
    seen = small[..., 3] > 3
    assert seen.any() and (np.abs(small[seen][:, :3].astype(int) - (200, 10, 20)) <= 1).all()
    assert composite.scale_figure(figure, 120).shape == (120, 60, 4)


def test_figure_depth():
    assert composite.figure_depth(200.0, 1.8, 108) == pytest.approx(3.3333333)


def test_encode_depth():
    stored = composite.encode_depth(np.array([0.0, 0.05, 0.1, 2.5, 10.0, 30.0]))
    np.testing.assert_array_equal(stored, [3, 3, 3, 64, 255, 255])
    assert stored.dtype == np.uint8
