"""Procedural textures: the colour of every point of a painted surface.

`albedo` evaluates a `Paint` at surface coordinates u, v in metres. It returns the reflected light
as linear RGB in [0, 1]; grain may exceed that range by a few per cent. Stored colours are sRGB in
0..255. Nothing is random: the same paint and the same point give the same colour. The palette of
rooms and furniture is here too.
"""

from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike
from scipy import ndimage

# Colours of rooms and furniture, sRGB 0..255.
WALLS = [
    (236, 233, 226),
    (222, 216, 205),
    (128, 44, 44),
    (112, 128, 106),
    (46, 62, 92),
    (196, 160, 96),
    (150, 152, 156),
    (178, 110, 86),
    (214, 182, 176),
    (92, 110, 128),
    (70, 86, 74),
    (190, 200, 204),
    (104, 62, 84),
]
WOODS = [
    (150, 104, 66),
    (188, 146, 98),
    (112, 70, 42),
    (206, 176, 134),
    (90, 62, 46),
    (158, 126, 98),
]
STONES = [
    (214, 208, 198),
    (168, 164, 158),
    (122, 120, 118),
    (232, 228, 222),
    (188, 170, 146),
    (84, 84, 88),
]
CLOTHS = [
    (124, 36, 40),
    (52, 66, 88),
    (108, 106, 104),
    (76, 88, 68),
    (150, 132, 108),
    (66, 56, 70),
]
FRAMES = [(176, 136, 62), (38, 32, 28), (96, 62, 36), (226, 222, 214)]
WHITE, BRONZE, LEAF = (238, 236, 230), (96, 70, 44), (62, 104, 54)


GLOWING = ("glow", "clouds")  # patterns that emit light


class _Pattern(NamedTuple):
    """How a pattern mixes the two colours of a paint."""

    joint_width: float = 0  # half the gap between two pieces, in metres
    joint_darkness: float = 0  # share of the light that a joint absorbs
    tint_by_piece: float = 0  # share of the second colour, drawn for each piece
    tint_by_grain: float = 0  # share of the second colour, from the grain
    grain_u: float = 1  # frequency of the grain along u
    grain_v: float = 1  # and along v


_PATTERNS = {
    "planks": _Pattern(0.003, 0.45, 0.6, 0.1, 5, 4),
    "tiles": _Pattern(0.008, 0.4, 0.35, 0.08, 1, 1),
    "checker": _Pattern(0, 0, 0, 0.06, 1, 1),
    "marble": _Pattern(0.006, 0.3, 0.1, 0, 1, 1),
    "carpet": _Pattern(0, 0, 0, 0.22, 0.7, 0.7),
}
_WHITE_NOISE = np.random.default_rng(20).standard_normal((256, 256)).astype(np.float32)
_NOISE = sum(
    weight * sigma * ndimage.gaussian_filter(_WHITE_NOISE, sigma, mode="wrap")
    for sigma, weight in ((1, 1.2), (4, 1.8), (14, 2.8))
)
_TABLE = np.random.default_rng(21).random(4096).astype(np.float32)


class Paint(NamedTuple):
    """How a surface is coloured.

    The patterns are "planks", "tiles", "checker", "marble", "carpet", "stripes", "damask",
    "panels", "grid", "glow" (a grid that emits light), "picture" (a framed painting), "plain",
    "clouds" (they emit light), "rough" (noise of many octaves), "bricks" and "windows" (of a
    facade).
    """

    pattern: str
    first: tuple[int, ...]  # sRGB
    second: tuple[int, ...] = (60, 52, 46)  # sRGB: stripes, veins, bars, frames
    scale: float = 1.0  # period of the pattern in metres
    image: np.ndarray | None = None  # sRGB [64, 64, 3] of a painting


def linear(colour: ArrayLike) -> np.ndarray:
    """Convert sRGB 0..255, `[...,3]`, to linear light in [0, 1], float32."""
    return (np.asarray(colour, np.float32) / 255) ** 2.2


