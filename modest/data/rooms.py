"""Museum rooms, drawn by casting rays through a world of planes, boxes, cylinders and ellipsoids.

`render(seed, size)` gives a picture, its exact z-depth and the focal length. World axes: x to the right, y up
(0 is the floor), z towards the far wall; all lengths are metres. A ray is origin + t * direction with a direction
whose component along the optical axis is 1, so t IS the z-depth. Sizes follow real museums (doors 2.1 m, benches
0.45 m, plinths 1 m, pictures hung at 1.5 m), so that depth can be learnt from what is seen.
"""

from typing import NamedTuple

import numpy as np
from PIL import Image, ImageDraw
from scipy import ndimage

LEFT, RIGHT, FLOOR, CEILING, NEAR, FAR = range(6)  # owners of the room's faces; 6..11: those behind the doorway
FIRST_SOLID = 12
DOOR, JAMB, BEHIND = 2.1, 0.25, 0.6  # door height, thickness of the far wall, from the camera to the wall behind it
WALLS = [(236, 233, 226), (222, 216, 205), (128, 44, 44), (112, 128, 106), (46, 62, 92), (196, 160, 96),
         (150, 152, 156), (178, 110, 86), (214, 182, 176), (92, 110, 128), (70, 86, 74), (190, 200, 204), (104, 62, 84)]
WOODS = [(150, 104, 66), (188, 146, 98), (112, 70, 42), (206, 176, 134), (90, 62, 46), (158, 126, 98)]
STONES = [(214, 208, 198), (168, 164, 158), (122, 120, 118), (232, 228, 222), (188, 170, 146), (84, 84, 88)]
CLOTHS = [(124, 36, 40), (52, 66, 88), (108, 106, 104), (76, 88, 68), (150, 132, 108), (66, 56, 70)]
FRAMES = [(176, 136, 62), (38, 32, 28), (96, 62, 36), (226, 222, 214)]
FLOORS = [("planks", WOODS, 0.12), ("planks", WOODS, 0.2), ("carpet", CLOTHS, 1), ("tiles", STONES, 0.5),
          ("checker", STONES, 0.4), ("marble", STONES, 1)]
PATTERNS = {  # joint (m) and its darkness; share of the second colour by chance a piece, by grain; grain along u, v
    "planks": (0.003, 0.45, 0.6, 0.1, 5, 4), "tiles": (0.008, 0.4, 0.35, 0.08, 1, 1), "checker": (0, 0, 0, 0.06, 1, 1),
    "marble": (0.006, 0.3, 0.1, 0, 1, 1), "carpet": (0, 0, 0, 0.22, 0.7, 0.7), "wood": (0, 0, 0.2, 0.15, 0.5, 7)}
