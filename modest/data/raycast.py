"""Pictures and depths of a scene of planes, boxes, cylinders and ellipsoids, found by casting rays.

In: a `Scene` and the picture's side n in pixels. Out: linear light [n, n, 3] (`shade`), or z-depth, owners and rays
(`trace`). World axes: x to the right, y up (0 is the floor), z towards the far wall; all lengths are metres. A ray is
origin + t * direction with a direction whose component along the optical axis is 1, so t IS the z-depth. Nothing is
random here.
"""

from typing import NamedTuple

import numpy as np

from modest.data.textures import Paint, albedo, linear

LEFT, RIGHT, FLOOR, CEILING, NEAR, FAR = range(6)  # owners of the room's faces; 6..11: those behind the doorway
FIRST_SOLID = 12
DOOR, JAMB = 2.1, 0.25  # metres: height of a door, thickness of the far wall


class Solid(NamedTuple):
    """A thing in the room; lengths in metres."""

    kind: str  # "box", "cylinder" (upright) or "ellipsoid"
    centre: tuple
    half: tuple  # half extents along the solid's own axes
    angle: float  # radians about y
    paint: Paint


class Scene(NamedTuple):
    """A room and the camera in it; lengths in metres."""

    extent: tuple  # width, height, length
    position: np.ndarray  # [3], the camera
    axes: np.ndarray  # [3, 3], rows: the camera's right, up and forward
    view: float  # tangent of half the field of view
    paints: dict  # Paint of "floor", "ceiling", "wall", "far", "dado" (None: no wainscot) and "trim"
    solids: list  # of Solid
    lights: list  # of (position [3], the point it is aimed at [3], strength)
    doorway: tuple  # x from, x to of the opening in the far wall; none: (0, 0)
    window: tuple | None  # x of its wall, middle y, middle z, half height, half width, direction to the sun


def _leave(low, high, origin, rays):
    """Where rays [3, n, n] leave a box that they are inside of or pass through: (t, face), [n, n] each."""
    out = [(np.where(rays[k] > 0, np.float32(high[k]), np.float32(low[k])) - origin[k]) / rays[k] for k in range(3)]
    t = np.minimum(np.minimum(out[0], out[1]), out[2])
    axis = np.where(t == out[0], 0, np.where(t == out[1], 1, 2))
    return t, (2 * axis + (np.take_along_axis(rays, axis[None], 0)[0] > 0)).astype(np.int16)


def _local(solid, vectors):
    """Vectors [3, ...] in the solid's own axes, divided by its half extents: there it is the unit solid."""
    c, s, (x, y, z), (hx, hy, hz) = float(np.cos(solid.angle)), float(np.sin(solid.angle)), vectors, solid.half
    return (c / hx * x + s / hx * z), y / hy, (c / hz * z - s / hz * x)


@np.errstate(divide="ignore", invalid="ignore")
def _enter(solid, origin, rays):
    """t [...] at which rays [3, ...] from outside enter the solid; inf where they miss it."""
    o, d = _local(solid, origin - np.array(solid.centre, np.float32)), _local(solid, rays)
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


def _seen(scene, solid, n, margin=0.0):
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
    """One ray through each pixel centre of an n x n picture: (t, owner, rays).

    t: z-depth [n, n] in metres; owner: whole numbers [n, n], a face (LEFT.. FAR, 6 more behind the doorway) or
    FIRST_SOLID + the solid's index; rays: directions [3, n, n] along the world's axes.
    """
    side = ((np.arange(n) + 0.5) * 2 / n - 1) * scene.view
    right, up = np.meshgrid(side, -side)
    rays = np.einsum("kc,kij->cij", scene.axes, np.stack([right, up, np.ones_like(up)])).astype(np.float32)
    rays[rays == 0] = 1e-9  # so that a ray along an axis divides by no zero
    (width, height, length), (x0, x1) = scene.extent, scene.doorway
    t, owner = _leave((0, 0, 0), scene.extent, scene.position, rays)
    x, y = (scene.position[k] + t * rays[k] for k in (0, 1))
    through = (owner == FAR) & (x > x0) & (x < x1) & (y < DOOR)
    if through.any():
        jamb, face = _leave((x0, 0, 0), (x1, DOOR, length + JAMB), scene.position, rays)
        room, beyond = _leave((-1, 0, 0), (width + 1, height, length + 4), scene.position, rays)
        t = np.where(through, np.where(face == FAR, room, jamb), t)
        owner = np.where(through, 6 + np.where(face == FAR, beyond, face), owner)
    for k, solid in enumerate(scene.solids):
        at = _seen(scene, solid, n)
        entry = _enter(solid, scene.position, rays[:, *at])
        owner[at] = np.where(entry < t[at], FIRST_SOLID + k, owner[at])
        t[at] = np.minimum(entry, t[at])
    return t, owner, rays


def _face_albedo(scene, face, p):
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


def _solid_albedo(solid, p):
    """Linear colour [n, 3] at points p [3, n], in the unit solid's axes, of its surface."""
    (x, y, z), axis = p * np.array(solid.half, np.float32)[:, None], np.abs(p).argmax(0)
    if solid.paint.pattern != "picture":
        u = np.where(axis == 0, z, x) if solid.kind == "box" else np.arctan2(x, z) * solid.half[0]
        return albedo(solid.paint, u + solid.half[0], np.where(axis == 1, z, y) + solid.half[1])
    row, column = (np.clip(32 + 35 * k, 0, 63).astype(int) for k in (-p[1], p[0]))
    edge = np.minimum(solid.half[0] - abs(x), solid.half[1] - abs(y))
    frame = linear(solid.paint.second) * (0.75 + 8 * edge)[:, None]
    return np.where((edge < 0.05)[:, None] | (axis != 2)[:, None], frame, linear(solid.paint.image)[row, column])


def _illuminate(scene, points, normal):
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
        colour[at] = _face_albedo(scene, face, points[:, at])
        normal[face % 6 // 2][at] = 1 - 2 * (face % 2)
    for k, solid in enumerate(scene.solids):
        shining, half = solid.paint.pattern == "glow", solid.half
        near = _seen(scene, solid, n, 0.0 if shining else 0.3)
        at = owner[near] == FIRST_SOLID + k
        p = _local(solid, points[:, *near] - np.array(solid.centre, np.float32)[:, None, None])
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
            colour[near][at] = _solid_albedo(solid, p)
            glow[near] |= at & shining
    return colour * np.where(glow, 2.5, _illuminate(scene, points, normal) * occlusion)[..., None]
