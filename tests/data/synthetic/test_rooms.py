"""Rooms: depth obeys the camera's equation; pictures are reproducible and distinct."""

import numpy as np
import pytest

from modest.data.synthetic import raycast, rooms, textures


def _upward_component(scene, n):
    """Return the upward component of each pixel's ray, `[n,n]`, computed from the camera alone."""
    centre = (np.arange(n) + 0.5) / n * 2 - 1
    right, down = np.meshgrid(centre * scene.tan_half_fov, centre * scene.tan_half_fov)
    return scene.axes[0, 1] * right - scene.axes[1, 1] * down + scene.axes[2, 1]


@pytest.mark.parametrize("seed", [0, 3, 8])
def test_depth_of_floor_and_ceiling_follows_camera_equation(seed):
    scene = rooms.layout(seed)
    t, owner, _ = raycast.trace(scene, 96)
    depth, up = rooms.render(seed, 96).depth, _upward_component(scene, 96)
    np.testing.assert_array_equal(depth, t.astype(np.float32))
    floor, ceiling = owner == raycast.FLOOR, owner == raycast.CEILING
    assert floor.sum() > 100
    below, above = scene.position[1], scene.extent[1] - scene.position[1]
    np.testing.assert_allclose(depth[floor], below / -up[floor], rtol=1e-4)
    np.testing.assert_allclose(depth[ceiling], above / up[ceiling], rtol=1e-4)


def test_far_wall_seen_straight_on_has_constant_depth():
    scene = rooms.layout(0)._replace(axes=np.eye(3), solids=[], doorway=(0.0, 0.0))
    t, owner, _ = raycast.trace(scene, 32)
    expected = scene.extent[2] - scene.position[2]
    np.testing.assert_allclose(t[owner == raycast.FAR], expected, rtol=1e-6)


def test_depth_of_sphere_and_rotated_box():
    position = np.array([2, 1.5, 0.6], np.float32)
    scene = rooms.layout(0)._replace(axes=np.eye(3), position=position, extent=(4, 3, 9))
    paint = textures.Paint("plain", (200, 200, 200))
    ball = raycast.Solid("ellipsoid", (2, 1.5, 4.6), (0.5, 0.5, 0.5), 0.0, paint)
    box = raycast.Solid("box", (2, 1.5, 4.6), (0.5, 0.5, 0.5), np.pi / 4, paint)
    for solid, nearest in ((ball, 3.5), (box, 4 - 0.5 * np.sqrt(2))):
        # An odd size, so that one ray runs along the optical axis.
        t, owner, _ = raycast.trace(scene._replace(solids=[solid]), 65)
        assert owner[32, 32] == raycast.FIRST_SOLID
        assert t[32, 32] == pytest.approx(nearest, rel=1e-3)


def test_focal_length_matches_field_of_view():
    room, scene = rooms.render(5, 64), rooms.layout(5)
    assert 52 <= np.degrees(2 * np.arctan(32 / room.focal)) <= 68
    assert room.focal == pytest.approx(32 / scene.tan_half_fov)


def test_rooms_are_reproducible_and_distinct():
    first, again, other = rooms.render(7, 64), rooms.render(7, 64), rooms.render(8, 64)
    np.testing.assert_array_equal(first.picture, again.picture)
    np.testing.assert_array_equal(first.depth, again.depth)
    assert np.abs(first.picture.astype(int) - other.picture).mean() > 10


def test_pictures_and_depths_are_in_range():
    for seed in range(40):
        picture, depth, _ = rooms.render(seed, 48)
        assert picture.dtype == np.uint8 and picture.shape == (48, 48, 3)
        assert depth.dtype == np.float32 and depth.shape == (48, 48)
        assert np.isfinite(depth).all() and 1.0 < depth.min() and depth.max() < 15
        assert np.mean((depth > 1.5) & (depth < 10)) > 0.9
        assert 40 < picture.mean() < 215 and picture.std() > 15


def test_furniture_is_inside_the_room_and_away_from_the_camera():
    for seed in range(60):
        scene = rooms.layout(seed)
        width, _, length = scene.extent
        for solid in scene.solids:
            x, y, z = solid.centre
            if y - solid.half[1] < 0.01:  # it stands on the floor
                assert np.hypot(x - scene.position[0], z - scene.position[2]) > 1.2
                assert -0.01 <= x <= width + 0.01 and -0.01 <= z <= length + 0.01
