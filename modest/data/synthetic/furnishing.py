"""What is in a museum room: doors, windows and pictures on the walls, furniture on the floor.

`on_the_walls` and `on_the_floor` draw from a generator and return solids. Axes are the world axes
of `raycast`; all lengths are metres; colours are sRGB 0..255.
"""

from typing import NamedTuple

import numpy as np
from PIL import Image, ImageDraw

from modest.data.synthetic.raycast import DOOR, FAR, LEFT, RIGHT, Point, Solid, Window
from modest.data.synthetic.textures import (
    BRONZE,
    CLOTHS,
    FRAMES,
    LEAF,
    STONES,
    WALLS,
    WHITE,
    WOODS,
    Paint,
)


class Part(NamedTuple):
    """One solid of a piece of furniture."""

    kind: str  # see `Solid`
    centre: Point  # relative to the point on the floor below the middle of the furniture
    half: Point  # half extents
    colour: tuple[int, int, int] | str | None = None  # None: random; "picture": a painting


class Furniture(NamedTuple):
    """A kind of furniture."""

    radius: float  # of the circle on the floor that it needs
    parts: list[Part]


PLINTH = Part("box", (0, 0.5, 0), (0.22, 0.5, 0.22), WHITE)
COLUMN = Furniture(
    0.35,
    [
        Part("cylinder", (0, 2.2, 0), (0.17, 2.2, 0.17)),
        Part("box", (0, 0.12, 0), (0.25, 0.12, 0.25)),
    ],
)
BENCH = Furniture(
    0.85,
    [
        Part("box", (0, 0.41, 0), (0.8, 0.04, 0.24)),
        Part("box", (-0.6, 0.185, 0), (0.05, 0.185, 0.2), BRONZE),
        Part("box", (0.6, 0.185, 0), (0.05, 0.185, 0.2), BRONZE),
    ],
)
OTTOMAN = Furniture(0.7, [Part("box", (0, 0.225, 0), (0.6, 0.225, 0.3))])
VASE = Furniture(
    0.35,
    [
        PLINTH,
        Part("ellipsoid", (0, 1.17, 0), (0.14, 0.19, 0.14)),
        Part("cylinder", (0, 1.38, 0), (0.05, 0.07, 0.05)),
    ],
)
SPHERE = Furniture(0.35, [PLINTH, Part("ellipsoid", (0, 1.2, 0), (0.2, 0.2, 0.2))])
BUST = Furniture(
    0.35,
    [
        PLINTH,
        Part("ellipsoid", (0, 1.09, 0), (0.21, 0.15, 0.12), WHITE),
        Part("ellipsoid", (0, 1.42, 0), (0.1, 0.14, 0.12), WHITE),
        Part("cylinder", (0, 1.25, 0), (0.06, 0.1, 0.06), WHITE),
    ],
)
PLANT = Furniture(
    0.4,
    [
        Part("cylinder", (0, 0.2, 0), (0.2, 0.2, 0.2)),
        Part("cylinder", (0, 0.6, 0), (0.025, 0.25, 0.025), BRONZE),
        Part("ellipsoid", (0, 1.05, 0), (0.26, 0.36, 0.26), LEAF),
        Part("ellipsoid", (0.16, 0.85, -0.1), (0.2, 0.24, 0.2), LEAF),
        Part("ellipsoid", (-0.17, 0.95, 0.05), (0.2, 0.25, 0.2), LEAF),
    ],
)
PARTITION = Furniture(
    1.1,
    [
        Part("box", (0, 1.2, 0), (1.0, 1.2, 0.12), WHITE),
        Part("box", (0, 1.5, -0.14), (0.5, 0.4, 0.03), "picture"),
    ],
)
FURNITURE = [COLUMN, BENCH, OTTOMAN, VASE, SPHERE, BUST, PLANT, PARTITION]


