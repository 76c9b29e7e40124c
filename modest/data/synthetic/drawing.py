"""The canvas that people are painted on: tapered limbs and upright bodies, one over another.

The unit of all lengths is the height of the body. On the canvas x points across, with 0 in the
middle, and y up, with 0 at the floor and 1 at the top of the head. Colours are sRGB 0..255 or a
`Cloth`. `project` maps points of the body to the canvas.
"""

from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike
from PIL import Image
from scipy import ndimage

Slices = tuple[slice, slice]


class Cloth(NamedTuple):
    """A cloth of one or two colours, sRGB 0..255."""

    colour: tuple[int, int, int]
    other: tuple[int, int, int]  # second colour, of the pattern
    pattern: str  # "plain", "stripes", "pinstripes", "checks"


class Canvas:
    """A picture being painted.

    Attributes:
      colour: float32 `[n,m,3]` in 0..255, straight (not multiplied by alpha).
      alpha: float32 `[n,m]` in 0..1.
      scale: pixels per body height.
    """

    def __init__(self, rng: np.random.Generator, scale: float) -> None:
        self.scale = scale
        n, m = int(1.24 * scale), int(1.3 * scale)
        self.colour, self.alpha = np.zeros((n, m, 3), np.float32), np.zeros((n, m), np.float32)
        self._x = ((np.arange(m) + 0.5) / scale - 0.65).astype(np.float32)
        self._y = (1.12 - (np.arange(n) + 0.5) / scale).astype(np.float32)
        self._light = rng.choice([-1, 1]) * rng.uniform(0.25, 0.75)  # from the left or the right
        noise = rng.standard_normal((128, 128)).astype(np.float32)
        folds = ndimage.gaussian_filter(noise, (6, 2.2), mode="wrap")
        self._folds = 0.55 * folds / folds.std()

    def window(
        self, x0: float, x1: float, y0: float, y1: float, margin: float = 0.03
    ) -> tuple[Slices, np.ndarray, np.ndarray]:
        """Return the slices of the canvas that contain a box, and x `[1,m]` and y `[n,1]` there."""
        columns = np.clip(np.searchsorted(self._x, (x0 - margin, x1 + margin)), 0, len(self._x))
        rows = np.clip(np.searchsorted(-self._y, (-y1 - margin, -y0 + margin)), 0, len(self._y))
        at = slice(*rows), slice(*columns)
        return at, self._x[None, at[1]], self._y[at[0], None]

    def paint(
        self,
        at: Slices,
        distance: np.ndarray,
        colour: np.ndarray,
        side: np.ndarray | float = 0.0,
        folds: float = 0.05,
        cover: np.ndarray | float = 1.0,
    ) -> None:
        """Paint a shape over a window of the canvas, with a contact shadow on what is below.

        Args:
          at: the window, as slices that select `[n,m]` pixels.
          distance: distance from the outline in body heights, negative inside, `[n,m]`.
          colour: colour of the shape, or of each pixel: `[3]` or `[n,m,3]`.
          side: position across the shape, from -1 to 1, `[n,m]`. The shape is shaded by it as a
            round body.
          folds: strength of the creases of cloth.
          cover: opacity, 0..1.
        """
        d = distance * self.scale
        alpha = np.clip(0.5 - d, 0, 1) * cover
        side = np.clip(side, -1, 1)
        shade = 0.70 + 0.24 * np.sqrt(1 - side * side) - 0.26 * self._light * side + 0.06
        rows, columns = (np.arange(s.start, s.stop) & 127 for s in at)
        shade = (shade + folds * self._folds[rows[:, None], columns])[..., None]
        shadow = 0.35 * np.exp(-np.maximum(d, 0) / (0.008 * self.scale)) * cover
        below = self.colour[at] * (1 - shadow)[..., None]
        total = alpha + self.alpha[at] * (1 - alpha)
        above = alpha[..., None] * np.clip(colour * shade, 0, 255)
        mixed = above + ((1 - alpha) * self.alpha[at])[..., None] * below
        self.colour[at] = mixed / np.maximum(total, 1e-6)[..., None]
        self.alpha[at] = total

    def limb(
        self,
        points: ArrayLike,
        radii: ArrayLike,
        cloth: Cloth | ArrayLike,
        until: float = 1.0,
        folds: float = 0.05,
    ) -> None:
        """Paint a chain of tapered capsules.

        Args:
          points: x and y of the joints, `[k,2]`; or with z, which is ignored, `[k,3]`.
          radii: radii at the joints, `[k]`.
          cloth: a cloth or a colour.
          until: fraction of the length after which the chain is cut off, at a right angle.
          folds: strength of the creases.
        """
        joints, radius = np.asarray(points)[:, :2], np.asarray(radii)
        reach = radius.max()
        at, x, y = self.window(
            *(joints[:, 0].min() - reach, joints[:, 0].max() + reach),
            *(joints[:, 1].min() - reach, joints[:, 1].max() + reach),
        )
        distance, side, along, length = _capsule_coordinates(joints, radius, x, y)
        if until < 1:
            distance = np.maximum(distance, along - until * length)
        colour = textured(cloth, -side * np.pi / 2 * radius[0], along)
        self.paint(at, distance, colour, -side, folds)

    def upright(
        self,
        heights: list[float],
        halves: np.ndarray,
        centres: np.ndarray,
        cloth: Cloth | ArrayLike,
        yaw: float = 0.0,
        opening: tuple[Cloth, float] | None = None,
        folds: float = 0.06,
    ) -> None:
        """Paint an upright body of revolution, such as a torso or a skirt.

        Args:
          heights: y of its cross sections, from the top down, `k` values.
          halves: half widths of the cross sections, `[k]`.
          centres: x of their middles, `[k]`.
          cloth: a cloth or a colour.
          yaw: radians by which the body is turned, and with it the pattern and the opening.
          opening: (another cloth, angle). The other cloth shows up to that angle, in radians, on
            either side of the front.
          folds: strength of the creases.
        """
        reach = max(halves)
        top, bottom = heights[0], heights[-1]
        at, x, y = self.window(min(centres) - reach, max(centres) + reach, bottom, top)
        rows = y[:, 0]
        half = np.interp(-rows, -np.array(heights), halves)
        half = ndimage.gaussian_filter1d(half, 0.008 * self.scale, mode="nearest")[:, None]
        middle = np.interp(-rows, -np.array(heights), centres)[:, None]
        side = (x - middle) / np.maximum(half, 1e-3)
        slope = np.gradient(half[:, 0]) * self.scale
        distance = (np.abs(x - middle) - half) / np.sqrt(1 + slope * slope)[:, None]
        distance = np.maximum(distance, np.maximum(y - top, bottom - y))
        angle = np.arcsin(np.clip(side, -1, 1)) - yaw
        angle = (angle + np.pi) % (2 * np.pi) - np.pi  # 0 in front
        colour = textured(cloth, angle * 0.09, y + 0 * x)
        if opening:
            inner, half_angle = opening
            below = textured(inner, angle * 0.09, y + 0 * x)
            colour = np.where((np.abs(angle) < half_angle)[..., None], below, colour)
        self.paint(at, distance, colour, side, folds)


