"""Things as cut-outs, drawn in NumPy: furniture, plants, vehicles, animals, bags, blobs.

`draw(seed, height)` returns the thing of a seed; the same seed gives the same bytes. The shapes are
meant to be various rather than faithful: a network that learns what changed between two pictures
should not learn what things look like.
"""

from collections.abc import Callable
from typing import NamedTuple

import numpy as np

from modest.data.synthetic.drawing import Canvas, crop
from modest.data.world import furniture, shapes, surfaces


class Thing(NamedTuple):
    """A cut-out thing."""

    rgba: np.ndarray  # uint8 [height, width, 4], straight alpha, without a margin
    height_m: float  # metres
    kind: str  # key of `KINDS`


def draw(seed: int, height: int = 340) -> Thing:
    """Draw the thing of a seed.

    Args:
      seed: decides kind, shape and surfaces.
      height: height of the cut-out in pixels.
    """
    rng = np.random.default_rng(seed)
    kind = list(KINDS)[rng.integers(len(KINDS))]
    paint, (least, most) = KINDS[kind]
    canvas = Canvas(rng, 1.1 * height)
    paint(rng, canvas)
    rgba, _ = crop(canvas, height)
    return Thing(rgba, rng.uniform(least, most), kind)


def paint_plant(rng: np.random.Generator, canvas: Canvas) -> None:
    """Paint a plant in a pot, a bush or a small tree."""
    pot = rng.choice([0.0, rng.uniform(0.15, 0.35)])
    green = surfaces.leaf_colour(rng)
    if pot:
        half = rng.uniform(0.08, 0.2)
        corners = [(-half * 0.75, 0), (half * 0.75, 0), (half, pot), (-half, pot)]
        shapes.quadrilateral(canvas, corners, surfaces.draw(rng))
    long_leaves = rng.random() < 0.5
    for _ in range(rng.integers(15, 90)):
        angle = rng.normal(0, 0.7)
        length = rng.uniform(0.3, 1.0) * (1 - pot)
        x = np.clip(np.sin(angle) * length * 0.6, -shapes.HALF_WIDTH, shapes.HALF_WIDTH)
        y = pot + abs(np.cos(angle)) * length
        colour = np.clip(green * rng.uniform(0.6, 1.4), 0, 255)
        if long_leaves:
            leaf = [(0, pot), (x * 0.35, pot + (y - pot) * 0.7), (x, y)]
            canvas.limb(leaf, [0.006, rng.uniform(0.008, 0.03), 0.004], colour)
        else:
            canvas.limb([(0, pot), (x, y)], [0.004, 0.003], 0.6 * green)
            size = rng.uniform(0.015, 0.06)
            flat = size * rng.uniform(0.4, 1)
            shapes.ellipse(canvas, x, y, size, flat, surfaces.plain(colour), rng.uniform(0, 3))


def paint_vehicle(rng: np.random.Generator, canvas: Canvas) -> None:
    """Paint a car, a van or a cart, seen from the side."""
    half, paint = shapes.HALF_WIDTH * rng.uniform(0.8, 1), surfaces.draw(rng)
    floor, middle = rng.uniform(0.12, 0.25), rng.uniform(0.45, 0.65)
    front, back = rng.uniform(0.3, 0.9, 2) * half
    cabin = [
        (-back, middle),
        (front, middle),
        (front * rng.uniform(0.5, 1), 1.0),
        (-back * rng.uniform(0.6, 1), 1.0),
    ]
    shapes.quadrilateral(canvas, cabin, paint)
    glass = surfaces.plain(rng.uniform(20, 140) * np.array([0.9, 1.0, 1.1]))
    centre = np.mean(cabin, axis=0)
    shapes.quadrilateral(canvas, centre + 0.8 * (np.asarray(cabin) - centre), glass)
    shapes.box(canvas, centre[0] - 0.015, centre[0] + 0.015, middle, 0.97, paint)
    shapes.box(canvas, -half, half, floor, middle + 0.03, paint, rng.uniform(0.02, 0.12))
    radius = rng.uniform(0.13, 0.2)
    for x in (-half * 0.62, half * 0.62):
        shapes.ellipse(canvas, x, radius, radius, radius, surfaces.plain(np.array([25.0, 25, 28])))
        shapes.ellipse(
            canvas, x, radius, radius * 0.55, radius * 0.55, surfaces.plain(surfaces.colour(rng))
        )


