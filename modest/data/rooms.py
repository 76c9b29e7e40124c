"""Museum rooms, drawn by casting one ray a sample through a world of planes, boxes, cylinders and ellipsoids.

`render(seed, size)` gives a picture, its exact z-depth and the focal length. World axes: x to the right, y up
(0 is the floor), z towards the far wall; all lengths are metres. A ray is origin + t * direction with a direction
whose component along the optical axis is 1, so t IS the z-depth. Sizes follow real museums (doors 2.1 m, benches
0.45 m, plinths about 1 m, pictures hung at 1.5 m), so that depth can be learnt from what is seen.
"""

from typing import NamedTuple

import numpy as np
from PIL import Image, ImageDraw
from scipy import ndimage

LEFT, RIGHT, FLOOR, CEILING, NEAR, FAR = range(6)  # owners of the room's faces; 6..11: those behind the doorway
FIRST_SOLID = 12
DOOR, JAMB, BEHIND = 2.1, 0.25, 0.6  # door height, thickness of the far wall, wall behind the camera (metres)
WALLS = [(236, 233, 226), (222, 216, 205), (128, 44, 44), (112, 128, 106), (46, 62, 92), (196, 160, 96), (150, 152, 156),
         (178, 110, 86), (214, 182, 176), (92, 110, 128), (70, 86, 74), (190, 200, 204), (104, 62, 84)]
WOODS = [(150, 104, 66), (188, 146, 98), (112, 70, 42), (206, 176, 134), (90, 62, 46), (158, 126, 98)]
STONES = [(214, 208, 198), (168, 164, 158), (122, 120, 118), (232, 228, 222), (188, 170, 146), (84, 84, 88)]
CLOTHS = [(124, 36, 40), (52, 66, 88), (108, 106, 104), (76, 88, 68), (150, 132, 108), (66, 56, 70)]
FRAMES = [(176, 136, 62), (38, 32, 28), (96, 62, 36), (226, 222, 214)]
WHITE, BRONZE, LEAF = (238, 236, 230), (96, 70, 44), (62, 104, 54)
PLINTH = ("box", (0, 0.5, 0), (0.22, 0.5, 0.22), WHITE)
FURNITURE = [  # (radius, [(kind, centre, half extents, colour or None for a drawn one)])
    (0.85, [("box", (0, 0.41, 0), (0.8, 0.04, 0.24), None), ("box", (-0.6, 0.185, 0), (0.05, 0.185, 0.2), BRONZE),
            ("box", (0.6, 0.185, 0), (0.05, 0.185, 0.2), BRONZE)]),
    (0.7, [("box", (0, 0.225, 0), (0.6, 0.225, 0.3), None)]),
    (0.35, [PLINTH, ("ellipsoid", (0, 1.17, 0), (0.14, 0.19, 0.14), None),
            ("cylinder", (0, 1.38, 0), (0.05, 0.07, 0.05), None)]),
    (0.35, [PLINTH, ("ellipsoid", (0, 1.2, 0), (0.2, 0.2, 0.2), None)]),
    (0.35, [PLINTH, ("ellipsoid", (0, 1.09, 0), (0.21, 0.15, 0.12), WHITE), ("cylinder", (0, 1.25, 0), (0.06, 0.1, 0.06), WHITE),
            ("ellipsoid", (0, 1.42, 0), (0.1, 0.14, 0.12), WHITE)]),
    (0.4, [("cylinder", (0, 0.2, 0), (0.2, 0.2, 0.2), None), ("cylinder", (0, 0.6, 0), (0.025, 0.25, 0.025), BRONZE),
           ("ellipsoid", (0, 1.05, 0), (0.26, 0.36, 0.26), LEAF), ("ellipsoid", (0.16, 0.85, -0.1), (0.2, 0.24, 0.2), LEAF),
           ("ellipsoid", (-0.17, 0.95, 0.05), (0.2, 0.25, 0.2), LEAF)]),
    (1.1, [("box", (0, 1.2, 0), (1.0, 1.2, 0.12), WHITE), ("box", (0, 1.5, -0.14), (0.5, 0.4, 0.03), "picture")])]