def _capsule_coordinates(joints, radii, x, y):
    """Return the coordinates of canvas points relative to a chain of tapered capsules.

    The points have x `[1,m]` and y `[n,1]`.

    Returns:
      Three arrays `[n,m]`: the distance from the nearest capsule, negative inside; the position
      across it, -1 to 1 inside; and the position along the chain. Then the length of the chain.
    """
    lengths = np.maximum(np.linalg.norm(np.diff(joints, axis=0), axis=1), 1e-6)
    nearest, start = None, 0.0
    for a, b, ra, rb, length in zip(joints[:-1], joints[1:], radii[:-1], radii[1:], lengths):
        ux, uy = (b - a) / length
        along = (x - a[0]) * ux + (y - a[1]) * uy
        across = (x - a[0]) * uy - (y - a[1]) * ux
        t = np.clip(along, 0, length)
        radius = ra + (rb - ra) * t / length
        distance = np.hypot(across, along - t) - radius
        capsule = distance, across / radius * (1 if uy <= 0 else -1), start + along
        if nearest is None:
            nearest = capsule
        closer = distance < nearest[0]
        nearest = [np.where(closer, new, old) for new, old in zip(capsule, nearest)]
        start += length
    return *nearest, start


def textured(cloth: Cloth | ArrayLike, u: np.ndarray, v: np.ndarray) -> np.ndarray:
    """Return the colour of a cloth at some of its points.

    Args:
      cloth: a cloth, or a colour, which is returned as an array.
      u: positions across the cloth in body heights, `[...]`.
      v: positions along the cloth in body heights, `[...]`.

    Returns:
      float32 `[...,3]`; if `cloth` is a colour, `[3]`.
    """
    if not isinstance(cloth, Cloth):
        return np.array(cloth, np.float32)
    first, other = np.array(cloth.colour, np.float32), np.array(cloth.other, np.float32)
    across, along = u / 0.022 % 1 < 0.3, v / 0.03 % 1 < 0.45
    weight = {
        "plain": 0 * v,
        "stripes": 1.0 * along,
        "pinstripes": 0.5 * across,
        "checks": 0.4 * across + 0.4 * along,
    }[cloth.pattern]
    return first + (other - first) * (weight + 0 * u)[..., None]