def paint_animal(rng: np.random.Generator, canvas: Canvas) -> None:
    """Paint a four-legged animal, seen from the side."""
    fur, length = surfaces.draw(rng), rng.uniform(0.25, 0.45)
    coat = surfaces.colour(rng)
    thick, legs = rng.uniform(0.1, 0.2), rng.uniform(0.2, 0.45)
    back = legs + thick
    facing = rng.choice([-1, 1])

    def leg(x):
        knee = x + rng.uniform(-0.06, 0.06), legs * 0.5
        canvas.limb(
            [(x, back), knee, (x + rng.uniform(-0.1, 0.1), 0.02)],
            [thick * 0.5, thick * 0.28, thick * 0.18],
            coat,
        )

    for place in (-0.9, 0.8):
        leg(place * length)
    tail = -facing * length
    canvas.limb([(tail, back), (tail * 1.25, back + rng.uniform(-0.3, 0.2))], [0.04, 0.015], coat)
    head = np.array([facing * (length + rng.uniform(0.02, 0.12)), rng.uniform(back + 0.05, 0.85)])
    canvas.limb(np.array([(facing * length * 0.8, back), head]), [thick * 0.7, thick * 0.5], coat)
    shapes.ellipse(canvas, 0, back, length + 0.08, thick, fur)
    for place in (-0.75, 0.95):
        leg(place * length)
    snout = head + np.array([facing * rng.uniform(0.08, 0.16), -0.03])
    canvas.limb([head, snout], [thick * 0.55, thick * 0.3], coat)
    canvas.limb(
        [head, head + np.array([-facing * 0.04, thick * 0.8 + 0.05])], [0.035, 0.012], 0.8 * coat
    )


def paint_bag(rng: np.random.Generator, canvas: Canvas) -> None:
    """Paint a bag or a suitcase."""
    half, cloth = rng.uniform(0.2, 0.5), surfaces.draw(rng)
    top = rng.uniform(0.65, 0.95)
    if top < 0.9:
        for x in (-half * 0.4, half * 0.4):
            canvas.limb(
                [(x, top), (x * 0.8, 0.97), (0, 1.0)], [0.015, 0.015, 0.015], surfaces.colour(rng)
            )
    shapes.box(canvas, -half, half, 0, top, cloth, rng.uniform(0.02, 0.15), round_body=True)
    shapes.box(canvas, -half * 0.6, half * 0.6, 0.08, top * 0.5, surfaces.draw(rng), 0.04)


def paint_ball(rng: np.random.Generator, canvas: Canvas) -> None:
    """Paint a ball or an egg."""
    ratio = rng.uniform(0.6, 1.1)
    shapes.ellipse(canvas, 0, 0.5, 0.5 * ratio, 0.5, surfaces.draw(rng))


def paint_blob(rng: np.random.Generator, canvas: Canvas) -> None:
    """Paint a smooth closed outline of no particular kind, flat or round."""
    at, x, y = canvas.window(-shapes.HALF_WIDTH, shapes.HALF_WIDTH, 0, 1.05)
    angle = np.arctan2(y - 0.5, x)
    radius = 1.0 + 0 * angle
    for k in range(1, 7):
        radius = radius + rng.normal(0, 0.35 / k) * np.cos(k * angle + rng.uniform(0, 2 * np.pi))
    radius = 0.3 * np.maximum(radius, 0.15)
    distance = np.hypot(x / rng.uniform(0.6, 1.4), y - 0.5) - radius
    side = np.clip(x / 0.4, -1, 1) + 0 * y if rng.random() < 0.5 else 0.0
    canvas.paint(at, distance, surfaces.draw(rng)(x + 0 * y, y + 0 * x), side, folds=0.0)


# How each kind is painted, and its heights in metres.
KINDS: dict[str, tuple[Callable[[np.random.Generator, Canvas], None], tuple[float, float]]] = {
    "crate": (furniture.paint_crate, (0.3, 1.6)),
    "cupboard": (furniture.paint_cupboard, (0.7, 2.2)),
    "table": (furniture.paint_table, (0.5, 0.9)),
    "chair": (furniture.paint_chair, (0.8, 1.1)),
    "sofa": (furniture.paint_sofa, (0.7, 1.0)),
    "plant": (paint_plant, (0.4, 2.0)),
    "vehicle": (paint_vehicle, (1.3, 2.2)),
    "animal": (paint_animal, (0.3, 1.7)),
    "bag": (paint_bag, (0.3, 0.8)),
    "ball": (paint_ball, (0.2, 1.0)),
    "blob": (paint_blob, (0.3, 2.0)),
    "lamp": (furniture.paint_lamp, (1.0, 2.2)),
}
