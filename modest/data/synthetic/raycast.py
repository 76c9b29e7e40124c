"""A ray caster: picture and depth of a room made of planes, boxes, cylinders and ellipsoids.

`shade` returns the picture of a `Scene` as linear light, `trace` its z-depth. In world axes x
points to the right, y up (0 is the floor), and z towards the far wall. All lengths are metres. A
ray is origin + t * direction. The component of the direction along the optical axis is 1, so that t
is the z-depth. Nothing is random here.

A solid is intersected and coloured in axes of its own: the origin is its centre, the axes turn with
it, and each axis is scaled so that the solid reaches from -1 to 1. In these axes a box is a cube.
"""

from typing import Any, NamedTuple

import numpy as np

from modest.data.synthetic.textures import GLOWING, Paint, albedo, linear

# The owner of a pixel is what it shows: a face of the room (one of the numbers below), a face of
# the room behind the doorway (that number + 6), or a solid (FIRST_SOLID + its index).
LEFT, RIGHT, FLOOR, CEILING, NEAR, FAR = range(6)
FIRST_SOLID = 12
DOOR, JAMB = 2.1, 0.25  # metres: height of a door, thickness of the far wall

# Axes along which a solid is bounded by two planes, and axes along which it is round.
_AXES = {
    "box": ((0, 1, 2), ()),
    "cylinder": ((1,), (0, 2)),
    "ellipsoid": ((), (0, 1, 2)),
}
# Raising the coordinates of a surface point, in the axes of its solid, to these powers gives the
# normal there. A high power leaves only the component of the nearest face. So sides are flat, and
# edges slightly rounded.
_NORMAL_POWERS = {"box": (31, 31, 31), "cylinder": (1, 31, 1), "ellipsoid": (1, 1, 1)}

Point = tuple[float, float, float]
Slices = tuple[slice, slice]


class Solid(NamedTuple):
    """An object in the room; lengths in metres."""

    kind: str  # "box", "cylinder" (upright) or "ellipsoid"
    centre: Point
    half: Point  # half extents along the solid's own axes
    angle: float  # radians about y
    paint: Paint


class Light(NamedTuple):
    """A spotlight."""

    position: Point
    target: Point
    strength: float


class Window(NamedTuple):
    """A window in a side wall; lengths in metres."""

    x: float  # x of the wall that it is in
    y: float  # y of its centre
    z: float  # z of its centre
    half_height: float
    half_width: float
    sun: np.ndarray  # [3], direction to the sun


class Scene(NamedTuple):
    """A room and the camera in it; lengths in metres."""

    extent: Point  # width, height, length
    position: np.ndarray  # [3], the camera
    axes: np.ndarray  # [3, 3], rows: the camera's right, up and forward
    tan_half_fov: float  # tangent of half the field of view
    # Keys "floor", "ceiling", "wall", "far", "dado" (None: no wainscot) and "trim".
    paints: dict[str, Any]
    solids: list[Solid]
    lights: list[Light]
    doorway: tuple[float, float]  # x range of the opening in the far wall; (0, 0) if there is none
    window: Window | None
    sun: np.ndarray | None = None  # [3], direction to the sun, if the place is in the open


