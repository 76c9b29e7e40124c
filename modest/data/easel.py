"""The picture a figure is painted on: tapered limbs and upright shapes, laid one over another.

In: points, radii and heights in body heights (x across, 0 in the middle; y up, 0 the floor, 1 the top of the head) and
colours, sRGB 0..255, or a `Cloth`. Out: the easel's colour [n, m, 3] (0..255) and alpha [n, m] (0..1), straight, at
`scale` pixels a body height. `turned` brings points of the body to the easel.
"""

from typing import NamedTuple

import numpy as np
from scipy import ndimage


class Cloth(NamedTuple):
    """A cloth of one or two colours, sRGB 0..255."""

    colour: tuple
    other: tuple  # that of the pattern
    pattern: str  # "plain", "stripes", "pinstripes", "checks"


class Easel:
    """The picture being painted: colour [n, m, 3] 0..255 and alpha [n, m] 0..1, at `scale` pixels a body height."""

    def __init__(self, rng, scale):
        self.scale = scale  # pixels a body height
        n, m = int(1.24 * scale), int(1.3 * scale)
        self.colour, self.alpha = np.zeros((n, m, 3), np.float32), np.zeros((n, m), np.float32)
        self.x = ((np.arange(m) + 0.5) / scale - 0.65).astype(np.float32)
        self.y = (1.12 - (np.arange(n) + 0.5) / scale).astype(np.float32)
        self.light = rng.choice([-1, 1]) * rng.uniform(0.25, 0.75)
        folds = ndimage.gaussian_filter(rng.standard_normal((128, 128)).astype(np.float32), (6, 2.2), mode="wrap")
        self.folds = 0.55 * folds / folds.std()

    def window(self, x0, x1, y0, y1, margin=0.03):
        """Slices of the picture that hold the given box, and its x [1, m] and y [n, 1], all in body heights."""
        columns = np.clip(np.searchsorted(self.x, (x0 - margin, x1 + margin)), 0, len(self.x))
        rows = np.clip(np.searchsorted(-self.y, (-y1 - margin, -y0 + margin)), 0, len(self.y))
        at = slice(*rows), slice(*columns)
        return at, self.x[None, at[1]], self.y[at[0], None]

    def lay(self, at, distance, colour, side=0.0, folds=0.05, cover=1.0):
        """Paints colour ([3] or [n, m, 3]) where distance (body heights, negative inside) says.

        side, -1..1 across the part, rounds it off under the light; folds is how strongly cloth creases show; cover,
        0..1, is its opacity; what lies below gets a contact shadow.
        """
        d = distance * self.scale
        alpha = np.clip(0.5 - d, 0, 1) * cover
        side = np.clip(side, -1, 1)
        shade = 0.70 + 0.24 * np.sqrt(1 - side * side) - 0.26 * self.light * side + 0.06
        rows, columns = (np.arange(s.start, s.stop) & 127 for s in at)
        shade = (shade + folds * self.folds[rows[:, None], columns])[..., None]
        below = self.colour[at] * (1 - 0.35 * np.exp(-np.maximum(d, 0) / (0.008 * self.scale)) * cover)[..., None]
        total = alpha + self.alpha[at] * (1 - alpha)
        mixed = alpha[..., None] * np.clip(colour * shade, 0, 255) + ((1 - alpha) * self.alpha[at])[..., None] * below
        self.colour[at] = mixed / np.maximum(total, 1e-6)[..., None]
        self.alpha[at] = total

    def limb(self, points, radii, cloth, until=1.0, folds=0.05):
        """A chain of tapered capsules through the x, y of points [k, 2 or 3], with radii [k].

        until: the fraction of its length at which it is cut off square.
        """
        points, radii = np.asarray(points)[:, :2], np.asarray(radii)
        reach = radii.max()
        at, x, y = self.window(
            *(points[:, 0].min() - reach, points[:, 0].max() + reach),
            *(points[:, 1].min() - reach, points[:, 1].max() + reach),
        )
        lengths = np.maximum(np.linalg.norm(np.diff(points, axis=0), axis=1), 1e-6)
        best, start = None, 0.0
        for a, b, ra, rb, length in zip(points[:-1], points[1:], radii[:-1], radii[1:], lengths):
            ux, uy = (b - a) / length
            along = (x - a[0]) * ux + (y - a[1]) * uy
            across = (x - a[0]) * uy - (y - a[1]) * ux
            t = np.clip(along, 0, length)
            radius = ra + (rb - ra) * t / length
            d = np.hypot(across, along - t) - radius
            part = d, across / radius * (1 if uy <= 0 else -1), start + along
            best = best or part
            best = [np.where(d < best[0], new, old) for new, old in zip(part, best)]
            start += length
        distance, side, along = best
        if until < 1:
            distance = np.maximum(distance, along - until * start)
        self.lay(at, distance, textured(cloth, -side * np.pi / 2 * radii[0], along), -side, folds)

    def shape(self, heights, halves, centres, cloth, turn=0.0, opening=None, folds=0.06):
        """An upright body of revolution: half widths and middles [k] at heights [k] (falling).

        opening: (cloth, angle) shows another cloth within an angle (radians) of the front, which the yaw `turn` takes
        round.
        """
        reach = max(halves)
        at, x, y = self.window(min(centres) - reach, max(centres) + reach, heights[-1], heights[0])
        rows = y[:, 0]
        blur = 0.008 * self.scale
        half = ndimage.gaussian_filter1d(np.interp(-rows, -np.array(heights), halves), blur, mode="nearest")[:, None]
        middle = np.interp(-rows, -np.array(heights), centres)[:, None]
        side = (x - middle) / np.maximum(half, 1e-3)
        slope = np.gradient(half[:, 0]) * self.scale
        distance = (np.abs(x - middle) - half) / np.sqrt(1 + slope * slope)[:, None]
        distance = np.maximum(distance, np.maximum(y - heights[0], heights[-1] - y))
        angle = np.arcsin(np.clip(side, -1, 1)) - turn
        angle = (angle + np.pi) % (2 * np.pi) - np.pi  # 0 in front
        colour = textured(cloth, angle * 0.09, y + 0 * x)
        if opening:
            below = textured(opening[0], angle * 0.09, y + 0 * x)
            colour = np.where((np.abs(angle) < opening[1])[..., None], below, colour)
        self.lay(at, distance, colour, side, folds)


def textured(cloth, u, v):
    """Colour [..., 3] of a cloth at u across and v along (body heights); a bare colour is itself."""
    if not isinstance(cloth, Cloth):
        return np.array(cloth, np.float32)
    first, other = np.array(cloth.colour, np.float32), np.array(cloth.other, np.float32)
    across, along = u / 0.022 % 1 < 0.3, v / 0.03 % 1 < 0.45
    weight = {"plain": 0 * v, "stripes": 1.0 * along, "pinstripes": 0.5 * across, "checks": 0.4 * across + 0.4 * along}
    return first + (other - first) * (weight[cloth.pattern] + 0 * u)[..., None]


def turned(points, yaw):
    """Body points [..., 3] as [..., 3]: picture x, picture y (seen a little from above), nearness to the viewer.

    In and out in body heights; yaw in radians.
    """
    x, y, z = np.moveaxis(np.asarray(points, float), -1, 0)
    near = z * np.cos(yaw) - x * np.sin(yaw)
    return np.stack([x * np.cos(yaw) + z * np.sin(yaw), y - 0.13 * near, near], -1)
