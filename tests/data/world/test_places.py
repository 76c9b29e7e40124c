"""Places: reproducible, of every kind; the sun casts hard shadows."""

import numpy as np

from modest.data.synthetic import raycast
from modest.data.synthetic.textures import Paint
from modest.data.world import places


def test_same_seed_same_place():
    first, second = places.render(3, 32), places.render(3, 32)
    np.testing.assert_array_equal(first.picture, second.picture)
    np.testing.assert_array_equal(first.depth, second.depth)
    assert not np.array_equal(first.picture, places.render(4, 32).picture)


def test_places_are_indoors_and_outdoors_and_have_positive_depth():
    scenes = [places.layout(seed) for seed in range(30)]
    outdoors = [any(s.paint.pattern == "clouds" for s in scene.solids) for scene in scenes]
    assert 5 < sum(outdoors) < 20
    assert any(scene.sun is not None for scene in scenes)
    for scene in scenes:
        depth = raycast.trace(scene, 16)[0]
        assert np.isfinite(depth).all() and (depth > 0.2).all()


def test_sun_casts_a_hard_shadow():
    grey = Paint("plain", (128, 128, 128))
    names = ("floor", "wall", "ceiling", "far", "trim")
    paints = dict.fromkeys(names, grey) | {"dado": None}
    box = raycast.Solid("box", (10, 1, 10), (1, 1, 1), 0.0, grey)
    sun = np.array([0.6, 0.8, 0.001], np.float32)
    scene = raycast.Scene(
        (20, 10, 20), np.zeros(3), np.eye(3), 1.0, paints, [box], [], (0, 0), None, sun
    )
    # Points on the floor beside the box: away from the sun, towards it, and far away.
    points = np.array([[8.0, 12.0, 2.0], [0, 0, 0], [10, 10, 10]])
    up = np.array([[0.0] * 3, [1.0] * 3, [0.0] * 3])
    light = raycast._illuminate(scene, points[..., None], up[..., None])[:, 0]
    assert light[1] > 2 * light[0]
    np.testing.assert_allclose(light[1], light[2], rtol=0.05)