def albedo(paint: Paint, u: np.ndarray, v: np.ndarray) -> np.ndarray:
    """Return the colour of a paint at some points of its surface.

    Args:
      paint: any pattern but "picture", which `raycast` maps onto its box.
      u: metres along the surface, `[n]`.
      v: metres up the surface, `[n]`.

    Returns:
      Linear RGB, `[n,3]`.
    """
    scale, name = paint.scale, paint.pattern
    if name == "planks":  # nine times as long as wide, each row shifted
        v = v / 9 + scale * _hash(np.floor(u / scale), np.floor(u / scale))
    i, j = np.floor(u / scale), np.floor(v / scale)
    edge_v = _distance_to_joint(v, j, scale)
    edge = np.minimum(_distance_to_joint(u, i, scale), edge_v)
    pattern = _PATTERNS.get(name, _Pattern())
    grain = _smooth_noise(u * pattern.grain_u, v * pattern.grain_v)
    weight = pattern.tint_by_piece * _hash(i, j) + pattern.tint_by_grain * grain
    shade = 1 + 0.03 * grain - pattern.joint_darkness * (edge < pattern.joint_width)
    if name in ("clouds", "rough"):
        weight = 0.5 + 0.3 * _octaves(u / scale, v / scale)
    elif name == "bricks":
        shifted = u / 2 + scale / 2 * (j % 2)
        joint = _distance_to_joint(shifted, np.floor(shifted / scale), scale)
        piece = _hash(np.floor(shifted / scale), j)
        mortar = (np.minimum(2 * joint, edge_v) < 0.06 * scale) * 1.0
        weight, shade = mortar, shade * (0.8 + 0.4 * piece)
    elif name == "windows":
        weight = (edge > 0.22 * scale) * (0.5 + 0.5 * _hash(i, j))
    elif name == "checker":
        weight = weight + (i + j) % 2
    elif name == "marble":
        weight += 0.5 * np.exp(-5 * np.abs(_smooth_noise(u * 0.9 + _hash(i, j), v * 0.7)))
    elif name == "stripes":
        weight = (u / scale - i < 0.5) * 0.12
    elif name == "damask":
        ornament = np.sin(2 * np.pi * u / scale) * np.sin(np.pi * v / scale)
        weight = 0.12 * (ornament + 0.4 * np.cos(6 * np.pi * v / scale) > 0.35)
    elif name == "panels":
        shade = 1 - 0.35 * ((edge > 0.07) & (edge < 0.1)) + 0.1 * (edge > 0.1)
    elif name in ("grid", "glow"):
        weight = 1.0 * (edge < 0.03)
    first, second = linear(paint.first), linear(paint.second)
    weight = np.asarray(np.clip(weight, 0, 1), np.float32)[:, None]
    shade = np.asarray(shade, np.float32)[:, None]
    return (first + (second - first) * weight) * shade


def _distance_to_joint(position, index, scale):
    """Return the distance in metres from a coordinate to the nearer end of piece `index`."""
    return np.minimum(position - scale * index, scale * index + scale - position)


def _smooth_noise(u, v):
    """Return noise with a standard deviation of about 1 and one value per centimetre."""
    return _NOISE[(u * 100).astype(np.int32) & 255, (v * 100).astype(np.int32) & 255]


def _octaves(u, v):
    """Return noise of four octaves with a standard deviation of about 1; the period is 4."""
    total = 0.0
    for k, weight in enumerate((0.7, 0.5, 0.35, 0.25)):
        total = total + weight * _smooth_noise(u * 0.64 * 2**k, v * 0.64 * 2**k)
    return total


def _hash(i, j):
    """Return a fixed pseudo-random number in [0, 1) for each pair of integers."""
    return _TABLE[(i.astype(np.int32) * 131 + j.astype(np.int32) * 977) & 4095]