def project(points: ArrayLike, yaw: float) -> np.ndarray:
    """Project points of the body onto the canvas.

    Args:
      points: `[...,3]` in body axes: X across, Y up, Z where the body faces.
      yaw: radians; 0 shows the body from the front, pi from the back.

    Returns:
      Canvas x, canvas y (seen slightly from above), and the nearness to the viewer, `[...,3]`.
    """
    x, y, z = np.moveaxis(np.asarray(points, float), -1, 0)
    near = z * np.cos(yaw) - x * np.sin(yaw)
    return np.stack([x * np.cos(yaw) + z * np.sin(yaw), y - 0.13 * near, near], -1)


def crop(canvas: Canvas, height: int) -> tuple[np.ndarray, float]:
    """Return what is painted, cropped without a margin and resized.

    Args:
      canvas: the canvas.
      height: height of the result in pixels.

    Returns:
      uint8 `[height,width,4]`, straight alpha; and the height of what is painted, in body heights.
    """
    rows, columns = _extent(canvas.alpha, 0.25, 1), _extent(canvas.alpha, 0.05, 0)
    alpha = canvas.alpha[rows, columns]
    planes = [alpha, *np.moveaxis(canvas.colour[rows, columns] * alpha[..., None], -1, 0)]
    size = round(alpha.shape[1] * height / alpha.shape[0]), height
    planes = [
        Image.fromarray(np.ascontiguousarray(plane)).resize(size, Image.Resampling.BOX)
        for plane in planes
    ]
    alpha, *colours = (np.asarray(plane) for plane in planes)
    colour = np.stack(colours, -1) / np.maximum(alpha, 1e-3)[..., None]
    rgba = (np.clip(np.dstack([colour, 255 * alpha]), 0, 255) + 0.5).astype(np.uint8)
    return rgba[:, _extent(rgba[..., 3], 1, 0)], (rows.stop - rows.start) / canvas.scale


def _extent(alpha, least, axis):
    """Return the slice of rows (axis 1) or columns (axis 0) in which alpha reaches `least`."""
    lines = np.flatnonzero((alpha >= least).any(axis))
    return slice(lines[0], lines[-1] + 1)
