"""Museum rooms: what is in them, and how they come out as pictures.

In: a seed and the picture's side in pixels. `render(seed, size)` gives a picture, its exact z-depth in metres and the
focal length in pixels; the same seed gives the same bytes. Axes are those of `raycast`; all lengths are metres. Sizes
follow real museums (doors 2.1 m, benches 0.45 m, plinths 1 m, pictures hung at 1.5 m), so that depth can be learnt
from what is seen.
"""

from typing import NamedTuple

import numpy as np
from PIL import Image, ImageDraw

from modest.data.raycast import DOOR, FAR, LEFT, RIGHT, Scene, Solid, shade, trace
from modest.data.textures import Paint

BEHIND = 0.6  # metres from the camera to the wall behind it
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
WOODS = [(150, 104, 66), (188, 146, 98), (112, 70, 42), (206, 176, 134), (90, 62, 46), (158, 126, 98)]
STONES = [(214, 208, 198), (168, 164, 158), (122, 120, 118), (232, 228, 222), (188, 170, 146), (84, 84, 88)]
CLOTHS = [(124, 36, 40), (52, 66, 88), (108, 106, 104), (76, 88, 68), (150, 132, 108), (66, 56, 70)]
FRAMES = [(176, 136, 62), (38, 32, 28), (96, 62, 36), (226, 222, 214)]
FLOORS = [
    ("planks", WOODS, 0.12),
    ("planks", WOODS, 0.2),
    ("carpet", CLOTHS, 1),
    ("tiles", STONES, 0.5),
    ("checker", STONES, 0.4),
    ("marble", STONES, 1),
]
WHITE, BRONZE, LEAF = (238, 236, 230), (96, 70, 44), (62, 104, 54)
PLINTH = ("box", (0, 0.5, 0), (0.22, 0.5, 0.22), WHITE)
FURNITURE = [  # (radius, [(kind, centre, half extents, colour or None for a drawn one)]); the first is a column
    (0.35, [("cylinder", (0, 2.2, 0), (0.17, 2.2, 0.17), None), ("box", (0, 0.12, 0), (0.25, 0.12, 0.25), None)]),
    (
        0.85,
        [
            ("box", (0, 0.41, 0), (0.8, 0.04, 0.24), None),
            ("box", (-0.6, 0.185, 0), (0.05, 0.185, 0.2), BRONZE),
            ("box", (0.6, 0.185, 0), (0.05, 0.185, 0.2), BRONZE),
        ],
    ),
    (0.7, [("box", (0, 0.225, 0), (0.6, 0.225, 0.3), None)]),
    (
        0.35,
        [
            PLINTH,
            ("ellipsoid", (0, 1.17, 0), (0.14, 0.19, 0.14), None),
            ("cylinder", (0, 1.38, 0), (0.05, 0.07, 0.05), None),
        ],
    ),
    (0.35, [PLINTH, ("ellipsoid", (0, 1.2, 0), (0.2, 0.2, 0.2), None)]),
    (
        0.35,
        [
            PLINTH,
            ("ellipsoid", (0, 1.09, 0), (0.21, 0.15, 0.12), WHITE),
            ("ellipsoid", (0, 1.42, 0), (0.1, 0.14, 0.12), WHITE),
            ("cylinder", (0, 1.25, 0), (0.06, 0.1, 0.06), WHITE),
        ],
    ),
    (
        0.4,
        [
            ("cylinder", (0, 0.2, 0), (0.2, 0.2, 0.2), None),
            ("cylinder", (0, 0.6, 0), (0.025, 0.25, 0.025), BRONZE),
            ("ellipsoid", (0, 1.05, 0), (0.26, 0.36, 0.26), LEAF),
            ("ellipsoid", (0.16, 0.85, -0.1), (0.2, 0.24, 0.2), LEAF),
            ("ellipsoid", (-0.17, 0.95, 0.05), (0.2, 0.25, 0.2), LEAF),
        ],
    ),
    (1.1, [("box", (0, 1.2, 0), (1.0, 1.2, 0.12), WHITE), ("box", (0, 1.5, -0.14), (0.5, 0.4, 0.03), "picture")]),
]


class Room(NamedTuple):
    """One view of a room."""

    picture: np.ndarray  # uint8 [size, size, 3]
    depth: np.ndarray  # float32 [size, size], metres along the optical axis, exact at pixel centres
    focal: float  # pixels


