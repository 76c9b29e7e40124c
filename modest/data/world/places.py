"""Places of the drawn world: rooms, halls, streets and parks, with what stands in them.

`render(seed, size)` draws the empty place of a seed; the same seed gives the same bytes. Axes are
the world axes of `synthetic.raycast`; all lengths are metres. A street or a park is a room without
a ceiling: its sky is a solid that glows, and the sun casts hard shadows.
"""

import numpy as np

from modest.data.synthetic import furnishing, rooms
from modest.data.synthetic.raycast import Light, Scene, Solid
from modest.data.synthetic.textures import Paint
from modest.data.world import surfaces

SHARES = {"room": 0.4, "hall": 0.25, "street": 0.2, "park": 0.15}


def render(seed: int, size: int = 224) -> rooms.Room:
    """Draw the place of a seed.

    Args:
      seed: decides the kind of place and its layout.
      size: height and width of the picture in pixels.

    Returns:
      What `rooms.render` returns.
    """
    return rooms.photograph(layout(seed), size)


def layout(seed: int) -> Scene:
    """Return the scene of a seed."""
    rng = np.random.default_rng(seed)
    kind = rng.choice(list(SHARES), p=list(SHARES.values()))
    if kind == "room":
        scene = rooms.layout(int(rng.integers(2**31)))
        return scene._replace(paints=_indoor_paints(rng)) if rng.random() < 0.7 else scene
    return {"hall": _hall, "street": _street, "park": _park}[kind](rng)


def _hall(rng):
    extent = rng.uniform(7, 20), rng.uniform(3, 7), rooms.BEHIND + rng.uniform(6, 20)
    paints = _indoor_paints(rng)
    camera = _camera(rng, extent[0], rng.uniform(1.2, 2.8))
    solids, doorway, window = furnishing.on_the_walls(rng, extent, paints["trim"])
    for _ in range(rng.integers(1, 4)):
        solids += furnishing.on_the_floor(rng, extent, camera[0])
    solids += _boxes(rng, extent, rng.integers(0, 8))
    lights = [
        Light((x, extent[1] - 0.2, z), (x, 0, z), rng.uniform(4, 12))
        for x, z in rng.uniform((1, 1), (extent[0] - 1, extent[2] - 1), (rng.integers(2, 6), 2))
    ]
    return Scene(extent, *camera, paints, solids, lights, doorway, window)


def _street(rng):
    extent = rng.uniform(12, 40), rng.uniform(9, 16), rng.uniform(25, 60)
    width, height, length = extent
    facade = Paint("windows", _rgb(rng), _rgb(rng), rng.uniform(1.5, 3.5))
    brick = Paint("bricks", _rgb(rng), _rgb(rng), rng.uniform(0.08, 0.4))
    paints = {
        "floor": Paint("rough", _grey(rng), _grey(rng), 10 ** rng.uniform(-0.5, 0.7)),
        "wall": facade if rng.random() < 0.7 else brick,
        "ceiling": facade,
        "far": Paint("windows", _rgb(rng), _rgb(rng), rng.uniform(1.5, 4)),
        "dado": None,
        "trim": Paint("plain", _grey(rng)),
    }
    solids = _sky(rng, extent, rng.uniform(0.35, 1.0))
    pavement = Paint("tiles", _grey(rng), _grey(rng), rng.uniform(0.3, 0.9))
    for x in (0, width):
        half = rng.uniform(1.5, 4)
        solids.append(Solid("box", (x, 0.06, length / 2), (half, 0.06, length / 2), 0.0, pavement))
    solids += _boxes(rng, extent, rng.integers(0, 8))
    solids += _trees(rng, extent, rng.integers(0, 5))
    camera = _camera(rng, width, rng.uniform(1.2, 4.5))
    return Scene(extent, *camera, paints, solids, [], (0.0, 0.0), None, _sun(rng))


def _park(rng):
    extent = rng.uniform(30, 70), rng.uniform(12, 20), rng.uniform(25, 60)
    leaves = Paint("rough", _leaf(rng), _leaf(rng), rng.uniform(0.5, 3))
    paints = {
        "floor": Paint("rough", _leaf(rng), _leaf(rng), 10 ** rng.uniform(-0.7, 0.5)),
        "wall": leaves,
        "ceiling": leaves,
        "far": leaves,
        "dado": None,
        "trim": leaves,
    }
    solids = _sky(rng, extent, rng.uniform(0.2, 0.8))
    path = Paint("rough", _grey(rng), _grey(rng), rng.uniform(0.2, 1))
    half = rng.uniform(0.6, 2.5), 0.02, extent[2]
    middle = extent[0] * rng.uniform(0.3, 0.7), 0.0, extent[2] / 2
    solids.append(Solid("box", middle, half, rng.uniform(-0.6, 0.6), path))
    solids += _trees(rng, extent, rng.integers(3, 14))
    solids += _boxes(rng, extent, rng.integers(0, 3))
    camera = _camera(rng, extent[0], rng.uniform(1.0, 3.0))
    return Scene(extent, *camera, paints, solids, [], (0.0, 0.0), None, _sun(rng))


