"""Colours and patterns of things: functions from points of a surface to sRGB colours 0..255.

`draw(rng)` returns a random one. It maps x and y in heights of the thing, `[n,m]` each, to float32
colours `[n,m,3]`.
"""

from collections.abc import Callable

import numpy as np
from numpy.typing import ArrayLike
from scipy import ndimage

Surface = Callable[[np.ndarray, np.ndarray], np.ndarray]

NOISE = 256  # px of a noise texture, which repeats


def draw(rng: np.random.Generator) -> Surface:
    """Return a random surface: plain, or two colours mixed by a pattern."""
    kind = rng.choice(
        ["plain", "plain", "noise", "noise", "gradient", "stripes", "checks", "wood", "speckles"]
    )
    first = colour(rng)
    if kind == "plain":
        return plain(first)
    second = colour(rng) if rng.random() < 0.5 else np.clip(first * rng.uniform(0.5, 1.5), 0, 255)
    scale, angle = 10 ** rng.uniform(-1.6, -0.4), rng.uniform(0, np.pi)
    texture = _octaves(rng)
    c, s = np.cos(angle), np.sin(angle)

    def noise(x, y, stretch=1.0):
        u = (x / scale * 32).astype(int) % NOISE
        v = (y / scale * 32 * stretch).astype(int) % NOISE
        return texture[v, u]

    def weight(x, y):
        u = (x * c + y * s) / scale
        if kind == "noise":
            return 0.5 + 0.35 * noise(x, y)
        if kind == "speckles":
            return (noise(x, y) > 0.7) * 1.0
        if kind == "gradient":
            return y + 0.1 * noise(x, y)
        if kind == "stripes":
            return (u % 1 < 0.5) * 1.0
        if kind == "checks":
            v = (y * c - x * s) / scale
            return 0.5 * (u % 1 < 0.5) + 0.5 * (v % 1 < 0.5)
        return 0.5 + 0.5 * np.sin(8 * u + 3 * noise(x, y, 0.1))  # wood

    def surface(x, y):
        grain = 1 + 0.04 * noise(x, y)
        mixed = first + (second - first) * np.clip(weight(x, y), 0, 1)[..., None]
        return np.clip(mixed * grain[..., None], 0, 255).astype(np.float32)

    return surface


def plain(colour: ArrayLike) -> Surface:
    """Return a surface of one colour, sRGB 0..255."""
    value = np.asarray(colour, np.float32)

    def surface(x, y):
        return np.broadcast_to(value, (*np.broadcast_shapes(x.shape, y.shape), 3))

    return surface


def colour(rng: np.random.Generator) -> np.ndarray:
    """Return a random colour, sRGB 0..255 `[3]`: often grey, black or white, sometimes vivid."""
    level = rng.choice([rng.uniform(10, 60), rng.uniform(60, 200), rng.uniform(200, 250)])
    vividness = rng.choice([0.05, 0.2, 0.6])
    return np.clip(level * (1 + vividness * rng.normal(size=3)), 0, 255)


def leaf_colour(rng: np.random.Generator) -> np.ndarray:
    """Return a random green, sRGB 0..255 `[3]`."""
    return np.array([rng.uniform(30, 120), rng.uniform(80, 170), rng.uniform(20, 90)])


def _octaves(rng):
    """Return smooth noise of several octaves with standard deviation 1, `[NOISE,NOISE]`."""
    steepness = rng.uniform(0.6, 1.6)
    white = rng.standard_normal((NOISE, NOISE)).astype(np.float32)
    total = np.zeros_like(white)
    for sigma in (1, 2, 4, 8, 16):
        part = ndimage.gaussian_filter(white, sigma, mode="wrap")
        total += part / part.std() * sigma ** (steepness - 1)
    return total / total.std()