WHITE, BRONZE, LEAF = (238, 236, 230), (96, 70, 44), (62, 104, 54)
PLINTH = ("box", (0, 0.5, 0), (0.22, 0.5, 0.22), WHITE)
FURNITURE = [  # (radius, [(kind, centre, half extents, colour or None for a drawn one)]); the first is a column
    (0.35, [("cylinder", (0, 2.2, 0), (0.17, 2.2, 0.17), None), ("box", (0, 0.12, 0), (0.25, 0.12, 0.25), None)]),
    (0.85, [("box", (0, 0.41, 0), (0.8, 0.04, 0.24), None), ("box", (-0.6, 0.185, 0), (0.05, 0.185, 0.2), BRONZE),
            ("box", (0.6, 0.185, 0), (0.05, 0.185, 0.2), BRONZE)]),
    (0.7, [("box", (0, 0.225, 0), (0.6, 0.225, 0.3), None)]),
    (0.35, [PLINTH, ("ellipsoid", (0, 1.17, 0), (0.14, 0.19, 0.14), None),
            ("cylinder", (0, 1.38, 0), (0.05, 0.07, 0.05), None)]),
    (0.35, [PLINTH, ("ellipsoid", (0, 1.2, 0), (0.2, 0.2, 0.2), None)]),
    (0.35, [PLINTH, ("ellipsoid", (0, 1.09, 0), (0.21, 0.15, 0.12), WHITE),
            ("ellipsoid", (0, 1.42, 0), (0.1, 0.14, 0.12), WHITE),
            ("cylinder", (0, 1.25, 0), (0.06, 0.1, 0.06), WHITE)]),
    (0.4, [("cylinder", (0, 0.2, 0), (0.2, 0.2, 0.2), None), ("cylinder", (0, 0.6, 0), (0.025, 0.25, 0.025), BRONZE),
           ("ellipsoid", (0, 1.05, 0), (0.26, 0.36, 0.26), LEAF),
           ("ellipsoid", (0.16, 0.85, -0.1), (0.2, 0.24, 0.2), LEAF),
           ("ellipsoid", (-0.17, 0.95, 0.05), (0.2, 0.25, 0.2), LEAF)]),
    (1.1, [("box", (0, 1.2, 0), (1.0, 1.2, 0.12), WHITE), ("box", (0, 1.5, -0.14), (0.5, 0.4, 0.03), "picture")])]


class Room(NamedTuple):
    picture: np.ndarray  # uint8 [size, size, 3]
    depth: np.ndarray  # float32 [size, size], metres along the optical axis, exact at pixel centres
    focal: float  # pixels


class Paint(NamedTuple):
    pattern: str
    first: tuple  # sRGB
    second: tuple = (60, 52, 46)  # sRGB: stripes, veins, bars, frames
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
    doorway: tuple  # x from, x to of the opening in the far wall; none: (0, 0)
    window: tuple | None  # x of its wall, middle y, middle z, half height, half width, direction to the sun


def linear(colour):
    """Linear light of an sRGB colour or picture (0..255)."""
    return (np.asarray(colour, np.float32) / 255) ** 2.2


WHITE_NOISE = np.random.default_rng(20).standard_normal((256, 256)).astype(np.float32)
NOISE = sum(w * s * ndimage.gaussian_filter(WHITE_NOISE, s, mode="wrap") for s, w in ((1, 1.2), (4, 1.8), (14, 2.8)))
TABLE = np.random.default_rng(21).random(4096).astype(np.float32)


def noise(u, v):
    """Smooth noise of standard deviation about 1, one texel a centimetre."""
    return NOISE[(u * 100).astype(np.int32) & 255, (v * 100).astype(np.int32) & 255]


def chance(i, j):
    """A fixed random number in 0..1 for each pair of whole numbers."""
    return TABLE[(i.astype(np.int32) * 131 + j.astype(np.int32) * 977) & 4095]


def albedo(paint, u, v):
    """Linear colour [n, 3] of a surface at u, v (metres along and up the surface, [n] each)."""
    s, pattern = paint.scale, paint.pattern
    if pattern == "planks":  # nine times as long as wide, each row shifted
        v = v / 9 + s * chance(np.floor(u / s), np.floor(u / s))
    i, j = np.floor(u / s), np.floor(v / s)
    edge = np.minimum(np.minimum(u - s * i, s * i + s - u), np.minimum(v - s * j, s * j + s - v))  # metres to the joint
    joint, dark, by_piece, by_grain, along, up = PATTERNS.get(pattern, (0, 0, 0, 0, 1, 1))
    grain = noise(u * along, v * up)
    weight, shade = by_piece * chance(i, j) + by_grain * grain, 1 + 0.03 * grain - dark * (edge < joint)
    if pattern == "checker":
        weight = weight + (i + j) % 2
    elif pattern == "marble":
        weight += 0.5 * np.exp(-5 * np.abs(noise(u * 0.9 + chance(i, j), v * 0.7)))
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