def _canvas(rng):
    """A painting, sRGB [64, 64, 3]: hills under a sky, a sitter, or an abstract of blocks or discs."""
    tone = lambda low, high: tuple(rng.integers(low, high, 3).tolist())
    image = Image.new("RGB", (64, 64), tone(20, 90))
    draw, kind, palette = ImageDraw.Draw(image), rng.integers(4), [*WALLS, *CLOTHS, tone(20, 240), tone(20, 240)]
    if kind == 0:
        sky = np.linspace(tone(110, 220), (240, 210, 170), 64).astype(np.uint8)
        image.paste(Image.fromarray(sky[:, None].repeat(64, 1)))
        for layer in range(4):
            ridge = 26 + 10 * layer + 5 * np.sin(np.linspace(0, rng.uniform(3, 9), 17) + rng.uniform(0, 6))
            draw.polygon(
                [(0, 64), *zip(range(0, 65, 4), ridge.tolist()), (64, 64)],
                fill=(120 - 24 * layer, 136 - 22 * layer, 120 - 30 * layer),
            )
    elif kind == 1:
        skin = tuple(np.add(tone(0, 20), (170, 120, 90)).tolist())
        for box, fill in (
            ((10, 42, 54, 100), tone(20, 150)),
            ((20, 9, 44, 42), tone(20, 90)),
            ((27, 30, 37, 50), skin),
            ((23, 14, 41, 40), skin),
        ):
            draw.ellipse(box, fill=fill)
    else:
        for x, y, w, h in rng.integers((0, 0, 8, 8), (56, 56, 40, 40), (11, 4)).tolist():
            shape = draw.rectangle if kind == 2 else draw.ellipse
            shape((x, y, x + w, y + h), fill=palette[rng.integers(len(palette))])
    return np.asarray(image)


def layout(seed):
    """The `Scene` (metres) of a seed: a room, its paints, what hangs on its walls and stands on its floor, its lights."""
    rng = np.random.default_rng(seed)
    pick = lambda choices: choices[rng.integers(len(choices))]
    extent = width, height, length = rng.uniform(3.8, 7), rng.uniform(2.6, 3.6), BEHIND + rng.uniform(3.2, 5.6)
    x = float(np.clip(rng.uniform(0.25, 0.75) * width, 1.6, width - 1.6))
    yaw = np.radians(rng.uniform(-6, 18)) * (1 if x < width / 2 else -1)  # towards the farther side wall
    pitch, view = np.radians(rng.uniform(-7, 1)), np.tan(np.radians(rng.uniform(56, 64)) / 2)
    c, s, cp, sp = np.cos(yaw), np.sin(yaw), np.cos(pitch), np.sin(pitch)
    axes = np.array([[c, 0, -s], [-s * sp, cp, -c * sp], [s * cp, sp, c * cp]])
    position = np.array([x, rng.uniform(1.45, 1.6), BEHIND], np.float32)
    pattern, colours, scale = pick(FLOORS)
    wall = Paint(pick(["plain", "plain", "stripes", "damask"]), pick(WALLS), scale=0.3)
    paints = {
        "floor": Paint(pattern, pick(colours), pick(colours), scale),
        "wall": wall,
        "ceiling": Paint(pick(["plain", "plain", "grid"]), WHITE, (200, 198, 192), 1.2),
        "far": Paint("plain", pick(WALLS)) if rng.random() < 0.3 else wall,
        "dado": Paint("panels", pick([WHITE, *WOODS]), scale=0.9) if rng.random() < 0.35 else None,
        "trim": Paint("plain", pick([WHITE, WHITE, *WOODS])),
    }
    solids, doorway, window = _hang(rng, extent, paints["trim"])
    solids += _furnish(rng, extent, position)
    lights = [((width / 2, height - 0.3, length * 0.45), (width / 2, 0, length * 0.45), 5.0)]
    for at in np.linspace(1.2, width - 1.2, rng.integers(2, 4)).tolist():
        lights.append(((at, height - 0.1, length - 1.4), (at, 1.3, length), rng.uniform(2, 5)))
    for at in np.linspace(1.6, length - 1.6, 3 if length > 6 else 2).tolist():
        lights += [
            ((1.3, height - 0.1, at), (0, 1.2, at), rng.uniform(2, 5)),
            ((width - 1.3, height - 0.1, at), (width, 1.2, at), rng.uniform(2, 5)),
        ]
    lamp = Paint("glow", (255, 250, 238), (255, 250, 238))
    solids += [Solid("cylinder", spot, (0.07, 0.1, 0.07), 0.0, lamp) for spot, _, _ in lights[1:]]
    if rng.random() < 0.4:  # a skylight
        panes = Paint("glow", (255, 255, 255), (170, 172, 174), 0.8)
        solids.append(Solid("box", (width / 2, height, length / 2), (width / 5, 0.03, length / 4), 0.0, panes))
    return Scene(extent, position, axes, view, paints, solids, lights, doorway, window)


