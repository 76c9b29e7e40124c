"""Colours of surfaces, worked out point by point.

In: a `Paint` and places u, v on the surface in metres. Out: linear light [n, 3] that is reflected there, 0..1 but for
the grain's few per cent. Colours given and stored are sRGB 0..255. The same paint and place give the same colour.
"""

from typing import NamedTuple

import numpy as np
from scipy import ndimage

_PATTERNS = {  # joint (m) and its darkness; share of the second colour by chance a piece, by grain; grain along u, v
    "planks": (0.003, 0.45, 0.6, 0.1, 5, 4),
    "tiles": (0.008, 0.4, 0.35, 0.08, 1, 1),
    "checker": (0, 0, 0, 0.06, 1, 1),
    "marble": (0.006, 0.3, 0.1, 0, 1, 1),
    "carpet": (0, 0, 0, 0.22, 0.7, 0.7),
}
_WHITE_NOISE = np.random.default_rng(20).standard_normal((256, 256)).astype(np.float32)
_NOISE = sum(w * s * ndimage.gaussian_filter(_WHITE_NOISE, s, mode="wrap") for s, w in ((1, 1.2), (4, 1.8), (14, 2.8)))
_TABLE = np.random.default_rng(21).random(4096).astype(np.float32)


class Paint(NamedTuple):
    """How a surface is coloured."""

    pattern: str  # one of "planks", "tiles", "checker", "marble", "carpet", "stripes", "damask", "panels", "grid",
    # "glow" (a grid that shines by itself), "picture" (a framed painting) and "plain"
    first: tuple  # sRGB
    second: tuple = (60, 52, 46)  # sRGB: stripes, veins, bars, frames
    scale: float = 1.0  # metres, the pattern's repeat
    image: np.ndarray | None = None  # sRGB [64, 64, 3] of a painting


def linear(colour):
    """Linear light 0..1, float32 [..., 3], of an sRGB colour or picture [..., 3] (0..255)."""
    return (np.asarray(colour, np.float32) / 255) ** 2.2


def _noise(u, v):
    """Smooth noise of standard deviation about 1, one texel a centimetre."""
    return _NOISE[(u * 100).astype(np.int32) & 255, (v * 100).astype(np.int32) & 255]


def _chance(i, j):
    """A fixed random number in 0..1 for each pair of whole numbers."""
    return _TABLE[(i.astype(np.int32) * 131 + j.astype(np.int32) * 977) & 4095]


def albedo(paint, u, v):
    """Linear colour [n, 3] of a paint at u, v (metres along and up the surface, [n] each)."""
    s, pattern = paint.scale, paint.pattern
    if pattern == "planks":  # nine times as long as wide, each row shifted
        v = v / 9 + s * _chance(np.floor(u / s), np.floor(u / s))
    i, j = np.floor(u / s), np.floor(v / s)
    edge = np.minimum(np.minimum(u - s * i, s * i + s - u), np.minimum(v - s * j, s * j + s - v))  # metres to the joint
    joint, dark, by_piece, by_grain, along, up = _PATTERNS.get(pattern, (0, 0, 0, 0, 1, 1))
    grain = _noise(u * along, v * up)
    weight, shade = by_piece * _chance(i, j) + by_grain * grain, 1 + 0.03 * grain - dark * (edge < joint)
    if pattern == "checker":
        weight = weight + (i + j) % 2
    elif pattern == "marble":
        weight += 0.5 * np.exp(-5 * np.abs(_noise(u * 0.9 + _chance(i, j), v * 0.7)))
    elif pattern == "stripes":
        weight = (u / s - i < 0.5) * 0.12
    elif pattern == "damask":
        weight = 0.12 * (np.sin(2 * np.pi * u / s) * np.sin(np.pi * v / s) + 0.4 * np.cos(6 * np.pi * v / s) > 0.35)
    elif pattern == "panels":
        shade = 1 - 0.35 * ((edge > 0.07) & (edge < 0.1)) + 0.1 * (edge > 0.1)
    elif pattern in ("grid", "glow"):
        weight = 1.0 * (edge < 0.03)
    first, second = linear(paint.first), linear(paint.second)
    weight, shade = (np.asarray(k, np.float32)[:, None] for k in (np.clip(weight, 0, 1), shade))
    return (first + (second - first) * weight) * shade