def canvas(rng):
    """A painting, sRGB [64, 64, 3]: hills under a sky, a sitter, or an abstract of blocks or discs."""
    tone = lambda low, high: tuple(rng.integers(low, high, 3).tolist())
    image = Image.new("RGB", (64, 64), tone(20, 90))
    draw, kind, palette = ImageDraw.Draw(image), rng.integers(4), [*WALLS, *CLOTHS, tone(20, 240), tone(20, 240)]
    if kind == 0:
        sky = np.linspace(tone(110, 220), (240, 210, 170), 64).astype(np.uint8)
        image.paste(Image.fromarray(sky[:, None].repeat(64, 1)))
        for layer in range(4):
            ridge = 26 + 10 * layer + 5 * np.sin(np.linspace(0, rng.uniform(3, 9), 17) + rng.uniform(0, 6))
            draw.polygon([(0, 64), *zip(range(0, 65, 4), ridge.tolist()), (64, 64)],
                         fill=(120 - 24 * layer, 136 - 22 * layer, 120 - 30 * layer))
    elif kind == 1:
        skin = tuple(np.add(tone(0, 20), (170, 120, 90)).tolist())
        for box, fill in (((10, 42, 54, 100), tone(20, 150)), ((20, 9, 44, 42), tone(20, 90)), ((27, 30, 37, 50), skin),
                          ((23, 14, 41, 40), skin)):
            draw.ellipse(box, fill=fill)
    else:
        for x, y, w, h in rng.integers((0, 0, 8, 8), (56, 56, 40, 40), (11, 4)).tolist():
            shape = draw.rectangle if kind == 2 else draw.ellipse
            shape((x, y, x + w, y + h), fill=palette[rng.integers(len(palette))])
    return np.asarray(image)


def layout(seed):
    """The scene of a seed: a room, its paints, what hangs on its walls and stands on its floor, its lights."""
    rng = np.random.default_rng(seed)
    pick = lambda choices: choices[rng.integers(len(choices))]
    extent = width, height, length = rng.uniform(4, 9), rng.uniform(2.7, 4.2), BEHIND + rng.uniform(3.5, 9)
    x = float(np.clip(rng.uniform(0.25, 0.75) * width, 1.6, width - 1.6))
    yaw = np.radians(rng.uniform(-8, 25)) * (1 if x < width / 2 else -1)  # towards the farther side wall
    pitch, view = np.radians(rng.uniform(-10, 3)), np.tan(np.radians(rng.uniform(52, 68)) / 2)
    c, s, cp, sp = np.cos(yaw), np.sin(yaw), np.cos(pitch), np.sin(pitch)
    axes = np.array([[c, 0, -s], [-s * sp, cp, -c * sp], [s * cp, sp, c * cp]])
    position = np.array([x, rng.uniform(1.35, 1.7), BEHIND], np.float32)
    pattern, colours, scale = pick(FLOORS)
    wall = Paint(pick(["plain", "plain", "stripes", "damask"]), pick(WALLS), scale=0.3)
    paints = {"floor": Paint(pattern, pick(colours), pick(colours), scale), "wall": wall,
              "ceiling": Paint(pick(["plain", "plain", "grid"]), WHITE, (200, 198, 192), 1.2),
              "far": Paint("plain", pick(WALLS)) if rng.random() < 0.3 else wall,
              "dado": Paint("panels", pick([WHITE, *WOODS]), scale=0.9) if rng.random() < 0.35 else None,
              "trim": Paint("plain", pick([WHITE, WHITE, *WOODS]))}
    solids, doorway, window = hang(rng, extent, paints["trim"])
    solids += furnish(rng, extent, position)
    lights = [((width / 2, height - 0.3, length * 0.45), (width / 2, 0, length * 0.45), 5.0)]
    for at in np.linspace(1.2, width - 1.2, rng.integers(2, 4)).tolist():
        lights.append(((at, height - 0.1, length - 1.4), (at, 1.3, length), rng.uniform(2, 5)))
    for at in np.linspace(1.6, length - 1.6, 3 if length > 6 else 2).tolist():
        lights += [((1.3, height - 0.1, at), (0, 1.2, at), rng.uniform(2, 5)),
                   ((width - 1.3, height - 0.1, at), (width, 1.2, at), rng.uniform(2, 5))]
    lamp = Paint("glow", (255, 250, 238), (255, 250, 238))
    solids += [Solid("cylinder", spot, (0.07, 0.1, 0.07), 0.0, lamp) for spot, _, _ in lights[1:]]
    if rng.random() < 0.4:  # a skylight
        panes = Paint("glow", (255, 255, 255), (170, 172, 174), 0.8)
        solids.append(Solid("box", (width / 2, height, length / 2), (width / 5, 0.03, length / 4), 0.0, panes))
    return Scene(extent, position, axes, view, paints, solids, lights, doorway, window)