class Room(NamedTuple):
    picture: np.ndarray  # uint8 [size, size, 3]
    depth: np.ndarray  # float32 [size, size], metres along the optical axis, exact at pixel centres
    focal: float  # pixels


class Paint(NamedTuple):
    pattern: str
    first: tuple  # sRGB
    second: tuple = (60, 52, 46)  # sRGB: joints, stripes, veins, bars, frames
    scale: float = 1.0  # metres, the pattern's repeat
    image: np.ndarray | None = None  # sRGB [64, 64, 3] of a painting


class Solid(NamedTuple):
    kind: str  # "box", "cylinder" (upright) or "ellipsoid"
    centre: tuple
    half: tuple  # half extents along the solid's own axes
    angle: float  # radians about y
    paint: Paint


class Scene(NamedTuple):
    extent: tuple  # width, height, length
    position: np.ndarray  # [3], the camera
    axes: np.ndarray  # [3, 3], rows: the camera's right, up and forward
    view: float  # tangent of half the field of view
    paints: dict  # Paint of "floor", "ceiling", "wall", "far", "dado" (None: no wainscot) and "trim"
    solids: list  # of Solid
    lights: list  # of (position [3], the point it is aimed at [3], strength)
    doorway: tuple  # x from, x to of the opening in the far wall; empty: (0, 0)
    window: tuple | None  # x of its wall, middle y, middle z, half height, half width, direction to the sun


def linear(colour):
    """Linear light of an sRGB colour or picture (0..255)."""
    return (np.asarray(colour, np.float32) / 255) ** 2.2


_white = np.random.default_rng(20).standard_normal((256, 256)).astype(np.float32)
NOISE = sum(w * s * ndimage.gaussian_filter(_white, s, mode="wrap") for s, w in ((1, 1.2), (4, 1.8), (14, 2.8)))
TABLE = np.random.default_rng(21).random(4096).astype(np.float32)


def noise(u, v):
    """Smooth noise of standard deviation about 1, one texel a centimetre."""
    return NOISE[(u * 100).astype(np.int32) & 255, (v * 100).astype(np.int32) & 255]


def chance(i, j):
    """A fixed random number in 0..1 for each pair of whole numbers."""
    return TABLE[(i.astype(np.int32) * 131 + j.astype(np.int32) * 977) & 4095]


def albedo(paint, u, v):
    """Linear colour [n, 3] of a surface at u, v (metres along and up the surface, [n] each)."""
    s, weight, shade = paint.scale, np.zeros_like(u), 1 + 0.03 * noise(u, v)
    if paint.pattern == "planks":
        v = v / 9 + s * chance(np.floor(u / s), np.floor(u / s))
    i, j = np.floor(u / s), np.floor(v / s)
    edge = np.minimum(np.minimum(u - s * i, s * i + s - u), np.minimum(v - s * j, s * j + s - v))  # metres to the joint
    if paint.pattern == "planks":
        weight, shade = 0.6 * chance(i, j) + 0.1 * noise(u * 5, v * 4), 1 - 0.45 * (edge < 0.003)
    elif paint.pattern == "tiles":
        weight, shade = 0.35 * chance(i, j) + 0.08 * noise(u, v), 1 - 0.4 * (edge < 0.008)
    elif paint.pattern == "checker":
        weight, shade = (i + j) % 2, 1 + 0.06 * noise(u, v)
    elif paint.pattern == "marble":
        weight = 0.6 * np.exp(-5 * np.abs(noise(u * 0.9 + chance(i, j), v * 0.7)))
        shade = 1 - 0.3 * (edge < 0.006)
    elif paint.pattern == "carpet":
        weight, shade = 0.25 + 0.15 * noise(u, v), 1 + 0.12 * noise(u * 3.7, v * 3.7)
    elif paint.pattern == "stripes":
        weight = (u / s - i < 0.5) * 0.12
    elif paint.pattern == "damask":
        weight = 0.12 * (np.sin(2 * np.pi * u / s) * np.sin(np.pi * v / s) + 0.4 * np.cos(6 * np.pi * v / s) > 0.35)
    elif paint.pattern == "panels":
        shade = 1 - 0.35 * ((edge > 0.07) & (edge < 0.1)) + 0.1 * (edge > 0.1)
    elif paint.pattern == "wood":
        weight = 0.25 + 0.15 * noise(u * 0.5, v * 7)
    elif paint.pattern in ("grid", "glow"):
        weight = 1.0 * (edge < 0.03)
    first, second = linear(paint.first), linear(paint.second)
    return (first + (second - first) * np.clip(weight, 0, 1)[:, None]) * shade[:, None]