def on_the_walls(
    rng: np.random.Generator, extent: Point, trim: Paint
) -> tuple[list[Solid], tuple[float, float], Window | None]:
    """Draw what is on the walls: doors, at most one window, framed pictures at eye height.

    Args:
      rng: all draws come from it.
      extent: width, height and length of the room.
      trim: paint of the frames of doors and windows.

    Returns:
      The solids; the doorway, see `Scene.doorway`; the window, if any.
    """
    width, _, length = extent
    solids: list[Solid] = []
    doorway, window = (0.0, 0.0), None
    for wall, span in ((FAR, width), (LEFT, length), (RIGHT, length)):
        at = rng.uniform(1.0 if wall == FAR else 2.0, span - 1.0)
        kept_free, kind = 0.75, rng.random()
        if wall == FAR and kind < 0.45:
            doorway = (at - 0.5, at + 0.5)
        elif kind < (0.7 if wall == FAR else 0.25):
            solids += _door(rng, extent, wall, at, trim)
        elif wall != FAR and kind < 0.6 and window is None:
            window = Window(width * (wall == RIGHT), 1.6, at, 0.8, 0.6, _sun(rng, wall))
            panes = Paint("glow", (244, 250, 255), (150, 140, 130), 0.5)
            solids.append(_on_wall(extent, wall, at, 1.6, (0.68, 0.88, 0.03), trim))
            solids.append(_on_wall(extent, wall, at, 1.6, (0.6, 0.8, 0.04), panes))
        else:
            kept_free = -1.0  # no door or window, so nothing is kept free
        solids += _pictures(rng, extent, wall, span, at, kept_free)
    return solids, doorway, window


def on_the_floor(rng: np.random.Generator, extent: Point, position: np.ndarray) -> list[Solid]:
    """Draw the furniture. A piece touches no wall and no other piece; it is 1.3 m from the camera.

    Args:
      rng: all draws come from it.
      extent: width, height and length of the room.
      position: position of the camera.
    """
    (_, _, length), solids = extent, []
    taken = [(position[0], position[2], 1.3)]  # x, z, radius
    wanted, column_colour = _wanted(rng, extent)
    for which, x, z in wanted:
        radius, parts = FURNITURE[which]
        is_column = which == 0
        angle = 0.0 if is_column else float(rng.choice([0, 0, np.pi / 2, rng.uniform(-0.5, 0.5)]))
        colours = [*STONES, *WOODS, *CLOTHS, (54, 92, 130)]
        colour = column_colour if is_column else colours[rng.integers(len(colours))]
        blocked = any(np.hypot(x - a, z - b) < radius + r + 0.1 for a, b, r in taken)
        if blocked or z > length - radius - 0.1:
            continue
        taken.append((x, z, radius))
        for part in parts:
            solids.append(_stand(part, x, z, angle, _part_paint(rng, part, colour)))
    return solids


def _on_wall(extent, wall, u, y, half, paint):
    """Return a box on a wall.

    Args:
      extent: width, height and length of the room.
      wall: FAR, LEFT or RIGHT.
      u: metres along the wall to the centre of the box.
      y: metres from the floor to the centre of the box.
      half: half extents of the box along the wall, upwards, and out of the wall.
      paint: paint of the box.
    """
    width, _, length = extent
    centre = {
        FAR: (u, y, length - half[2]),
        LEFT: (half[2], y, u),
        RIGHT: (width - half[2], y, u),
    }[wall]
    return Solid("box", centre, half, 0.0 if wall == FAR else np.pi / 2, paint)


def _door(rng, extent, wall, at, trim):
    """Return a closed door with its frame and handle."""
    leaf = Paint("panels", WOODS[rng.integers(len(WOODS))], scale=0.9)
    handle = Paint("plain", FRAMES[0])
    return [
        _on_wall(extent, wall, at, DOOR / 2 + 0.04, (0.53, DOOR / 2 + 0.04, 0.02), trim),
        _on_wall(extent, wall, at, DOOR / 2, (0.45, DOOR / 2, 0.04), leaf),
        _on_wall(extent, wall, at + 0.38, 1.0, (0.05, 0.015, 0.07), handle),
    ]


def _sun(rng, wall):
    """Draw the direction to the sun, `[3]`, which is outside a side wall."""
    x = 0.8 if wall == RIGHT else -0.8
    return np.array([x, rng.uniform(0.5, 0.9), rng.uniform(-0.3, 0.5)], np.float32)


