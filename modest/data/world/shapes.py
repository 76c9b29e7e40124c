"""Flat and round shapes with patterned surfaces, painted on the canvas of `synthetic.drawing`.

Coordinates are in heights of the thing: x across, 0 in the middle; y up, 0 at the floor.
"""

import numpy as np
from numpy.typing import ArrayLike

from modest.data.synthetic.drawing import Canvas
from modest.data.world.surfaces import Surface

HALF_WIDTH = 0.6  # of the canvas; nothing is painted beyond


def box(
    canvas: Canvas,
    x0: float,
    x1: float,
    y0: float,
    y1: float,
    surface: Surface,
    corner: float = 0.0,
    round_body: bool = False,
) -> None:
    """Paint a rectangle with corners of a radius, flat or shaded as a round body."""
    at, x, y = canvas.window(x0, x1, y0, y1)
    dx = np.abs(x - (x0 + x1) / 2) - (x1 - x0) / 2 + corner
    dy = np.abs(y - (y0 + y1) / 2) - (y1 - y0) / 2 + corner
    outside = np.hypot(np.maximum(dx, 0), np.maximum(dy, 0))
    distance = outside + np.minimum(np.maximum(dx, dy), 0) - corner
    across = 2 * (x - x0) / max(x1 - x0, 1e-6) - 1 + 0 * y if round_body else 0.0
    canvas.paint(at, distance, surface(x + 0 * y, y + 0 * x), across, folds=0.0)


def quadrilateral(canvas: Canvas, corners: ArrayLike, surface: Surface, shade: float = 1.0) -> None:
    """Paint a convex polygon; `corners`, `[k,2]`, go around it."""
    points = np.asarray(corners, float)
    (x0, y0), (x1, y1) = points.min(0), points.max(0)
    at, x, y = canvas.window(x0, x1, y0, y1)
    following = np.roll(points, -1, axis=0)
    area = np.sum(points[:, 0] * following[:, 1] - following[:, 0] * points[:, 1])
    distance = np.full(np.broadcast_shapes(x.shape, y.shape), -np.inf)
    for (ax, ay), (bx, by) in zip(points, following):
        length = max(np.hypot(bx - ax, by - ay), 1e-6)
        across = ((x - ax) * (by - ay) - (y - ay) * (bx - ax)) / length
        distance = np.maximum(distance, across * np.sign(area))
    colour = np.clip(surface(x + 0 * y, y + 0 * x) * shade, 0, 255)
    canvas.paint(at, distance, colour, 0.0, folds=0.0)


def ellipse(
    canvas: Canvas,
    cx: float,
    cy: float,
    rx: float,
    ry: float,
    surface: Surface,
    tilt: float = 0.0,
) -> None:
    """Paint an ellipse with half axes rx and ry, shaded as a round body, tilted by radians."""
    reach = max(rx, ry)
    at, x, y = canvas.window(cx - reach, cx + reach, cy - reach, cy + reach)
    c, s = np.cos(tilt), np.sin(tilt)
    u, v = (x - cx) * c + (y - cy) * s, (y - cy) * c - (x - cx) * s
    radius = np.hypot(u / rx, v / ry)
    distance = (radius - 1) * min(rx, ry)
    canvas.paint(at, distance, surface(x + 0 * y, y + 0 * x), np.clip(u / rx, -1, 1), folds=0.0)


def cuboid(
    rng: np.random.Generator,
    canvas: Canvas,
    x0: float,
    x1: float,
    y0: float,
    y1: float,
    surface: Surface,
) -> None:
    """Paint a box that is seen from one side: its front, one side and perhaps the top."""
    depth = rng.uniform(0.02, 0.25) * rng.choice([-1, 1])
    rise = rng.uniform(0.0, 0.12)
    edge = x1 if depth > 0 else x0
    side = [(edge, y0), (edge, y1), (edge + depth, y1 + rise), (edge + depth, y0 + rise)]
    top = [(x0, y1), (x1, y1), (x1 + depth, y1 + rise), (x0 + depth, y1 + rise)]
    quadrilateral(canvas, side, surface, rng.uniform(0.55, 0.85))
    quadrilateral(canvas, top, surface, rng.uniform(1.0, 1.2))
    box(canvas, x0, x1, y0, y1, surface)
