"""Alignment: a pair that fits is left alone; motion and light are undone under a figure."""

import sys

import numpy as np
import pytest

from modest.data.synthetic import people, rooms
from modest.errors import InputError
from modest.inference import alignment, motion

cv2 = pytest.importorskip("cv2", reason="OpenCV is not installed")
SIZE = 320


@pytest.fixture(scope="module")
def pair():
    """Return a room, and the room with a person who hides a tenth of it."""
    bg = rooms.render(1, SIZE).picture
    figure = people.draw(2, 220).rgba
    bg_fg = bg.copy()
    at = bg_fg[80:300, 100 : 100 + figure.shape[1]]
    alpha = figure[..., 3:] / 255
    at[:] = at * (1 - alpha) + figure[..., :3] * alpha
    return bg, bg_fg


def disturb(bg, shift=0.0, turn=0.0, gain=1.0):
    matrix = cv2.getRotationMatrix2D((SIZE / 2, SIZE / 2), turn, 1.0)
    matrix[0, 2] += shift
    moved = cv2.warpAffine(bg, matrix, (SIZE, SIZE), borderMode=cv2.BORDER_REPLICATE)
    return np.clip(moved * gain, 0, 255).astype(np.uint8)


@pytest.mark.parametrize("mode", ["off", "auto"])
def test_pair_that_fits_is_returned_as_it_is(pair, mode):
    aligned = alignment.align(*pair, mode)
    assert aligned.bg is pair[0] and aligned.covered is None and aligned.alignment is None


@pytest.mark.parametrize(
    "change", [{"shift": 5.0}, {"shift": -20.0}, {"turn": 1.0}, {"gain": 1.15}, {"gain": 0.8}]
)
def test_motion_and_light_are_undone(pair, change):
    bg, bg_fg = pair
    aligned = alignment.align(disturb(bg, **change), bg_fg)
    assert aligned.alignment is not None
    error = np.abs(aligned.bg.astype(int) - bg).max(-1)[aligned.covered]
    assert np.median(error) <= 3 and np.quantile(error, 0.9) < 25
    before = np.abs(disturb(bg, **change).astype(int) - bg).max(-1)
    assert error.mean() < 0.5 * before.mean()


def test_change_of_contrast_is_undone(pair):
    """The grey level 128 stays as it is."""
    bg, bg_fg = pair
    flat = np.round(128 + 0.7 * (bg - 128.0)).astype(np.uint8)
    aligned = alignment.align(flat, bg_fg)
    assert aligned.alignment is not None
    np.testing.assert_allclose(aligned.alignment.gain, 1 / 0.7, rtol=0.05)
    assert np.median(np.abs(aligned.bg.astype(int) - bg)) <= 3


def test_part_that_the_background_does_not_reach_shows_the_picture(pair):
    bg, bg_fg = pair
    aligned = alignment.align(disturb(bg, shift=20.0), bg_fg)
    inner = aligned.covered[10:-10]
    assert not inner[:, -15:].any() and inner[:, 10:-30].all()
    np.testing.assert_array_equal(aligned.bg[~aligned.covered], bg_fg[~aligned.covered])


def test_detail_is_kept_when_a_background_is_moved(pair):
    columns, known = np.arange(64), alignment.estimate(*pair)
    before, after = (128 + 60 * np.sin(2 * np.pi * (columns + shift) / 5) for shift in (0.5, 0))
    bg, bg_fg = (np.tile(x[:, None], (64, 1, 3)).round().astype(np.uint8) for x in (before, after))
    matrix = np.array([[1, 0, 0.5], [0, 1, 0], [0, 0, 1]])
    half_px = known._replace(matrix=matrix, gain=np.ones(3), offset=np.zeros(3))
    aligned = alignment.apply(half_px, bg, bg_fg)
    assert np.abs(aligned.bg.astype(int) - bg_fg)[:, 3:-3].max() <= 3


def test_levels_do_not_overflow_at_an_edge(pair):
    bg = np.zeros((64, 64, 3), np.uint8)
    bg[:, 32:] = 249
    matrix = np.array([[1, 0, 0.5], [0, 1, 0], [0, 0, 1]])
    half_px = alignment.estimate(*pair)._replace(matrix=matrix, gain=np.ones(3), offset=np.zeros(3))
    rows = alignment.apply(half_px, bg, bg).bg.astype(int)
    assert rows[:, 34:].min() > 230 and rows[:, :31].max() < 20


def test_another_room_is_not_moved_far(pair):
    found = alignment.estimate(rooms.render(5, SIZE).picture, pair[1])
    assert found.motion <= motion.MOST_MOTION * SIZE


def test_same_pictures_give_the_same_alignment(pair):
    first, second = (alignment.estimate(disturb(pair[0], turn=1.0), pair[1]) for _ in range(2))
    np.testing.assert_array_equal(first.matrix, second.matrix)
    np.testing.assert_array_equal(first.gain, second.gain)


def test_without_opencv_a_background_is_used_as_it_is(pair, monkeypatch, caplog):
    monkeypatch.setitem(sys.modules, "cv2", None)
    alignment._log_missing.cache_clear()
    assert alignment.align(*pair).alignment is None and not caplog.records
    moved = disturb(pair[0], shift=8.0)
    for _ in range(2):
        assert alignment.align(moved, pair[1]).bg is moved
    assert len(caplog.records) == 1 and "pip install" in caplog.text
    with pytest.raises(InputError, match="pip install"):
        alignment.align(moved, pair[1], "always")


def test_report_of_a_known_motion():
    matrix = np.vstack([cv2.getRotationMatrix2D((50, 40), -2.0, 1.05), [0, 0, 1]])
    matrix = np.array([[1, 0, 3], [0, 1, -1], [0, 0, 1]]) @ matrix
    shift, turn, zoom = motion.about_centre(matrix, (80, 100, 3))
    np.testing.assert_allclose(shift, [3, -1], atol=1e-6)
    assert (turn, zoom) == pytest.approx((2.0, 1.05))  # OpenCV counts counterclockwise


def test_figure_that_hides_most_of_a_picture_is_not_motion(pair):
    bg, hidden = pair[0], pair[1].copy()
    noise = np.random.default_rng(0).integers(0, 255, (SIZE // 16, SIZE // 16, 3), np.uint8)
    blocks = np.kron(noise, np.ones((16, 16, 1), np.uint8))
    hidden[:, : SIZE * 11 // 20] = blocks[:, : SIZE * 11 // 20]
    assert alignment.align(bg, hidden).bg is bg


def test_turned_frame_of_a_phone_is_aligned(pair):
    """A frame that was turned upright is a view with negative strides."""
    bg, bg_fg = disturb(pair[0], shift=5.0), np.rot90(np.rot90(pair[1], 1).copy(), -1)
    np.testing.assert_array_equal(alignment.align(bg, bg_fg).bg, alignment.align(bg, pair[1]).bg)


@pytest.mark.parametrize("shape", [(1, 300, 3), (20, 2000, 3), (40, 30, 3)])
def test_thin_and_small_pictures_are_aligned_in_light_only(rng, shape):
    bg = rng.integers(60, 120, shape, np.uint8)
    aligned = alignment.align(bg, (bg * 1.5).astype(np.uint8), "always")
    np.testing.assert_array_equal(aligned.alignment.matrix, np.eye(3))
    assert aligned.bg.shape == shape