def hang(rng, extent, trim):
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
                put(u + w, 1.5, (w, h, 0.03), Paint("picture", WHITE, frame, image=canvas(rng)))
            u += 2 * w + rng.uniform(0.35, 1.0)
    return solids, doorway, window


def furnish(rng, extent, position):
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
                paint = Paint("picture", WHITE, FRAMES[rng.integers(len(FRAMES))], image=canvas(rng))
            solids.append(Solid(kind, (x + c * dx - s * dz, y, z + s * dx + c * dz), half, angle, paint))
    return solids


def leave(low, high, origin, rays):
    """Where rays [3, n, n] leave a box that they are inside of or pass through: (t, face), [n, n] each."""
    out = [(np.where(rays[k] > 0, np.float32(high[k]), np.float32(low[k])) - origin[k]) / rays[k] for k in range(3)]
    t = np.minimum(np.minimum(out[0], out[1]), out[2])
    axis = np.where(t == out[0], 0, np.where(t == out[1], 1, 2))
    return t, (2 * axis + (np.take_along_axis(rays, axis[None], 0)[0] > 0)).astype(np.int16)


def local(solid, vectors):
    """Vectors [3, ...] in the solid's own axes, divided by its half extents: there it is the unit solid."""
    c, s, (x, y, z), (hx, hy, hz) = float(np.cos(solid.angle)), float(np.sin(solid.angle)), vectors, solid.half
    return (c / hx * x + s / hx * z), y / hy, (c / hz * z - s / hz * x)


@np.errstate(divide="ignore", invalid="ignore")
def enter(solid, origin, rays):
    """t [...] at which rays [3, ...] from outside enter the solid; inf where they miss it."""
    o, d = local(solid, origin - np.array(solid.centre, np.float32)), local(solid, rays)
    first, last = np.float32(0), np.float32(np.inf)
    slabs, round_axes = {"box": ((0, 1, 2), ()), "cylinder": ((1,), (0, 2)), "ellipsoid": ((), (0, 1, 2))}[solid.kind]
    for k in slabs:
        middle, reach = -o[k] / d[k], np.abs(1 / d[k])
        first, last = np.maximum(first, middle - reach), np.minimum(last, middle + reach)
    if round_axes:  # |o + t d| = 1 over those axes
        a, b, c = (sum(p[k] * q[k] for k in round_axes) for p, q in ((d, d), (o, d), (o, o)))
        root = np.sqrt(b * b - a * (c - 1))  # NaN, and so no hit, where the ray misses
        first, last = np.maximum(first, (-b - root) / a), np.minimum(last, (-b + root) / a)
    return np.where((first < last) & (first > 0), first, np.float32(np.inf))