def canvas(rng):
    """A painting, sRGB [64, 64, 3]: hills under a sky, a sitter, or an abstract."""
    tone = lambda low, high: tuple(rng.integers(low, high, 3).tolist())  # noqa: E731
    image = Image.new("RGB", (64, 64), tone(20, 90))
    draw, kind = ImageDraw.Draw(image), rng.integers(4)
    if kind == 0:
        sky = np.linspace(tone(110, 220), (240, 210, 170), 64)[:, None].repeat(64, 1)
        image.paste(Image.fromarray(sky.astype(np.uint8)))
        for layer in range(4):
            ridge = 26 + 10 * layer + 5 * np.sin(np.linspace(0, rng.uniform(3, 9), 17) + rng.uniform(0, 6))
            draw.polygon([(0, 64), *zip(range(0, 65, 4), ridge.tolist(), strict=True), (64, 64)],
                         fill=(120 - 24 * layer, 136 - 22 * layer, 120 - 30 * layer))
    elif kind == 1:
        skin = (*tone(150, 220)[:1], *tone(110, 150)[:1], *tone(80, 120)[:1])
        for box, fill in (((10, 42, 54, 100), tone(20, 150)), ((20, 9, 44, 42), tone(20, 90)), ((27, 30, 37, 50), skin),
                          ((23, 14, 41, 40), skin)):
            draw.ellipse(box, fill=fill)
    else:
        for x, y, w, h in rng.integers((0, 0, 8, 8), (60, 60, 40, 40), (9, 4)).tolist():
            (draw.rectangle if kind == 2 else draw.ellipse)((x, y, x + w, y + h), fill=tone(20, 240))
    return np.asarray(image)


def layout(seed):
    """The scene of a seed: a room, its paints, what hangs on its walls and stands on its floor, its lights."""
    rng = np.random.default_rng(seed)
    pick = lambda choices: choices[rng.integers(len(choices))]  # noqa: E731
    extent = width, height, length = rng.uniform(4, 9), rng.uniform(2.7, 4.2), BEHIND + rng.uniform(3.5, 9)
    x = np.clip(rng.uniform(0.25, 0.75) * width, 1.6, width - 1.6)
    yaw = np.radians(rng.uniform(-8, 25)) * (1 if x < width / 2 else -1)  # towards the farther side wall
    pitch = np.radians(rng.uniform(-10, 3))
    c, s, cp, sp = np.cos(yaw), np.sin(yaw), np.cos(pitch), np.sin(pitch)
    axes = np.array([[c, 0, -s], [-s * sp, cp, -c * sp], [s * cp, sp, c * cp]])
    floor = pick([("planks", WOODS, 0.12), ("planks", WOODS, 0.2), ("carpet", CLOTHS, 1.0), ("tiles", STONES, 0.5),
                  ("checker", STONES, 0.4), ("marble", STONES, 1.0)])
    wall, pattern = pick(WALLS), pick(["plain", "plain", "stripes", "damask"])
    paints = {"floor": Paint(floor[0], pick(floor[1]), pick(floor[1]), floor[2]),
              "ceiling": Paint(pick(["plain", "plain", "grid"]), WHITE, (200, 198, 192), 1.2),
              "wall": Paint(pattern, wall, scale=0.3), "far": Paint("plain", pick(WALLS)),
              "dado": Paint("panels", pick([WHITE, *WOODS]), scale=0.9) if rng.random() < 0.35 else None,
              "trim": Paint("plain", pick([WHITE, WHITE, *WOODS]))}
    if rng.random() < 0.7:
        paints["far"] = paints["wall"]
    position = np.array([x, rng.uniform(1.35, 1.7), BEHIND])
    solids, doorway, window = hang(rng, extent, paints["trim"])
    solids += furnish(rng, extent, position)
    lights = [(np.array([width / 2, height - 0.3, length * 0.45]), np.array([width / 2, 0, length * 0.45]), 5.0)]
    for z in np.arange(1.5, length - 0.5, rng.uniform(1.8, 3)):
        for at, aim in ((1.3, 0.0), (width - 1.3, width)):
            lights.append((np.array([at, height - 0.1, z]), np.array([aim, 1.2, z]), rng.uniform(2, 5)))
    for at in np.arange(rng.uniform(0.8, 1.4), width - 0.5, rng.uniform(1.4, 2.4)):
        lights.append((np.array([at, height - 0.1, length - 1.4]), np.array([at, 1.3, length]), rng.uniform(2, 5)))
    lamp = Paint("glow", (255, 250, 238))
    solids += [Solid("cylinder", tuple(spot), (0.07, 0.1, 0.07), 0.0, lamp) for spot, _, _ in lights[1:]]
    if rng.random() < 0.4:  # a skylight
        solids.append(Solid("box", (width / 2, height, length / 2), (width / 5, 0.03, length / 4), 0.0,
                            Paint("glow", (255, 255, 255), (170, 172, 174), 0.8)))
    view = np.tan(np.radians(rng.uniform(52, 68)) / 2)
    return Scene(extent, position, axes, view, paints, solids, lights, doorway, window)


