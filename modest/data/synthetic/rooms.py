"""Museum rooms: their layout, and their picture and depth.

`render(seed, size)` draws the room of a seed; the same seed gives the same bytes. Axes are the
world axes of `raycast`; all lengths are metres. Sizes follow real museums (doors 2.1 m, benches
0.45 m, plinths 1 m, pictures hung at 1.5 m), so that depth can be learnt from what is visible.
`furnishing` fills the room.
"""

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from modest.data.synthetic import furnishing
from modest.data.synthetic.raycast import Light, Scene, Solid, shade, trace
from modest.data.synthetic.textures import CLOTHS, STONES, WALLS, WHITE, WOODS, Paint

BEHIND = 0.6  # metres from the camera to the wall behind it
FLOORS: Sequence[tuple[str, Sequence, float]] = [  # pattern, colours, scale
    ("planks", WOODS, 0.12),
    ("planks", WOODS, 0.2),
    ("carpet", CLOTHS, 1),
    ("tiles", STONES, 0.5),
    ("checker", STONES, 0.4),
    ("marble", STONES, 1),
]


class Room(NamedTuple):
    """One view of a room."""

    picture: np.ndarray  # uint8 [size, size, 3]
    depth: np.ndarray  # float32 [size, size], metres along the optical axis, exact at pixel centres
    focal: float  # pixels


def render(seed: int, size: int = 224) -> Room:
    """Draw the room of a seed.

    Args:
      seed: decides the layout.
      size: height and width of the picture in pixels.

    Returns:
      The picture, the mean of 2 x 2 samples per pixel; the exact z-depth at pixel centres; and the
      focal length.
    """
    return photograph(layout(seed), size)


def photograph(scene: Scene, size: int) -> Room:
    """Draw a scene.

    Args:
      scene: the room, with its camera.
      size: height and width of the picture in pixels.

    Returns:
      What `render` returns.
    """
    light = shade(scene, 2 * size).reshape(size, 2, size, 2, 3).mean((1, 3))
    depth = trace(scene, size)[0]
    light *= 0.4 / (light.mean() + 0.06)
    tone_mapped = np.clip(light * (1 + light / 4) / (1 + light), 0, 1) ** (1 / 2.2)
    picture = (255 * tone_mapped + 0.5).astype(np.uint8)
    return Room(picture, depth.astype(np.float32), float(size / 2 / scene.tan_half_fov))


def layout(seed: int) -> Scene:
    """Return the scene of a seed: a room, its paints, furniture, pictures, lights and camera."""
    rng = np.random.default_rng(seed)
    extent = rng.uniform(3.8, 7), rng.uniform(2.6, 3.6), BEHIND + rng.uniform(3.2, 5.6)
    position, axes, tan_half_fov = _camera(rng, extent[0])
    paints = _paints(rng)
    solids, doorway, window = furnishing.on_the_walls(rng, extent, paints["trim"])
    solids += furnishing.on_the_floor(rng, extent, position)
    lights = _lights(rng, extent)
    lamp = Paint("glow", (255, 250, 238), (255, 250, 238))
    # The first light is the general light of the room, without a lamp.
    solids += [Solid("cylinder", x.position, (0.07, 0.1, 0.07), 0.0, lamp) for x in lights[1:]]
    if rng.random() < 0.4:
        solids.append(_skylight(extent))
    return Scene(extent, position, axes, tan_half_fov, paints, solids, lights, doorway, window)


def _camera(rng, width):
    """Draw the camera: position `[3]`, axes `[3,3]`, and tangent of half the field of view."""
    x = float(np.clip(rng.uniform(0.25, 0.75) * width, 1.6, width - 1.6))
    # It turns towards the farther side wall.
    yaw = np.radians(rng.uniform(-6, 18)) * (1 if x < width / 2 else -1)
    pitch = np.radians(rng.uniform(-7, 1))
    tan_half_fov = np.tan(np.radians(rng.uniform(56, 64)) / 2)
    c, s, cp, sp = np.cos(yaw), np.sin(yaw), np.cos(pitch), np.sin(pitch)
    axes = np.array([[c, 0, -s], [-s * sp, cp, -c * sp], [s * cp, sp, c * cp]])
    position = np.array([x, rng.uniform(1.45, 1.6), BEHIND], np.float32)
    return position, axes, tan_half_fov


def _paints(rng) -> dict[str, Any]:
    """Draw the paints of the room's faces, see `Scene.paints`."""

    def pick(choices):
        return choices[rng.integers(len(choices))]

    pattern, colours, scale = pick(FLOORS)
    wall = Paint(pick(["plain", "plain", "stripes", "damask"]), pick(WALLS), scale=0.3)
    return {
        "floor": Paint(pattern, pick(colours), pick(colours), scale),
        "wall": wall,
        "ceiling": Paint(pick(["plain", "plain", "grid"]), WHITE, (200, 198, 192), 1.2),
        "far": Paint("plain", pick(WALLS)) if rng.random() < 0.3 else wall,
        "dado": Paint("panels", pick([WHITE, *WOODS]), scale=0.9) if rng.random() < 0.35 else None,
        "trim": Paint("plain", pick([WHITE, WHITE, *WOODS])),
    }


def _lights(rng, extent) -> list[Light]:
    """Return a light for the whole room, and rows of spotlights along the far and side walls."""
    width, height, length = extent
    middle = length * 0.45
    lights = [Light((width / 2, height - 0.3, middle), (width / 2, 0, middle), 5.0)]
    for x in np.linspace(1.2, width - 1.2, rng.integers(2, 4)).tolist():
        spot = (x, height - 0.1, length - 1.4)
        lights.append(Light(spot, (x, 1.3, length), rng.uniform(2, 5)))
    for z in np.linspace(1.6, length - 1.6, 3 if length > 6 else 2).tolist():
        left, right = (1.3, height - 0.1, z), (width - 1.3, height - 0.1, z)
        lights.append(Light(left, (0, 1.2, z), rng.uniform(2, 5)))
        lights.append(Light(right, (width, 1.2, z), rng.uniform(2, 5)))
    return lights


def _skylight(extent):
    width, height, length = extent
    panes = Paint("glow", (255, 255, 255), (170, 172, 174), 0.8)
    centre, half = (width / 2, height, length / 2), (width / 5, 0.03, length / 4)
    return Solid("box", centre, half, 0.0, panes)