def seen(scene, solid, n, margin=0.0):
    """The slices of an n x n picture within which the solid, grown by margin metres, lies."""
    corners = np.array(np.meshgrid(*[(-1, 1)] * 3)).reshape(3, 8) * (np.array(solid.half) + margin)[:, None]
    c, s = np.cos(solid.angle), np.sin(solid.angle)
    world = np.stack([c * corners[0] - s * corners[2], corners[1], s * corners[0] + c * corners[2]]).T + solid.centre
    right, up, forward = scene.axes @ (world - scene.position).T
    if forward.max() < 0.01:
        return slice(0), slice(0)
    if forward.min() < 0.3:
        return slice(0, n), slice(0, n)
    columns, rows = (n / 2 * (1 + sign * side / forward / scene.view) for sign, side in ((1, right), (-1, up)))
    return tuple(slice(*np.clip([k.min() - 1, k.max() + 2], 0, n).astype(int)) for k in (rows, columns))


def trace(scene, n):
    """One ray through each pixel centre of an n x n picture: z-depth t, owner of the surface, rays [3, n, n]."""
    side = ((np.arange(n) + 0.5) * 2 / n - 1) * scene.view
    right, up = np.meshgrid(side, -side)
    rays = np.einsum("kc,kij->cij", scene.axes, np.stack([right, up, np.ones_like(up)])).astype(np.float32)
    rays[rays == 0] = 1e-9  # so that a ray along an axis divides by no zero
    (width, height, length), (x0, x1) = scene.extent, scene.doorway
    t, owner = leave((0, 0, 0), scene.extent, scene.position, rays)
    x, y = (scene.position[k] + t * rays[k] for k in (0, 1))
    through = (owner == FAR) & (x > x0) & (x < x1) & (y < DOOR)
    if through.any():
        jamb, face = leave((x0, 0, 0), (x1, DOOR, length + JAMB), scene.position, rays)
        room, beyond = leave((-1, 0, 0), (width + 1, height, length + 4), scene.position, rays)
        t = np.where(through, np.where(face == FAR, room, jamb), t)
        owner = np.where(through, 6 + np.where(face == FAR, beyond, face), owner)
    for k, solid in enumerate(scene.solids):
        at = seen(scene, solid, n)
        entry = enter(solid, scene.position, rays[:, *at])
        owner[at] = np.where(entry < t[at], FIRST_SOLID + k, owner[at])
        t[at] = np.minimum(entry, t[at])
    return t, owner, rays


def face_albedo(scene, face, p):
    """Linear colour [n, 3] at points [3, n] of a face of the room (or of the room behind the doorway)."""
    (x, y, z), paints = p, scene.paints
    if face % 6 in (FLOOR, CEILING):
        return albedo(paints["floor" if face % 6 == FLOOR else "ceiling"], x, z)
    u = x if face % 6 in (NEAR, FAR) else z
    colour, trim = albedo(paints["far" if face == FAR else "wall"], u, y), (y < 0.12) | (y > scene.extent[1] - 0.1)
    if paints["dado"]:
        colour, trim = np.where(y[:, None] < 0.9, albedo(paints["dado"], u, y), colour), trim | (abs(y - 0.92) < 0.03)
    x0, x1 = scene.doorway
    trim |= (x0 < x1) & (x > x0 - 0.1) & (x < x1 + 0.1) & (y < DOOR + 0.1) & (face == FAR)  # the casing
    trim |= (face > FAR) & (z < scene.extent[2] + JAMB - 1e-3)
    return np.where(trim[:, None], albedo(paints["trim"], u, y), colour)


def solid_albedo(solid, p):
    """Linear colour [n, 3] at points p [3, n], in the unit solid's axes, of its surface."""
    (x, y, z), axis = p * np.array(solid.half, np.float32)[:, None], np.abs(p).argmax(0)
    if solid.paint.pattern != "picture":
        u = np.where(axis == 0, z, x) if solid.kind == "box" else np.arctan2(x, z) * solid.half[0]
        return albedo(solid.paint, u + solid.half[0], np.where(axis == 1, z, y) + solid.half[1])
    row, column = (np.clip(32 + 35 * k, 0, 63).astype(int) for k in (-p[1], p[0]))
    edge = np.minimum(solid.half[0] - abs(x), solid.half[1] - abs(y))
    frame = linear(solid.paint.second) * (0.75 + 8 * edge)[:, None]
    return np.where((edge < 0.05)[:, None] | (axis != 2)[:, None], frame, linear(solid.paint.image)[row, column])