def hang(rng, extent, trim):
    """What is on the walls: (solids, doorway, window): doors, one window and framed pictures at eye height."""
    (width, height, length), solids, doorway, window = extent, [], (0.0, 0.0), None

    def put(wall, u, y, half, paint):
        centre = {FAR: (u, y, length - half[2]), LEFT: (half[2], y, u), RIGHT: (width - half[2], y, u)}[wall]
        solids.append(Solid("box", centre, half, 0.0 if wall == FAR else np.pi / 2, paint))

    for wall, span in ((FAR, width), (LEFT, length), (RIGHT, length)):
        at, used = rng.uniform(2.0 if wall != FAR else 1.0, span - 1.0), 0.0
        what = rng.choice(["doorway", "door", "window", "wall"], p=[0.45, 0.25, 0, 0.3] if wall == FAR else [0, 0.25, 0.35, 0.4])
        if what == "doorway":
            doorway, used = (at - 0.5, at + 0.5), 0.75
        elif what == "door":
            wood, used = Paint("panels", WOODS[rng.integers(len(WOODS))], scale=0.9), 0.75
            put(wall, at, DOOR / 2 + 0.04, (0.53, DOOR / 2 + 0.04, 0.02), trim)
            put(wall, at, DOOR / 2, (0.45, DOOR / 2, 0.04), wood)
            put(wall, at + 0.38, 1.0, (0.05, 0.015, 0.07), Paint("plain", FRAMES[0]))
        elif what == "window" and window is None:
            sun = np.array([0.8 if wall == RIGHT else -0.8, rng.uniform(0.5, 0.9), rng.uniform(-0.3, 0.5)])
            window, used = (width * (wall == RIGHT), 1.6, at, 0.8, 0.6, sun), 0.8
            put(wall, at, 1.6, (0.68, 0.88, 0.03), trim)
            put(wall, at, 1.6, (0.6, 0.8, 0.04), Paint("glow", (244, 250, 255), (150, 140, 130), 0.5))
        u, frame = rng.uniform(0.3, 0.8), FRAMES[rng.integers(len(FRAMES))]
        while u < span - 0.8:
            w, h = rng.uniform(0.25, 0.8), rng.uniform(0.25, 0.55)
            if u + 2 * w < span - 0.25 and (used == 0 or abs(u + w - at) > used + w):
                put(wall, u + w, 1.5, (w, h, 0.03), Paint("picture", WHITE, frame, image=canvas(rng)))
            u += 2 * w + rng.uniform(0.35, 1.0)
    return solids, doorway, window


