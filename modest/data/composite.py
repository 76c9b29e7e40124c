"""How a composite is made: a cut-out figure is pasted at a random place onto an empty room.

The original recipe used 704 px backgrounds and cut-outs 340 px high. Each cut-out was pasted at 20
random places as it is, and at 20 places mirrored. The mask was taken from alpha. Then everything
was resized to 224 px, at which the figure is 108 px high. Outside the figure, the depth is the
room's; inside, it is one distance for the whole figure.

Every function is pure. Random numbers come from the generator that is passed in.
"""

import statistics
from typing import NamedTuple

import numpy as np
from PIL import Image

from modest.constants import DEPTH_METRES, MIN_DEPTH, UNKNOWN_DEPTH

FOREGROUND = 127  # larger mask values are foreground
MOST_AT_ONE_END = 0.98  # share of the depth of a data set that may be at one end of its range

# The noise of a value is one of 256 quantiles of the normal distribution, selected by a random
# byte. That is many times cheaper than drawing exact normal numbers.
NORMAL_QUANTILES = np.array(
    [statistics.NormalDist().inv_cdf((k + 0.5) / 256) for k in range(256)], np.float32
)
NORMAL_QUANTILES /= NORMAL_QUANTILES.std()


class Realism(NamedTuple):
    """How bg_fg differs from bg outside the figure. A value of 0 disables an effect.

    Attributes:
      noise: standard deviation of sensor noise in grey levels; bg and bg_fg have independent noise.
      exposure: largest relative difference in brightness between the two pictures.
      shadow: largest darkening by the soft contact shadow under the feet.
    """

    noise: float = 2.0
    exposure: float = 0.03
    shadow: float = 0.35


DEFAULT = Realism()


class Composite(NamedTuple):
    """A picture with a figure in it, and its targets.

    Attributes:
      bg_fg: uint8 `[H,W,3]`.
      mask: uint8 `[H,W]`, the figure's alpha, with soft edges; values > 127 are foreground.
      depth: float32 `[H,W]` in metres, or None.
      box: x, y, width and height in px of mask > 127; all 0 if there is no foreground.
    """

    bg_fg: np.ndarray
    mask: np.ndarray
    depth: np.ndarray | None
    box: tuple[int, int, int, int]


def scale_figure(rgba: np.ndarray, height: int) -> np.ndarray:
    """Resize a cut-out to a height in px and keep its proportions.

    Colours are weighted by alpha, so that hidden colours of transparent pixels do not bleed into
    the edges.

    Args:
      rgba: uint8 `[h,w,4]`, straight alpha.
      height: the new height in px.

    Returns:
      uint8 `[height,width,4]`, straight alpha.

    Raises:
      ValueError: `rgba` has another shape or dtype, or `height` is less than 1.
    """
    rgba = np.asarray(rgba)
    if rgba.ndim != 3 or rgba.shape[2] != 4 or rgba.dtype != np.uint8:
        raise ValueError(
            f"a cut-out is uint8 [height, width, 4], not {rgba.dtype} {list(rgba.shape)}"
        )
    if height < 1:
        raise ValueError(f"a figure must be at least 1 px high, not {height}")
    width = max(1, round(rgba.shape[1] * height / rgba.shape[0]))
    if (height, width) == rgba.shape[:2]:
        return rgba.copy()
    alpha = rgba[..., 3].astype(np.float32)
    # Float planes, because premultiplied 8-bit colours lose their tint where alpha is small.
    premultiplied = [_resize_plane(rgba[..., k] * alpha / 255, (height, width)) for k in range(3)]
    alpha = _resize_plane(alpha, (height, width))
    colour = np.stack(premultiplied, -1) * 255 / np.maximum(alpha, 0.5)[..., None]
    return (np.clip(np.dstack([colour, alpha]), 0, 255) + 0.5).astype(np.uint8)


def place(
    rng: np.random.Generator, canvas_hw: tuple[int, ...], figure_hw: tuple[int, ...]
) -> tuple[int, int]:
    """Draw the upper left corner of a figure, uniform over all places inside the canvas.

    Args:
      rng: source of random numbers.
      canvas_hw: height and width of the canvas in px.
      figure_hw: height and width of the figure in px.

    Returns:
      (x, y) in px.

    Raises:
      ValueError: the figure is larger than the canvas.
    """
    _check_fits(canvas_hw, figure_hw)
    x = rng.integers(canvas_hw[1] - figure_hw[1] + 1)
    y = rng.integers(canvas_hw[0] - figure_hw[0] + 1)
    return int(x), int(y)


def figure_depth(focal_px: float, height_m: float, height_px: float) -> float:
    """Return the distance of a figure in metres, f h / p, by the pinhole camera model.

    Args:
      focal_px: focal length f in px.
      height_m: true height h in metres.
      height_px: height p in the picture in px.
    """
    return float(focal_px * height_m / height_px)