def trace(scene: Scene, n: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Cast one ray through the centre of each pixel of an n x n picture.

    Returns:
      z-depth in metres, `[n,n]`; the owner of each pixel (see LEFT), integers `[n,n]`; and the
      directions of the rays in world axes, `[3,n,n]`.
    """
    side = ((np.arange(n) + 0.5) * 2 / n - 1) * scene.tan_half_fov
    right, up = np.meshgrid(side, -side)
    camera_rays = np.stack([right, up, np.ones_like(up)])
    rays = np.einsum("kc,kij->cij", scene.axes, camera_rays).astype(np.float32)
    rays[rays == 0] = 1e-9  # a ray along an axis must not divide by zero
    (width, height, length), (x0, x1) = scene.extent, scene.doorway
    t, owner = _exit_box((0, 0, 0), scene.extent, scene.position, rays)
    x, y = (scene.position[k] + t * rays[k] for k in (0, 1))
    through = (owner == FAR) & (x > x0) & (x < x1) & (y < DOOR)
    if through.any():
        jamb, face = _exit_box((x0, 0, 0), (x1, DOOR, length + JAMB), scene.position, rays)
        next_room = (-1, 0, 0), (width + 1, height, length + 4)
        beyond, beyond_face = _exit_box(*next_room, scene.position, rays)
        t = np.where(through, np.where(face == FAR, beyond, jamb), t)
        owner = np.where(through, 6 + np.where(face == FAR, beyond_face, face), owner)
    for k, solid in enumerate(scene.solids):
        at = _bounds(scene, solid, n)
        entry = _enter_solid(solid, scene.position, rays[:, *at])
        owner[at] = np.where(entry < t[at], FIRST_SOLID + k, owner[at])
        t[at] = np.minimum(entry, t[at])
    return t, owner, rays


def shade(scene: Scene, n: int) -> np.ndarray:
    """Return an n x n picture as linear light, `[n,n,3]`."""
    t, owner, rays = trace(scene, n)
    points = scene.position[:, None, None] + t * rays
    colour, normal = np.zeros((n, n, 3), np.float32), np.zeros((3, n, n), np.float32)
    occlusion, glow = np.ones((n, n), np.float32), np.zeros((n, n), bool)
    for face in np.unique(owner[owner < FIRST_SOLID]):
        at = owner == face
        colour[at] = _face_albedo(scene, face, points[:, at])
        normal[face % 6 // 2][at] = 1 - 2 * (face % 2)
    for k, solid in enumerate(scene.solids):
        glows = solid.paint.pattern in GLOWING
        around = _bounds(scene, solid, n, 0.0 if glows else 0.3)
        at = owner[around] == FIRST_SOLID + k
        centre = np.array(solid.centre, np.float32)[:, None, None]
        local = _to_unit_solid(solid, points[:, *around] - centre)
        if not glows:
            occlusion[around] *= np.where(at, 1, _contact_shadow(solid, local))
        surface = np.stack([component[at] for component in local])
        if surface.size:
            normal[:, *around][:, at] = _solid_normal(solid, surface)
            colour[around][at] = _solid_albedo(solid, surface)
            glow[around] |= at & glows
    light = np.where(glow, 2.5, _illuminate(scene, points, normal) * occlusion)
    return colour * light[..., None]


def _exit_box(low, high, origin, rays):
    """Return where rays leave a box that they start in or pass through.

    Args:
      low, high: opposite corners of the box.
      origin: start of the rays.
      rays: their directions, `[3,n,n]`.

    Returns:
      t and the number of the face, `[n,n]` each.
    """
    exits = [
        (np.where(rays[k] > 0, np.float32(high[k]), np.float32(low[k])) - origin[k]) / rays[k]
        for k in range(3)
    ]
    t = np.minimum(np.minimum(exits[0], exits[1]), exits[2])
    axis = np.where(t == exits[0], 0, np.where(t == exits[1], 1, 2))
    upper = np.take_along_axis(rays, axis[None], 0)[0] > 0
    return t, (2 * axis + upper).astype(np.int16)


def _to_unit_solid(solid, vectors):
    """Convert vectors `[3,...]` from world axes to the axes of a solid; see the module."""
    c, s = float(np.cos(solid.angle)), float(np.sin(solid.angle))
    (x, y, z), (hx, hy, hz) = vectors, solid.half
    return (c / hx * x + s / hx * z), y / hy, (c / hz * z - s / hz * x)


@np.errstate(divide="ignore", invalid="ignore")
def _enter_solid(solid, origin, rays):
    """Return t where rays from outside enter a solid, and inf for rays that miss it.

    The origin and the rays have shapes `[3,...]` that broadcast, and t has the shape `[...]`.
    """
    centre = np.array(solid.centre, np.float32)
    o = _to_unit_solid(solid, origin - centre.reshape(3, *[1] * (np.ndim(origin) - 1)))
    d = _to_unit_solid(solid, rays)
    first, last = np.float32(0), np.float32(np.inf)
    flat_axes, round_axes = _AXES[solid.kind]
    for k in flat_axes:
        middle, reach = -o[k] / d[k], np.abs(1 / d[k])
        first, last = np.maximum(first, middle - reach), np.minimum(last, middle + reach)
    if round_axes:  # solve |o + t d| = 1 over these axes
        a, b, c = (sum(p[k] * q[k] for k in round_axes) for p, q in ((d, d), (o, d), (o, o)))
        root = np.sqrt(b * b - a * (c - 1))  # NaN for rays that miss; comparisons with it are False
        first, last = np.maximum(first, (-b - root) / a), np.minimum(last, (-b + root) / a)
    return np.where((first < last) & (first > 0), first, np.float32(np.inf))


def _bounds(scene, solid, n, margin=0.0) -> Slices:
    """Return the slices of an n x n picture that contain a solid enlarged by `margin` metres."""
    half = np.array(solid.half) + margin
    corners = np.array(np.meshgrid(*[(-1, 1)] * 3)).reshape(3, 8) * half[:, None]
    c, s = np.cos(solid.angle), np.sin(solid.angle)
    rotated = [c * corners[0] - s * corners[2], corners[1], s * corners[0] + c * corners[2]]
    world = np.stack(rotated).T + solid.centre
    right, up, forward = scene.axes @ (world - scene.position).T
    if forward.max() < 0.01:  # behind the camera
        return slice(0), slice(0)
    if forward.min() < 0.3:  # too near to project
        return slice(0, n), slice(0, n)
    columns, rows = (
        n / 2 * (1 + sign * side / forward / scene.tan_half_fov)
        for sign, side in ((1, right), (-1, up))
    )
    row_slice, column_slice = (
        slice(*np.clip([k.min() - 1, k.max() + 2], 0, n).astype(int)) for k in (rows, columns)
    )
    return row_slice, column_slice


def _face_albedo(scene, face, points):
    """Return the linear colour of points on a face of the room, or of the room behind it.

    The points have the shape `[3,n]`, and the colour has the shape `[n,3]`.
    """
    (x, y, z), paints = points, scene.paints
    if face % 6 in (FLOOR, CEILING):
        return albedo(paints["floor" if face % 6 == FLOOR else "ceiling"], x, z)
    u = x if face % 6 in (NEAR, FAR) else z
    colour = albedo(paints["far" if face == FAR else "wall"], u, y)
    trim = (y < 0.12) | (y > scene.extent[1] - 0.1)
    if paints["dado"]:
        colour = np.where(y[:, None] < 0.9, albedo(paints["dado"], u, y), colour)
        trim = trim | (abs(y - 0.92) < 0.03)
    x0, x1 = scene.doorway
    trim |= (x0 < x1) & (x > x0 - 0.1) & (x < x1 + 0.1) & (y < DOOR + 0.1) & (face == FAR)  # casing
    trim |= (face > FAR) & (z < scene.extent[2] + JAMB - 1e-3)
    return np.where(trim[:, None], albedo(paints["trim"], u, y), colour)


def _solid_albedo(solid, p):
    """Return the linear colour of points on the surface of a solid.

    The points `p`, `[3,n]`, are in the axes of the solid. The colour has the shape `[n,3]`.
    """
    x, y, z = p * np.array(solid.half, np.float32)[:, None]
    axis = np.abs(p).argmax(0)
    if solid.paint.pattern != "picture":
        if solid.kind == "box":
            u = np.where(axis == 0, z, x)
        else:
            u = np.arctan2(x, z) * solid.half[0]
        return albedo(solid.paint, u + solid.half[0], np.where(axis == 1, z, y) + solid.half[1])
    row, column = (np.clip(32 + 35 * k, 0, 63).astype(int) for k in (-p[1], p[0]))
    edge = np.minimum(solid.half[0] - abs(x), solid.half[1] - abs(y))
    frame = linear(solid.paint.second) * (0.75 + 8 * edge)[:, None]
    on_frame = (edge < 0.05)[:, None] | (axis != 2)[:, None]
    return np.where(on_frame, frame, linear(solid.paint.image)[row, column])


def _solid_normal(solid, p):
    """Return the normals at points on the surface of a solid.

    The points `p`, `[3,n]`, are in the axes of the solid. The normals, `[3,n]`, are in world axes
    and have length 1.
    """
    powers = _NORMAL_POWERS[solid.kind]
    x, y, z = (p[i] ** powers[i] / solid.half[i] for i in range(3))
    c, s = float(np.cos(solid.angle)), float(np.sin(solid.angle))
    outward = np.stack([c * x - s * z, y, s * x + c * z])
    return outward / np.linalg.norm(outward, axis=0)


def _contact_shadow(solid, p):
    """Return by which factor a solid darkens points close to it.

    The points `p`, `[3,...]`, are in the axes of the solid. The factor has the shape `[...]`.
    """
    square = sum((np.maximum(np.abs(p[i]) - 1, 0) * solid.half[i]) ** 2 for i in range(3))
    return 1 - 0.5 * np.exp(-9 * np.sqrt(square))


def _illuminate(scene, points, normal):
    """Return the light that falls on points: ambient light, lamps and sun.

    Points and normals have the shape `[3,n,n]`, and the light has the shape `[n,n]`.
    """
    light = 0.35 + 0.08 * normal[1]
    for lamp in scene.lights:
        light += _lamp_light(lamp, points, normal)
    for k, size in enumerate(scene.extent):  # corners are darker
        distance = np.minimum(np.abs(points[k]), np.abs(size - points[k]))
        light *= 1 - 0.4 * (1 - np.abs(normal[k])) * np.exp(-3 * distance)
    if scene.window:
        light += _sunlight(scene.window, points, normal)
    if scene.sun is not None:
        light += _open_sunlight(scene, points, normal)
    return light


def _lamp_light(lamp, points, normal):
    """Return the light of one spotlight, `[n,n]`; see `_illuminate`."""
    x, y, z = (np.float32(lamp.position[k]) - points[k] for k in range(3))
    beam = np.subtract(lamp.position, lamp.target)
    a, b, c = (float(k) for k in beam / np.linalg.norm(beam))
    square = x * x + y * y + z * z
    distance = np.sqrt(square)
    spot = np.clip((a * x + b * y + c * z) / distance * 2.5 - 1.5, 0.12, 1)
    facing = np.maximum(x * normal[0] + y * normal[1] + z * normal[2], 0)
    return lamp.strength * spot * facing / (square * distance + 0.6)


def _sunlight(window, points, normal):
    """Return the light of the sun, `[n,n]`; see `_illuminate`.

    The sun reaches the points from which the ray to the sun passes through the window.
    """
    sun = window.sun
    s = (window.x - points[0]) / sun[0]
    y = np.abs(points[1] + s * sun[1] - window.y)
    z = np.abs(points[2] + s * sun[2] - window.z)
    inside = (y < window.half_height) & (z < window.half_width)
    inside = inside & (s > 0.05) & (y > 0.02) & (z > 0.02)  # the window's bars cast shadows
    return 2.2 * inside * np.maximum(np.tensordot(sun, normal, 1), 0)


def _open_sunlight(scene, points, normal):
    """Return the light of the sun in the open, `[n,n]`; solids cast hard shadows."""
    facing = np.maximum(np.tensordot(scene.sun, normal, 1), 0)
    lit = facing > 0
    ray = np.asarray(scene.sun, np.float32)[:, None]
    origin = (points + 0.02 * normal)[:, lit]
    free = np.ones(origin.shape[1], bool)
    for solid in scene.solids:
        if solid.paint.pattern not in GLOWING:
            free &= ~np.isfinite(_enter_solid(solid, origin, ray))
    facing[lit] *= free
    return 1.6 * facing