def _camera(rng, width, height):
    """Draw the camera at a height: position `[3]`, axes `[3,3]`, tangent of half the view."""
    yaw = np.radians(rng.uniform(-20, 20))
    pitch = np.radians(rng.uniform(-6, 2) - 5 * max(height - 1.6, 0))
    c, s, cp, sp = np.cos(yaw), np.sin(yaw), np.cos(pitch), np.sin(pitch)
    axes = np.array([[c, 0, -s], [-s * sp, cp, -c * sp], [s * cp, sp, c * cp]])
    position = np.array([width * rng.uniform(0.3, 0.7), height, rooms.BEHIND], np.float32)
    return position, axes, np.tan(np.radians(rng.uniform(45, 75)) / 2)


def _indoor_paints(rng):
    """Draw the paints of a room's faces, see `Scene.paints`; more various than a museum's."""
    patterns = ["plain", "plain", "rough", "stripes", "damask", "bricks", "panels", "marble"]
    floors = ["planks", "tiles", "checker", "carpet", "rough", "marble"]
    scale = rng.uniform(0.1, 1.0)
    wall = Paint(rng.choice(patterns), _rgb(rng), _rgb(rng), scale)
    return {
        "floor": Paint(rng.choice(floors), _rgb(rng), _rgb(rng), rng.uniform(0.1, 1.2)),
        "wall": wall,
        "ceiling": Paint(rng.choice(["plain", "grid"]), (238, 236, 230), _grey(rng), 1.2),
        "far": wall if rng.random() < 0.6 else Paint("plain", _rgb(rng)),
        "dado": Paint("panels", _rgb(rng), scale=0.9) if rng.random() < 0.3 else None,
        "trim": Paint("plain", _rgb(rng)),
    }


def _sky(rng, extent, top):
    """Return solids that glow: the sky overhead, and before the far wall above `top` of it."""
    width, height, length = extent
    blue, white = (110, 150, 210), (225, 230, 235)
    clouds = Paint("clouds", blue, white, 10 ** rng.uniform(0.5, 1.5))
    low = height * top * 0.6
    return [
        Solid("box", (width / 2, height, length / 2), (width / 2, 0.1, length / 2), 0.0, clouds),
        Solid(
            "box",
            (width / 2, (height + low) / 2, length),
            (width / 2, (height - low) / 2, 0.2),
            0.0,
            clouds,
        ),
    ]


def _sun(rng):
    """Draw the direction to the sun, `[3]`, or None under an overcast sky."""
    if rng.random() < 0.3:
        return None
    elevation, azimuth = np.radians(rng.uniform(20, 70)), rng.uniform(0, 2 * np.pi)
    level = np.cos(elevation)
    sun = level * np.sin(azimuth), np.sin(elevation), level * np.cos(azimuth)
    return np.array(sun, np.float32)


def _boxes(rng, extent, count):
    """Return boxes on the floor: furniture, cars, walls, as large as 3 m."""
    solids = []
    for _ in range(count):
        half = rng.uniform((0.15, 0.2, 0.15), (1.5, 1.1, 1.5))
        x = rng.uniform(0.05, 0.95) * extent[0]
        z = rng.uniform(2.5 + half.max(), max(extent[2] * 0.8, 4 + half.max()))
        pattern = rng.choice(["plain", "rough", "stripes", "checker", "windows", "panels"])
        paint = Paint(pattern, _rgb(rng), _rgb(rng), rng.uniform(0.1, 1.0))
        centre = (x, float(half[1]), z)
        solids.append(Solid("box", centre, tuple(half.tolist()), rng.uniform(-0.8, 0.8), paint))
    return solids


def _trees(rng, extent, count):
    solids = []
    for _ in range(count):
        x = rng.uniform(0.05, 0.95) * extent[0]
        z = rng.uniform(4, extent[2] * 0.8)
        trunk, radius = rng.uniform(1.0, 3.5), rng.uniform(0.06, 0.25)
        bark = Paint("rough", (90, 70, 52), (54, 44, 36), 0.3)
        solids.append(Solid("cylinder", (x, trunk / 2, z), (radius, trunk / 2, radius), 0.0, bark))
        leaves = Paint("rough", _leaf(rng), _leaf(rng), rng.uniform(0.2, 1.0))
        for _ in range(rng.integers(1, 5)):
            half = rng.uniform(0.5, 1.8, 3)
            dx, dy, dz = rng.normal(0, 0.7, 3)
            centre = x + dx, trunk + half[1] * 0.7 + abs(dy), z + dz
            solids.append(Solid("ellipsoid", centre, tuple(half.tolist()), 0.0, leaves))
    return solids


def _rgb(rng):
    return tuple(int(k) for k in surfaces.colour(rng))


def _grey(rng):
    return tuple(int(k) for k in rng.uniform(60, 210) * np.array([1, 0.99, 0.96]))


def _leaf(rng):
    return tuple(int(k) for k in surfaces.leaf_colour(rng))
