"""Rooms: depth obeys the camera's equation, pictures are reproducible and differ from room to room."""

import numpy as np
import pytest

from modest.data import raycast, rooms, textures


def _up(scene, n):
    """The upward component [n, n] of each pixel's ray, worked out from the camera alone."""
    centre = (np.arange(n) + 0.5) / n * 2 - 1
    right, down = np.meshgrid(centre * scene.view, centre * scene.view)
    return scene.axes[0, 1] * right - scene.axes[1, 1] * down + scene.axes[2, 1]


@pytest.mark.parametrize("seed", [0, 3, 8])
def test_depth_of_the_floor_and_the_ceiling_follows_the_camera_equation(seed):
    scene = rooms.layout(seed)
    t, owner, _ = raycast.trace(scene, 96)
    depth, up = rooms.render(seed, 96).depth, _up(scene, 96)
    np.testing.assert_array_equal(depth, t.astype(np.float32))
    floor, ceiling = owner == raycast.FLOOR, owner == raycast.CEILING
    assert floor.sum() > 100
    np.testing.assert_allclose(depth[floor], scene.position[1] / -up[floor], rtol=1e-4)
    np.testing.assert_allclose(depth[ceiling], (scene.extent[1] - scene.position[1]) / up[ceiling], rtol=1e-4)


def test_depth_of_the_far_wall_seen_straight_on_is_one_number():
    scene = rooms.layout(0)._replace(axes=np.eye(3), solids=[], doorway=(0.0, 0.0))
    t, owner, _ = raycast.trace(scene, 32)
    expected = scene.extent[2] - scene.position[2]
    np.testing.assert_allclose(t[owner == raycast.FAR], expected, rtol=1e-6)


def test_depth_of_a_sphere_and_of_a_turned_box():
    scene = rooms.layout(0)._replace(axes=np.eye(3), position=np.array([2, 1.5, 0.6], np.float32), extent=(4, 3, 9))
    paint = textures.Paint("plain", (200, 200, 200))
    ball = raycast.Solid("ellipsoid", (2, 1.5, 4.6), (0.5, 0.5, 0.5), 0.0, paint)
    box = raycast.Solid("box", (2, 1.5, 4.6), (0.5, 0.5, 0.5), np.pi / 4, paint)
    for solid, nearest in ((ball, 3.5), (box, 4 - 0.5 * np.sqrt(2))):
        t, owner, _ = raycast.trace(scene._replace(solids=[solid]), 65)  # odd: one ray runs along the axis
        assert owner[32, 32] == raycast.FIRST_SOLID
        assert t[32, 32] == pytest.approx(nearest, rel=1e-3)


def test_the_focal_length_belongs_to_the_field_of_view():
    room, scene = rooms.render(5, 64), rooms.layout(5)
    assert 52 <= np.degrees(2 * np.arctan(32 / room.focal)) <= 68
    assert room.focal == pytest.approx(32 / scene.view)


def test_rooms_are_reproducible_and_differ():
    first, again, other = rooms.render(7, 64), rooms.render(7, 64), rooms.render(8, 64)
    np.testing.assert_array_equal(first.picture, again.picture)
    np.testing.assert_array_equal(first.depth, again.depth)
    assert np.abs(first.picture.astype(int) - other.picture).mean() > 10


def test_many_rooms_are_in_range():
    for seed in range(40):
        picture, depth, _ = rooms.render(seed, 48)
        assert picture.dtype == np.uint8 and picture.shape == (48, 48, 3)
        assert depth.dtype == np.float32 and depth.shape == (48, 48)
        assert np.isfinite(depth).all() and 1.0 < depth.min() and depth.max() < 15
        assert np.mean((depth > 1.5) & (depth < 10)) > 0.9
        assert 40 < picture.mean() < 215 and picture.std() > 15


def test_nothing_stands_near_the_camera_or_outside_the_room():
    for seed in range(60):
        scene = rooms.layout(seed)
        width, _, length = scene.extent
        for solid in scene.solids:
            x, y, z = solid.centre
            if y - solid.half[1] < 0.01:  # it stands on the floor
                assert np.hypot(x - scene.position[0], z - scene.position[2]) > 1.2
                assert -0.01 <= x <= width + 0.01 and -0.01 <= z <= length + 0.01
