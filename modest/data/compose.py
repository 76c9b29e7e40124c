"""The recipe of the data set: a cut-out person is put at a random place on a picture of an empty room.

The first recipe used 704 px backgrounds and cut-outs 340 px high, each at 20 random places as it is and at 20
mirrored, the mask taken from alpha, and everything resized to 224 px; at 224 px the figure is 108 px high. The
depth outside the figure is the room's, inside it is one distance for the whole figure. Every function is pure:
what is random comes from the generator passed in.

    python -m modest.data.compose --bg DIR --fg DIR --out DIR     makes a data set by the recipe; see workshop.py
"""

import statistics
import sys
from typing import NamedTuple

import numpy as np
from PIL import Image

from modest.vocabulary import DEPTH_METRES, MIN_DEPTH

FOREGROUND = 127  # mask values above this one are foreground
# Sensor noise is one of 256 normal quantiles a sample, drawn by a random byte: many times cheaper than exact normals.
QUANTILES = np.array([statistics.NormalDist().inv_cdf((k + 0.5) / 256) for k in range(256)], np.float32)
QUANTILES /= QUANTILES.std()


class Realism(NamedTuple):
    """How bg_fg differs from bg outside the figure; 0 switches each off."""

    noise: float = 2.0  # standard deviation of sensor noise in grey levels; each picture of the pair has its own draw
    exposure: float = 0.03  # largest relative change of brightness between the two pictures
    shadow: float = 0.35  # largest darkening of the soft contact shadow under the feet


DEFAULT = Realism()


class Composite(NamedTuple):
    """One picture with a person in it, and what is to be learnt from it."""

    bg_fg: np.ndarray  # uint8 [H, W, 3]
    mask: np.ndarray  # uint8 [H, W], 0..255: the alpha, soft at its edges; > 127 is foreground
    depth: np.ndarray | None  # float32 [H, W] metres
    box: tuple[int, int, int, int]  # x, y, width, height in pixels of mask > 127; all 0 where there is none


def scale_figure(rgba, height):
    """The cut-out uint8 [h, w, 4] (straight alpha) resized to a height in pixels, its proportions kept.

    Colours are weighted by alpha, so that what lies hidden under transparent pixels never bleeds into the edges.
    """
    rgba = np.asarray(rgba)
    if rgba.ndim != 3 or rgba.shape[2] != 4 or rgba.dtype != np.uint8:
        raise ValueError(f"a cut-out is uint8 [height, width, 4], not {rgba.dtype} {list(rgba.shape)}")
    if height < 1:
        raise ValueError(f"a figure must be at least 1 px high, not {height}")
    width = max(1, round(rgba.shape[1] * height / rgba.shape[0]))
    if (height, width) == rgba.shape[:2]:
        return rgba.copy()
    alpha = rgba[..., 3].astype(np.float32)
    planes = [alpha, *(rgba[..., k] * alpha / 255 for k in range(3))]
    # Float planes: eight-bit premultiplied colours would lose their tint where alpha is small.
    planes = [np.asarray(Image.fromarray(p).resize((width, height), Image.Resampling.LANCZOS)) for p in planes]
    colour = np.stack(planes[1:], -1) * 255 / np.maximum(planes[0], 0.5)[..., None]
    return (np.clip(np.dstack([colour, planes[0]]), 0, 255) + 0.5).astype(np.uint8)


def place(rng, canvas_hw, figure_hw):
    """Left upper corner (x, y), uniform over all places at which the figure lies wholly inside the canvas."""
    _check_fits(canvas_hw, figure_hw)
    x = rng.integers(canvas_hw[1] - figure_hw[1] + 1)
    y = rng.integers(canvas_hw[0] - figure_hw[0] + 1)
    return int(x), int(y)


def figure_depth(focal_px, height_m, height_px):
    """Metres at which something height_m metres high appears height_px pixels high: f h / p."""
    return float(focal_px * height_m / height_px)