def compose(
    rng: np.random.Generator,
    bg: np.ndarray,
    figure_rgba: np.ndarray,
    xy: tuple[int, int],
    *,
    depth: np.ndarray | None = None,
    figure_metres: float | None = None,
    realism: Realism = DEFAULT,
) -> Composite:
    """Paste a cut-out onto a background. The inputs are not modified.

    Args:
      rng: source of random numbers.
      bg: the empty room, uint8 `[H,W,3]`.
      figure_rgba: the cut-out, uint8 `[h,w,4]`, straight alpha.
      xy: where the upper left corner of the cut-out goes, in px.
      depth: depth of the empty room, float `[H,W]` in metres. Without it the composite has no
        depth.
      figure_metres: distance of the figure in metres; becomes the depth where mask > 127.
      realism: how bg_fg differs from bg outside the figure.

    Raises:
      ValueError: the figure is not inside the canvas, or `depth` is given without `figure_metres`.
    """
    (height, width), (h, w), (x, y) = bg.shape[:2], figure_rgba.shape[:2], xy
    _check_fits((height, width), (h, w))
    if not (0 <= x <= width - w and 0 <= y <= height - h):
        raise ValueError(
            f"a figure of {w} x {h} px at ({x}, {y}) leaves the canvas of {width} x {height} px"
        )
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
        room_depth = np.asarray(depth, np.float32)
        depth = np.where(mask > FOREGROUND, np.float32(figure_metres), room_depth)
    return Composite(_add_noise(rng, picture, realism.noise), mask, depth, box(mask))


def photograph(rng: np.random.Generator, picture: np.ndarray, realism: Realism) -> np.ndarray:
    """Return the empty room as a camera records it: the picture with sensor noise.

    Args:
      rng: source of random numbers.
      picture: uint8 `[H,W,3]`.
      realism: only its noise is used.

    Returns:
      uint8 `[H,W,3]`.
    """
    return _add_noise(rng, picture.astype(np.float32), realism.noise)


def encode_depth(metres: np.ndarray | float) -> np.ndarray:
    """Return a depth in metres as uint8: round(255 * clip(metres / 10, 0.01, 1)).

    NaN, an unknown depth, becomes `UNKNOWN_DEPTH`, which no distance has.
    """
    metres = np.asarray(metres)
    known = ~np.isnan(metres)
    levels = np.round(255 * np.clip(np.where(known, metres, 1) / DEPTH_METRES, MIN_DEPTH, 1))
    return np.where(known, levels, UNKNOWN_DEPTH).astype(np.uint8)[()]


def feet(figure_rgba: np.ndarray) -> tuple[int, int]:
    """Return the left and right end in px of the opaque part of the lowest sixteenth of a cut-out.

    Both are 0 if nothing there is opaque.
    """
    lowest = figure_rgba[-max(1, figure_rgba.shape[0] // 16) :, :, 3]
    columns = np.flatnonzero((lowest > FOREGROUND).any(axis=0))
    return (int(columns[0]), int(columns[-1]) + 1) if columns.size else (0, 0)


def box(mask: np.ndarray) -> tuple[int, int, int, int]:
    """Return x, y, width and height in px of mask > 127, or zeros if there is no foreground."""
    rows, columns = (np.flatnonzero((mask > FOREGROUND).any(axis)) for axis in (1, 0))
    if not rows.size:
        return 0, 0, 0, 0
    x, y = int(columns[0]), int(rows[0])
    return x, y, int(columns[-1] - columns[0] + 1), int(rows[-1] - rows[0] + 1)


def _resize_plane(plane, size):
    image = Image.fromarray(plane)
    return np.asarray(image.resize((size[1], size[0]), Image.Resampling.LANCZOS))


def _check_fits(canvas_hw, figure_hw):
    if figure_hw[0] > canvas_hw[0] or figure_hw[1] > canvas_hw[1]:
        raise ValueError(
            f"a figure of {figure_hw[1]} x {figure_hw[0]} px (width x height) "
            f"does not fit a canvas of {canvas_hw[1]} x {canvas_hw[0]} px"
        )


def _cast_shadow(rng, picture, figure_rgba, xy, strength):
    """Darken a soft ellipse under the feet, in `picture` itself. The figure is pasted later."""
    height, (left, right) = figure_rgba.shape[0], feet(figure_rgba)
    if left == right:
        return
    x = xy[0] + (left + right) / 2  # centre of the ellipse
    y = xy[1] + 0.985 * height
    half_width, half_height = (right - left) / 2 + 0.06 * height, 0.05 * height
    rows = _pixels_around(y, half_height, picture.shape[0])
    columns = _pixels_around(x, half_width, picture.shape[1])
    if not rows.size or not columns.size:
        return
    square = ((rows[:, None] + 0.5 - y) / half_height) ** 2
    square = square + ((columns + 0.5 - x) / half_width) ** 2
    darkening = strength * rng.uniform(0.5, 1) * np.exp(-1.2 * square) * (square < 4)
    shaded = slice(rows[0], rows[-1] + 1), slice(columns[0], columns[-1] + 1)
    picture[shaded] *= (1 - darkening)[..., None].astype(np.float32)


def _pixels_around(centre, radius, length):
    """Return the indices of an axis that are at most twice `radius` from `centre`."""
    first, last = int(centre - 2 * radius), int(centre + 2 * radius)
    return np.arange(*np.clip([first, last + 1], 0, length))


def _add_noise(rng, picture, noise):
    """Add normal noise to a float picture 0..255 and round to uint8; `noise` is in grey levels."""
    if noise:
        drawn = np.frombuffer(rng.bytes(picture.size), np.uint8).reshape(picture.shape)
        picture = picture + np.take(np.float32(noise) * NORMAL_QUANTILES, drawn)
    return np.clip(picture + np.float32(0.5), 0, 255).astype(np.uint8)