def furnish(rng, extent, position):
    """What stands on the floor: solids clear of the walls, of each other and of the camera (1.3 m at least)."""
    (width, height, length), solids = extent, []
    taken = [(position[0], position[2], 1.3)]
    if rng.random() < 0.35 and width > 5.5:  # two rows of columns
        stone = Paint("marble", STONES[rng.integers(len(STONES))], (150, 146, 140))
        for z in np.arange(2.6, length - 0.6, 2.8):
            for x in (1.1, width - 1.1):
                solids += [Solid("cylinder", (x, height / 2, z), (0.17, height / 2, 0.17), 0.0, stone),
                           Solid("box", (x, 0.12, z), (0.25, 0.12, 0.25), 0.0, stone),
                           Solid("box", (x, height - 0.1, z), (0.25, 0.1, 0.25), 0.0, stone)]
                taken.append((x, z, 0.4))
    for _ in range(rng.integers(3, 9)):
        radius, parts = FURNITURE[rng.integers(len(FURNITURE))]
        x, z = rng.uniform(radius + 0.1, width - radius - 0.1), rng.uniform(1.5 + radius, length - radius - 0.2)
        if any(np.hypot(x - a, z - b) < radius + r + 0.1 for a, b, r in taken):
            continue
        taken.append((x, z, radius))
        angle = rng.choice([0.0, 0.0, np.pi / 2, rng.uniform(-0.5, 0.5)])
        c, s = np.cos(angle), np.sin(angle)
        tint = [*STONES, *WOODS, *CLOTHS, (54, 92, 130)][rng.integers(19)]
        for kind, (dx, y, dz), half, colour in parts:
            skin = Paint("marble" if kind == "ellipsoid" and colour is None else "plain", colour or tint)
            if colour == "picture":
                skin = Paint("picture", WHITE, FRAMES[rng.integers(len(FRAMES))], image=canvas(rng))
            solids.append(Solid(kind, (x + c * dx - s * dz, y, z + s * dx + c * dz), half, angle, skin))
    return solids


def leave(low, high, origin, rays):
    """Where rays [3, n, n] leave a box that they are inside of or pass through: (t, face), [n, n] each."""
    out = [(np.where(rays[k] > 0, high[k], low[k]) - origin[k]) / rays[k] for k in range(3)]
    t = np.minimum(np.minimum(out[0], out[1]), out[2])
    axis = np.where(t == out[0], 0, np.where(t == out[1], 1, 2))
    return t, (2 * axis + (np.take_along_axis(rays, axis[None], 0)[0] > 0)).astype(np.int16)


def local(solid, vectors):
    """Vectors [3, ...] in the solid's own axes, divided by its half extents: there it is the unit solid."""
    c, s = np.float32(np.cos(solid.angle)), np.float32(np.sin(solid.angle))
    x, y, z = vectors
    return (c * x + s * z) / solid.half[0], y / solid.half[1], (c * z - s * x) / solid.half[2]


def enter(solid, origin, rays):
    """t [...] at which rays [3, ...] from outside enter the solid; inf where they miss it."""
    o, d = local(solid, origin - np.array(solid.centre)), local(solid, rays)
    first, last = np.float32(1e-3), np.float32(np.inf)
    for k in {"box": (0, 1, 2), "cylinder": (1,), "ellipsoid": ()}[solid.kind]:  # slabs
        middle, reach = -o[k] / d[k], np.abs(1 / d[k])
        first, last = np.maximum(first, middle - reach), np.minimum(last, middle + reach)
    round_axes = {"box": (), "cylinder": (0, 2), "ellipsoid": (0, 1, 2)}[solid.kind]
    if round_axes:  # |o + t d| = 1 over those axes
        a, b, c = (sum(p[k] * q[k] for k in round_axes) for p, q in ((d, d), (o, d), (o, o)))
        root = np.sqrt(np.maximum(b * b - a * (c - 1), 0))
        first, last = np.maximum(first, np.where(root > 0, (-b - root) / a, np.inf)), np.minimum(last, (-b + root) / a)
    return np.where(first < last, first, np.inf)