def illuminate(scene, points, normal):
    """Light [n, n] that falls on points with normals ([3, n, n] both): ambient, lamps and sun."""
    light = 0.35 + 0.08 * normal[1]
    for position, aim, strength in scene.lights:
        x, y, z = (np.float32(position[k]) - points[k] for k in range(3))
        beam = np.subtract(position, aim) / np.linalg.norm(np.subtract(position, aim))
        a, b, c = (float(k) for k in beam)
        square = x * x + y * y + z * z
        distance = np.sqrt(square)
        spot = np.clip((a * x + b * y + c * z) / distance * 2.5 - 1.5, 0.12, 1)
        facing = np.maximum(x * normal[0] + y * normal[1] + z * normal[2], 0)
        light += strength * spot * facing / (square * distance + 0.6)
    for k, size in enumerate(scene.extent):  # corners are darker
        distance = np.minimum(np.abs(points[k]), np.abs(size - points[k]))
        light *= 1 - 0.4 * (1 - np.abs(normal[k])) * np.exp(-3 * distance)
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
    points = scene.position[:, None, None] + t * rays
    colour, normal = np.zeros((n, n, 3), np.float32), np.zeros((3, n, n), np.float32)
    occlusion, glow = np.ones((n, n), np.float32), np.zeros((n, n), bool)
    for face in np.unique(owner[owner < FIRST_SOLID]):
        at = owner == face
        colour[at] = face_albedo(scene, face, points[:, at])
        normal[face % 6 // 2][at] = 1 - 2 * (face % 2)
    for k, solid in enumerate(scene.solids):
        shining, half = solid.paint.pattern == "glow", solid.half
        near = seen(scene, solid, n, 0.0 if shining else 0.3)
        at = owner[near] == FIRST_SOLID + k
        p = local(solid, points[:, *near] - np.array(solid.centre, np.float32)[:, None, None])
        if not shining:  # what lies close to it is darker
            away = sum((np.maximum(np.abs(p[i]) - 1, 0) * half[i]) ** 2 for i in range(3))
            occlusion[near] *= np.where(at, 1, 1 - 0.5 * np.exp(-9 * np.sqrt(away)))
        p = np.stack([q[at] for q in p])
        if p.size:
            # High powers leave the component of the nearest face: flat sides, whose edges are a little rounded.
            powers = {"box": (31, 31, 31), "cylinder": (1, 31, 1), "ellipsoid": (1, 1, 1)}[solid.kind]
            x, y, z = (p[i] ** powers[i] / half[i] for i in range(3))
            c, s = float(np.cos(solid.angle)), float(np.sin(solid.angle))
            outward = np.stack([c * x - s * z, y, s * x + c * z])
            normal[:, *near][:, at] = outward / np.linalg.norm(outward, axis=0)
            colour[near][at] = solid_albedo(solid, p)
            glow[near] |= at & shining
    return colour * np.where(glow, 2.5, illuminate(scene, points, normal) * occlusion)[..., None]


def render(seed: int, size: int = 224) -> Room:
    """The room of a seed: picture (2 x 2 samples a pixel), exact z-depth at pixel centres, focal length in pixels."""
    scene = layout(seed)
    light = shade(scene, 2 * size).reshape(size, 2, size, 2, 3).mean((1, 3))
    depth = trace(scene, size)[0]
    light *= 0.4 / (light.mean() + 0.06)
    shown = np.clip(light * (1 + light / 4) / (1 + light), 0, 1) ** (1 / 2.2)
    return Room((255 * shown + 0.5).astype(np.uint8), depth.astype(np.float32), float(size / 2 / scene.view))
