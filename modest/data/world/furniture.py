"""Furniture, painted as flat shapes from back to front. Each function paints one piece.

A piece is about 1 high. Its proportions, parts and surfaces are drawn from the generator.
"""

import numpy as np

from modest.data.synthetic.drawing import Canvas
from modest.data.world import shapes, surfaces


def paint_crate(rng: np.random.Generator, canvas: Canvas) -> None:
    """Paint a box, seen from one side."""
    half = rng.uniform(0.12, 0.42)
    shapes.cuboid(rng, canvas, -half, half, 0, rng.uniform(0.7, 1.0), surfaces.draw(rng))


def paint_cupboard(rng: np.random.Generator, canvas: Canvas) -> None:
    """Paint a cupboard or a shelf: a box with doors, drawers or things in compartments."""
    half, legs = rng.uniform(0.15, 0.45), rng.choice([0.0, rng.uniform(0.03, 0.12)])
    body = surfaces.draw(rng)
    if legs:
        for x in (-half + 0.03, half - 0.03):
            canvas.limb([(x, legs + 0.01), (x, 0)], [0.02, 0.015], surfaces.colour(rng))
    shapes.cuboid(rng, canvas, -half, half, legs, 1.0, body)
    rows, columns = rng.integers(1, 6), rng.integers(1, 4)
    is_shelf = rng.random() < 0.5
    inner = surfaces.plain(0.35 * surfaces.colour(rng)) if is_shelf else surfaces.draw(rng)
    xs, ys = np.linspace(-half, half, columns + 1), np.linspace(legs, 1.0, rows + 1)
    for left, right in zip(xs[:-1], xs[1:]):
        for low, high in zip(ys[:-1], ys[1:]):
            gap = 0.012
            shapes.box(canvas, left + gap, right - gap, low + gap, high - gap, inner)
            if is_shelf:
                _books(rng, canvas, left + gap, right - gap, low + gap, high - gap)
            elif rng.random() < 0.8:
                x, y = right - 0.15 * (right - left), (low + high) / 2
                shapes.ellipse(canvas, x, y, 0.012, 0.012, surfaces.plain(surfaces.colour(rng)))


def _books(rng, canvas, x0, x1, y0, y1):
    x = x0
    while x < x1 - 0.02 and rng.random() < 0.9:
        width = min(rng.uniform(0.015, 0.06), x1 - x)
        top = y0 + rng.uniform(0.4, 0.95) * (y1 - y0)
        shapes.box(canvas, x, x + width, y0, top, surfaces.plain(surfaces.colour(rng)))
        x += width * rng.choice([1.0, 1.0, 1.6])


def paint_table(rng: np.random.Generator, canvas: Canvas) -> None:
    """Paint a table, open or with a front."""
    half, leg = rng.uniform(0.35, shapes.HALF_WIDTH), rng.uniform(0.012, 0.035)
    wood = surfaces.draw(rng)
    spread = rng.uniform(0.7, 0.95)
    for x in (-spread * half, -spread * half * 0.7, spread * half * 0.7, spread * half):
        canvas.limb(
            [(x, 0.95), (x * rng.uniform(0.95, 1.1), 0.0)], [leg, leg * 0.8], surfaces.colour(rng)
        )
    if rng.random() < 0.3:
        shapes.box(canvas, -half * 0.8, half * 0.8, 0.3, 0.9, surfaces.draw(rng))
    rise = rng.uniform(0.0, 0.1)
    top = [(-half, 0.9), (half, 0.9), (half * 0.9, 0.93 + rise), (-half * 0.9, 0.93 + rise)]
    shapes.quadrilateral(canvas, top, wood, 1.1)
    shapes.box(canvas, -half, half, 0.86, 0.91, wood)


def paint_chair(rng: np.random.Generator, canvas: Canvas) -> None:
    """Paint a chair with a back of one piece or of rungs."""
    half, leg = rng.uniform(0.18, 0.3), rng.uniform(0.012, 0.03)
    seat, frame = rng.uniform(0.42, 0.52), surfaces.colour(rng)
    shift = rng.uniform(-0.08, 0.08)
    for x in (-half, half):
        canvas.limb([(x + shift, 1.0), (x + shift, 0.05)], [leg, leg], frame)
    if rng.random() < 0.5:
        shapes.box(
            canvas,
            shift - half,
            shift + half,
            rng.uniform(0.55, 0.75),
            1.0,
            surfaces.draw(rng),
            0.03,
        )
    else:
        for y in np.linspace(seat + 0.12, 0.98, rng.integers(2, 6)):
            canvas.limb([(shift - half, y), (shift + half, y)], [leg, leg], frame)
    for x in (-half, half):
        canvas.limb([(x, seat), (x * 1.05, 0.0)], [leg, leg], frame)
    corners = [
        (-half * 1.1, seat - 0.02),
        (half * 1.1, seat - 0.02),
        (half + shift, seat + 0.06),
        (shift - half, seat + 0.06),
    ]
    shapes.quadrilateral(canvas, corners, surfaces.draw(rng))
    shapes.box(canvas, -half * 1.1, half * 1.1, seat - 0.06, seat, surfaces.draw(rng), 0.01)


def paint_sofa(rng: np.random.Generator, canvas: Canvas) -> None:
    """Paint a sofa for one to three."""
    half, cloth = rng.uniform(0.4, shapes.HALF_WIDTH), surfaces.draw(rng)
    shapes.box(canvas, -half * 0.92, half * 0.92, 0.2, 1.0, cloth, 0.06)
    seats = rng.integers(1, 4)
    edges = np.linspace(-half * 0.85, half * 0.85, seats + 1)
    for left, right in zip(edges[:-1], edges[1:]):
        shapes.box(canvas, left, right, 0.35, 0.9, cloth, 0.05, round_body=True)
        shapes.box(canvas, left, right, 0.2, 0.48, cloth, 0.05)
    for x in (-half * 0.9, half * 0.9):
        shapes.box(canvas, x - 0.07, x + 0.07, 0.08, 0.62, cloth, 0.06, round_body=True)
    shapes.box(canvas, -half * 0.9, half * 0.9, 0.07, 0.25, cloth, 0.02)


def paint_lamp(rng: np.random.Generator, canvas: Canvas) -> None:
    """Paint a standing lamp, a sign or a pole: something thin."""
    x = rng.uniform(-0.05, 0.05)
    canvas.limb([(0, 0.0), (x, 0.9)], [0.015, 0.01], surfaces.colour(rng))
    shapes.box(canvas, -0.14, 0.14, 0.0, 0.03, surfaces.plain(surfaces.colour(rng)))
    low, half = rng.uniform(0.7, 0.85), rng.uniform(0.08, 0.25)
    corners = [
        (x - half, low),
        (x + half, low),
        (x + half * rng.uniform(0.3, 1), 1.0),
        (x - half * rng.uniform(0.3, 1), 1.0),
    ]
    shapes.quadrilateral(canvas, corners, surfaces.draw(rng))
