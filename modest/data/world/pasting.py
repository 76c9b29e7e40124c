"""Paste figures into a place: standing on its floor or anywhere, cut off by the picture's edges."""

from typing import NamedTuple

import numpy as np
from scipy import ndimage

from modest.data import composite
from modest.data.synthetic.rooms import Room


class Sun(NamedTuple):
    """How figures cast hard shadows across the floor."""

    lean: float  # tip of the shadow beside the feet, in heights of the figure
    length: float  # tip of the shadow above the feet in the picture, in heights; negative: below
    darkness: float  # 0..1, the share of light that is missing


class Figure(NamedTuple):
    """A cut-out at its place in a picture."""

    rgba: np.ndarray  # uint8 [h,w,4], straight alpha
    x: int  # upper left corner in px; may be outside the picture
    y: int
    metres: float  # distance from the camera


def draw_sun(rng: np.random.Generator) -> Sun:
    """Draw the direction and the strength of hard shadows."""
    length = rng.uniform(0.1, 0.6) * rng.choice([-1, 1])
    return Sun(rng.uniform(-1.5, 1.5), length, rng.uniform(0.15, 0.75))


def stand_on_floor(
    rng: np.random.Generator, place: Room, rgba: np.ndarray, height_m: float
) -> Figure | None:
    """Let a figure stand somewhere on the floor, in the size that its distance gives it.

    Args:
      rng: source of random numbers.
      place: the place.
      rgba: the cut-out, uint8 `[h,w,4]`.
      height_m: its true height in metres.

    Returns:
      The figure, or None if the pixel that was drawn does not show floor at 1.2 to 25 m.
    """
    size = len(place.depth)
    row, column = int(rng.integers(int(0.35 * size), size)), int(rng.integers(size))
    metres = float(place.depth[row, column])
    behind = float(place.depth[max(row - 3, 0), column])
    if not (1.2 < metres < 25 and 1.004 < behind / metres < 1.5):  # the floor recedes upwards
        return None
    height = round(place.focal * height_m / metres)
    if not 4 <= height <= 2 * size:
        return None
    scaled = composite.scale_figure(rgba, height)
    return Figure(scaled, int(column - scaled.shape[1] // 2), int(row - height), metres)


def paste(
    rng: np.random.Generator, place: Room, figure: Figure, shadow: float, sun: Sun | None
) -> tuple[Room, np.ndarray]:
    """Paste a figure, with a contact shadow and perhaps a cast one.

    Args:
      rng: source of random numbers.
      place: the place.
      figure: what to paste. The part outside the picture is cut off.
      shadow: see `composite.Realism`.
      sun: how it casts a hard shadow; None: it does not.

    Returns:
      The place with the figure, and its mask, uint8 `[H,W]`, values > 127 are foreground.
    """
    height, width = place.depth.shape
    picture = place.picture
    if sun:
        picture = _darken(picture, figure, sun)
    left, top = max(-figure.x, 0), max(-figure.y, 0)
    bottom, right = max(height - figure.y, 0), max(width - figure.x, 0)
    visible = figure.rgba[top:bottom, left:right]
    if not visible.size:
        return place._replace(picture=picture), np.zeros((height, width), np.uint8)
    realism = composite.Realism(noise=0, exposure=0, shadow=shadow)
    made = composite.compose(
        rng,
        picture,
        visible,
        (max(figure.x, 0), max(figure.y, 0)),
        depth=place.depth,
        figure_metres=figure.metres,
        realism=realism,
    )
    assert made.depth is not None  # because the place has a depth
    return place._replace(picture=made.bg_fg, depth=made.depth), made.mask


def _darken(picture, figure, sun):
    """Return the picture with the shadow of a figure: its silhouette, flattened and leaning."""
    height, width = figure.rgba.shape[:2]
    feet = np.array([figure.y + height, figure.x + width / 2])
    # A point at (row, column) of the picture is at u heights above the feet in the silhouette.
    matrix = np.array([[1 / sun.length, 0], [sun.lean / sun.length, 1]])
    offset = np.array([height, width / 2]) - matrix @ feet
    alpha = figure.rgba[..., 3].astype(np.float32) / 255
    shape = picture.shape[:2]
    silhouette = ndimage.affine_transform(alpha, matrix, offset, shape, order=1)
    colour = sun.darkness * np.array([1, 0.95, 0.85])  # the sky lights shadows bluish
    return (picture * (1 - silhouette[..., None] * colour) + 0.5).astype(np.uint8)