def seen(scene, solid, n, margin=0.0):
    """The slices of an n x n picture within which the solid, grown by margin metres, lies."""
    corners = np.array(np.meshgrid(*[(-1, 1)] * 3)).reshape(3, 8) * (np.array(solid.half) + margin)[:, None]
    c, s = np.cos(solid.angle), np.sin(solid.angle)
    world = np.stack([c * corners[0] - s * corners[2], corners[1], s * corners[0] + c * corners[2]]).T + solid.centre
    right, up, forward = scene.axes @ (world - scene.position).T
    if forward.min() < 0.3:
        return slice(0, n), slice(0, n)
    columns, rows = (n / 2 * (1 + sign * side / forward / scene.view) for sign, side in ((1, right), (-1, up)))
    return tuple(slice(*np.clip([k.min() - 1, k.max() + 2], 0, n).astype(int)) for k in (rows, columns))


def trace(scene, n):
    """One ray through each pixel centre of an n x n picture: z-depth t, owner of the surface, rays [3, n, n]."""
    side = ((np.arange(n) + 0.5) * 2 / n - 1) * scene.view
    right, up = np.meshgrid(side, -side)
    rays = np.einsum("kc,kij->cij", scene.axes, np.stack([right, up, np.ones_like(up)])).astype(np.float32)
    (width, height, length), (x0, x1) = scene.extent, scene.doorway
    t, owner = leave((0, 0, 0), scene.extent, scene.position, rays)
    x, y = (scene.position[k] + t * rays[k] for k in (0, 1))
    through = (owner == FAR) & (x > x0) & (x < x1) & (y < DOOR)
    if through.any():
        jamb, face = leave((x0, 0, 0), (x1, DOOR, length + JAMB), scene.position, rays)
        room, far = leave((-1, 0, 0), (width + 1, height, length + 4), scene.position, rays)
        t = np.where(through, np.where(face == FAR, room, jamb), t)
        owner = np.where(through, 6 + np.where(face == FAR, far, face), owner)
    for k, solid in enumerate(scene.solids):
        at = seen(scene, solid, n)
        entry = enter(solid, scene.position, rays[:, *at])
        nearer = entry < t[at]
        t[at] = np.where(nearer, entry, t[at])
        owner[at] = np.where(nearer, FIRST_SOLID + k, owner[at])
    return t, owner, rays


def face_albedo(scene, face, p):
    """Linear colour [n, 3] at points [3, n] of a face of the room (or of the room behind the doorway)."""
    x, y, z = p
    if face % 6 in (FLOOR, CEILING):
        return albedo(scene.paints["floor" if face % 6 == FLOOR else "ceiling"], x, z)
    u, paints = x if face % 6 in (NEAR, FAR) else z, scene.paints
    colour, trim = albedo(paints["far" if face == FAR else "wall"], u, y), (y < 0.12) | (y > scene.extent[1] - 0.1)
    if paints["dado"]:
        colour, trim = np.where(y[:, None] < 0.9, albedo(paints["dado"], u, y), colour), trim | (abs(y - 0.92) < 0.03)
    x0, x1 = scene.doorway
    casing = (x0 < x1) & (x > x0 - 0.1) & (x < x1 + 0.1) & (y < DOOR + 0.1) & (face == FAR)
    trim |= casing | ((face > FAR) & (z < scene.extent[2] + JAMB - 1e-3))
    return np.where(trim[:, None], albedo(paints["trim"], u, y), colour)


def solid_albedo(solid, p, axis):
    """Linear colour [n, 3] at points p (3 of [n], in the unit solid's axes) on sides of the given axis [n]."""
    x, y, z = (p[k] * solid.half[k] for k in range(3))
    u = np.where(axis == 0, z, x) if solid.kind == "box" else np.arctan2(x, z) * solid.half[0]
    if solid.paint.pattern != "picture":
        return albedo(solid.paint, u + solid.half[0], np.where(axis == 1, z, y) + solid.half[1])
    row, column = (np.clip((1 + s * p[k] / 0.92) * 32, 0, 63).astype(int) for k, s in ((1, -1), (0, 1)))
    edge = np.minimum(solid.half[0] - abs(x), solid.half[1] - abs(y))
    frame = linear(solid.paint.second) * (0.75 + 8 * edge)[:, None]
    return np.where((edge < 0.05)[:, None] | (axis != 2)[:, None], frame, linear(solid.paint.image)[row, column])