def _pictures(rng, extent, wall, span, at, kept_free):
    """Draw a row of framed pictures that leaves `kept_free` metres on both sides of `at`."""
    solids = []
    u, frame = rng.uniform(0.3, 0.8), FRAMES[rng.integers(len(FRAMES))]
    while u < span - 0.8:
        w, h = rng.uniform(0.25, 0.8), rng.uniform(0.25, 0.6)
        if u + 2 * w < span - 0.25 and abs(u + w - at) > kept_free + w:
            paint = Paint("picture", WHITE, frame, image=_painting(rng))
            solids.append(_on_wall(extent, wall, u + w, 1.5, (w, h, 0.03), paint))
        u += 2 * w + rng.uniform(0.35, 1.0)
    return solids


def _wanted(rng, extent):
    """Draw pieces of furniture to place if they fit, (index, x, z), and the colour of columns."""
    width, _, length = extent
    rows = np.arange(2.6, length - 0.6, 2.8).tolist()
    columns = [(0, x, z) for z in rows for x in (1.1, width - 1.1)]
    wanted = columns if rng.random() < 0.35 and width > 5.5 else []
    column_colour = STONES[rng.integers(len(STONES))]
    for which in rng.integers(1, len(FURNITURE), rng.integers(3, 9)):
        clear = FURNITURE[which].radius + 0.15
        x = rng.uniform(clear, width - clear)
        z = rng.uniform(1.4 + clear, max(length - clear, 2 + clear))
        wanted.append((which, x, z))
    return wanted, column_colour


def _part_paint(rng, part, colour):
    if part.colour == "picture":
        return Paint("picture", WHITE, FRAMES[rng.integers(len(FRAMES))], image=_painting(rng))
    pattern = "plain" if part.colour or part.kind == "box" else "marble"
    return Paint(pattern, part.colour or colour, (150, 146, 140))


def _stand(part, x, z, angle, paint):
    """Return a part of a piece of furniture that stands at x, z and is turned by an angle."""
    c, s, (dx, y, dz) = np.cos(angle), np.sin(angle), part.centre
    centre = (x + c * dx - s * dz, y, z + s * dx + c * dz)
    return Solid(part.kind, centre, part.half, angle, paint)


def _painting(rng):
    """Draw a painting, sRGB uint8 `[64,64,3]`: hills under a sky, a sitter, blocks or discs."""

    def tone(low, high):
        return tuple(rng.integers(low, high, 3).tolist())

    image = Image.new("RGB", (64, 64), tone(20, 90))
    kind, palette = rng.integers(4), [*WALLS, *CLOTHS, tone(20, 240), tone(20, 240)]
    if kind == 0:
        _paint_hills(rng, image, tone)
    elif kind == 1:
        _paint_sitter(image, tone)
    else:
        draw = ImageDraw.Draw(image)
        shape = draw.rectangle if kind == 2 else draw.ellipse
        for x, y, w, h in rng.integers((0, 0, 8, 8), (56, 56, 40, 40), (11, 4)).tolist():
            shape((x, y, x + w, y + h), fill=palette[rng.integers(len(palette))])
    return np.asarray(image)


def _paint_hills(rng, image, tone):
    sky = np.linspace(tone(110, 220), (240, 210, 170), 64).astype(np.uint8)
    image.paste(Image.fromarray(sky[:, None].repeat(64, 1)))
    draw = ImageDraw.Draw(image)
    for layer in range(4):
        phase = np.linspace(0, rng.uniform(3, 9), 17) + rng.uniform(0, 6)
        ridge = 26 + 10 * layer + 5 * np.sin(phase)
        fill = (120 - 24 * layer, 136 - 22 * layer, 120 - 30 * layer)
        draw.polygon([(0, 64), *zip(range(0, 65, 4), ridge.tolist()), (64, 64)], fill=fill)


def _paint_sitter(image, tone):
    skin = tuple(np.add(tone(0, 20), (170, 120, 90)).tolist())
    draw = ImageDraw.Draw(image)
    for box, fill in (
        ((10, 42, 54, 100), tone(20, 150)),
        ((20, 9, 44, 42), tone(20, 90)),
        ((27, 30, 37, 50), skin),
        ((23, 14, 41, 40), skin),
    ):
        draw.ellipse(box, fill=fill)