def _hang(rng, extent, trim):
    """What is on the walls: (solids, doorway, window): doors, at most one window, framed pictures at eye height."""
    (width, _, length), solids, doorway, window = extent, [], (0.0, 0.0), None

    def put(u, y, half, paint):
        centre = {FAR: (u, y, length - half[2]), LEFT: (half[2], y, u), RIGHT: (width - half[2], y, u)}[wall]
        solids.append(Solid("box", centre, half, 0.0 if wall == FAR else np.pi / 2, paint))

    for wall, span in ((FAR, width), (LEFT, length), (RIGHT, length)):
        at, used, what = rng.uniform(1.0 if wall == FAR else 2.0, span - 1.0), 0.75, rng.random()
        if wall == FAR and what < 0.45:
            doorway = (at - 0.5, at + 0.5)
        elif what < (0.7 if wall == FAR else 0.25):
            put(at, DOOR / 2 + 0.04, (0.53, DOOR / 2 + 0.04, 0.02), trim)
            put(at, DOOR / 2, (0.45, DOOR / 2, 0.04), Paint("panels", WOODS[rng.integers(len(WOODS))], scale=0.9))
            put(at + 0.38, 1.0, (0.05, 0.015, 0.07), Paint("plain", FRAMES[0]))
        elif wall != FAR and what < 0.6 and window is None:
            sun = np.array([0.8 if wall == RIGHT else -0.8, rng.uniform(0.5, 0.9), rng.uniform(-0.3, 0.5)], np.float32)
            window = (width * (wall == RIGHT), 1.6, at, 0.8, 0.6, sun)
            put(at, 1.6, (0.68, 0.88, 0.03), trim)
            put(at, 1.6, (0.6, 0.8, 0.04), Paint("glow", (244, 250, 255), (150, 140, 130), 0.5))
        else:
            used = -1.0
        u, frame = rng.uniform(0.3, 0.8), FRAMES[rng.integers(len(FRAMES))]
        while u < span - 0.8:
            w, h = rng.uniform(0.25, 0.8), rng.uniform(0.25, 0.6)
            if u + 2 * w < span - 0.25 and abs(u + w - at) > used + w:
                put(u + w, 1.5, (w, h, 0.03), Paint("picture", WHITE, frame, image=_canvas(rng)))
            u += 2 * w + rng.uniform(0.35, 1.0)
    return solids, doorway, window


def _furnish(rng, extent, position):
    """What stands on the floor: solids clear of the walls, of each other and, by 1.3 m, of the camera."""
    (width, _, length), solids, taken = extent, [], [(position[0], position[2], 1.3)]
    wanted = [(0, x, z) for z in np.arange(2.6, length - 0.6, 2.8).tolist() for x in (1.1, width - 1.1)]
    wanted = wanted if rng.random() < 0.35 and width > 5.5 else []  # two rows of columns
    column = STONES[rng.integers(len(STONES))]
    for which in rng.integers(1, len(FURNITURE), rng.integers(3, 9)):
        clear = FURNITURE[which][0] + 0.15
        x, z = rng.uniform(clear, width - clear), rng.uniform(1.4 + clear, max(length - clear, 2 + clear))
        wanted.append((which, x, z))
    for which, x, z in wanted:
        radius, parts = FURNITURE[which]
        angle = 0.0 if which == 0 else float(rng.choice([0, 0, np.pi / 2, rng.uniform(-0.5, 0.5)]))
        tint = column if which == 0 else [*STONES, *WOODS, *CLOTHS, (54, 92, 130)][rng.integers(19)]
        if any(np.hypot(x - a, z - b) < radius + r + 0.1 for a, b, r in taken) or z > length - radius - 0.1:
            continue
        taken.append((x, z, radius))
        c, s = np.cos(angle), np.sin(angle)
        for kind, (dx, y, dz), half, colour in parts:
            paint = Paint("plain" if colour or kind == "box" else "marble", colour or tint, (150, 146, 140))
            if colour == "picture":
                paint = Paint("picture", WHITE, FRAMES[rng.integers(len(FRAMES))], image=_canvas(rng))
            solids.append(Solid(kind, (x + c * dx - s * dz, y, z + s * dx + c * dz), half, angle, paint))
    return solids


def render(seed: int, size: int = 224) -> Room:
    """The room of a seed: picture (2 x 2 samples a pixel), exact z-depth at pixel centres, focal length in pixels."""
    scene = layout(seed)
    light = shade(scene, 2 * size).reshape(size, 2, size, 2, 3).mean((1, 3))
    depth = trace(scene, size)[0]
    light *= 0.4 / (light.mean() + 0.06)
    shown = np.clip(light * (1 + light / 4) / (1 + light), 0, 1) ** (1 / 2.2)
    return Room((255 * shown + 0.5).astype(np.uint8), depth.astype(np.float32), float(size / 2 / scene.view))