def compose(rng, bg, figure_rgba, xy, *, depth=None, figure_metres=None, realism=DEFAULT):
    """Puts the cut-out uint8 [h, w, 4] on bg uint8 [H, W, 3] with its left upper corner at xy = (x, y).

    depth: float [H, W] metres of the empty room, or None (then the composite's depth is None too);
    figure_metres: the figure's distance, written where mask > 127. Gives a Composite; bg is left as it was.
    """
    (height, width), (h, w), (x, y) = bg.shape[:2], figure_rgba.shape[:2], xy
    _check_fits((height, width), (h, w))
    if not (0 <= x <= width - w and 0 <= y <= height - h):
        raise ValueError(f"a figure of {w} x {h} px at ({x}, {y}) leaves the canvas of {width} x {height} px")
    if depth is not None and figure_metres is None:
        raise ValueError("a depth of the room needs figure_metres too")
    at = slice(y, y + h), slice(x, x + w)
    picture = bg.astype(np.float32)
    if realism.shadow:
        _cast_shadow(rng, picture, figure_rgba, xy, realism.shadow)
    alpha = figure_rgba[..., 3:].astype(np.float32) / 255
    picture[at] += alpha * (figure_rgba[..., :3] - picture[at])
    if realism.exposure:
        picture *= np.float32(1 + rng.uniform(-realism.exposure, realism.exposure))
    mask = np.zeros((height, width), np.uint8)
    mask[at] = figure_rgba[..., 3]
    if depth is not None:
        depth = np.where(mask > FOREGROUND, np.float32(figure_metres), np.asarray(depth, np.float32))
    return Composite(_expose(rng, picture, realism.noise), mask, depth, box(mask))


def photograph(rng, picture, realism):
    """The bare background as a camera saw it: uint8 [H, W, 3] with its own draw of sensor noise."""
    return _expose(rng, picture.astype(np.float32), realism.noise)


def encode_depth(metres):
    """uint8 of a depth in metres: metres / 10 clipped to [0.01, 1], stored as round(255 * value)."""
    return np.round(255 * np.clip(np.asarray(metres) / DEPTH_METRES, MIN_DEPTH, 1)).astype(np.uint8)


def _check_fits(canvas_hw, figure_hw):
    if figure_hw[0] > canvas_hw[0] or figure_hw[1] > canvas_hw[1]:
        raise ValueError(
            f"a figure of {figure_hw[1]} x {figure_hw[0]} px (width x height) "
            f"does not fit a canvas of {canvas_hw[1]} x {canvas_hw[0]} px"
        )


def _cast_shadow(rng, picture, figure_rgba, xy, strength):
    """Darkens the float picture by a soft ellipse under the feet (the figure itself is laid over it afterwards)."""
    h, (left, right) = figure_rgba.shape[0], feet(figure_rgba)
    if left == right:
        return
    middle = xy[0] + (left + right) / 2
    half_width = (right - left) / 2 + 0.06 * h
    half_height, ground = 0.05 * h, xy[1] + 0.985 * h
    rows = np.arange(*np.clip([int(ground - 2 * half_height), int(ground + 2 * half_height) + 1], 0, picture.shape[0]))
    columns = np.arange(*np.clip([int(middle - 2 * half_width), int(middle + 2 * half_width) + 1], 0, picture.shape[1]))
    if not rows.size or not columns.size:
        return
    square = ((rows[:, None] + 0.5 - ground) / half_height) ** 2 + ((columns + 0.5 - middle) / half_width) ** 2
    darkening = strength * rng.uniform(0.5, 1) * np.exp(-1.2 * square) * (square < 4)
    picture[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1] *= (1 - darkening)[..., None].astype(np.float32)


def feet(figure_rgba):
    """Left and right end in px of what is opaque in the lowest sixteenth of a cut-out; (0, 0) where nothing is."""
    lowest = figure_rgba[-max(1, figure_rgba.shape[0] // 16) :, :, 3]
    columns = np.flatnonzero((lowest > FOREGROUND).any(axis=0))
    return (int(columns[0]), int(columns[-1]) + 1) if columns.size else (0, 0)


def _expose(rng, picture, noise):
    """uint8 of a float picture 0..255, with normal noise of a standard deviation in grey levels added."""
    if noise:
        drawn = np.frombuffer(rng.bytes(picture.size), np.uint8).reshape(picture.shape)
        picture = picture + np.take(np.float32(noise) * QUANTILES, drawn)
    return np.clip(picture + np.float32(0.5), 0, 255).astype(np.uint8)


def box(mask):
    """x, y, width, height of mask > 127."""
    rows, columns = (np.flatnonzero((mask > FOREGROUND).any(axis)) for axis in (1, 0))
    if not rows.size:
        return 0, 0, 0, 0
    return int(columns[0]), int(rows[0]), int(columns[-1] - columns[0] + 1), int(rows[-1] - rows[0] + 1)


def main(argv=None):
    """The command: `workshop.main`."""
    from modest.data import workshop  # far above this module, which it builds on; needed by the command alone

    return workshop.main(argv)


if __name__ == "__main__":
    sys.exit(main())