def illuminate(scene, points, normal):
    """Light [n, n] that falls on points with normals ([3, n, n] both): ambient, lamps and sun."""
    light = 0.35 + 0.08 * normal[1]
    for position, aim, strength in scene.lights:
        way = position.astype(np.float32)[:, None, None] - points
        square = (way * way).sum(0)
        beam = (position - aim) / np.linalg.norm(position - aim)
        spot = np.clip((np.tensordot(beam.astype(np.float32), way, 1) / np.sqrt(square) - 0.6) * 2.5, 0.12, 1)
        light += strength * spot * np.maximum((way * normal).sum(0), 0) / (square * np.sqrt(square) + 0.6)
    for k, size in enumerate(scene.extent):  # corners are darker
        for distance in (points[k], size - points[k]):
            light *= 1 - 0.4 * (1 - np.abs(normal[k])) * np.exp(-3 * np.abs(distance))
    if scene.window:
        x, y, z, half_y, half_z, sun = scene.window
        s = (x - points[0]) / sun[0]
        y, z = np.abs(points[1] + s * sun[1] - y), np.abs(points[2] + s * sun[2] - z)
        inside = (y < half_y) & (z < half_z) & (s > 0.05) & (y > 0.02) & (z > 0.02)
        light += 2.2 * inside * np.maximum(np.tensordot(sun, normal, 1), 0)
    return light


def shade(scene, n):
    """Linear light [n, n, 3] of an n x n picture."""
    t, owner, rays = trace(scene, n)
    points = scene.position.astype(np.float32)[:, None, None] + t * rays
    colour, normal, glow = np.zeros((n, n, 3), np.float32), np.zeros((3, n, n), np.float32), np.zeros((n, n), bool)
    for face in np.unique(owner[owner < FIRST_SOLID]):
        at = owner == face
        colour[at] = face_albedo(scene, face, points[:, at])
        normal[face % 6 // 2][at] = 1 - 2 * (face % 2)
    occlusion = np.ones((n, n), np.float32)
    for k, solid in enumerate(scene.solids):
        near = seen(scene, solid, n, 0.3)
        p = local(solid, points[:, *near] - np.array(solid.centre, np.float32)[:, None, None])
        away = sum(np.maximum(np.abs(p[i]) - 1, 0) ** 2 * solid.half[i] ** 2 for i in range(3))
        at = owner[near] == FIRST_SOLID + k
        if solid.paint.pattern != "glow":
            occlusion[near] *= np.where(at, 1, 1 - 0.5 * np.exp(-9 * np.sqrt(away)))
        if not at.any():
            continue
        p = np.stack([q[at] for q in p])
        axis = np.abs(p).argmax(0)
        flat = (axis == np.arange(3)[:, None]) if solid.kind == "box" else np.ones_like(p, bool)
        if solid.kind == "cylinder":
            flat = (np.abs(p[1]) > 0.999) == (np.arange(3)[:, None] == 1)
        c, s = np.cos(solid.angle), np.sin(solid.angle)
        x, y, z = p * flat / np.array(solid.half)[:, None]
        towards = np.stack([c * x - s * z, y, s * x + c * z])
        normal[:, *near][:, at] = towards / np.linalg.norm(towards, axis=0)
        colour[near][at] = solid_albedo(solid, p, axis)
        glow[near] |= at & (solid.paint.pattern == "glow")
    light = illuminate(scene, points, normal) * occlusion
    return colour * np.where(glow, 2.5, light)[..., None]


def render(seed: int, size: int = 224) -> Room:
    """The room of a seed: picture (2 x 2 samples a pixel), exact z-depth at pixel centres, focal length in pixels."""
    scene = layout(seed)
    with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
        light = shade(scene, 2 * size).reshape(size, 2, size, 2, 3).mean((1, 3))
        depth = trace(scene, size)[0]
    light *= 0.4 / (light.mean() + 0.06)
    shown = np.clip(light * (1 + light / 4) / (1 + light), 0, 1) ** (1 / 2.2)
    return Room((255 * shown + 0.5).astype(np.uint8), depth.astype(np.float32), size / 2 / scene.view)
