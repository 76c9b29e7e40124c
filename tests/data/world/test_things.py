"""Things and surfaces: reproducible, of every kind, without a margin."""

import numpy as np
import pytest

from modest.data.world import surfaces, things


def test_same_seed_same_thing():
    first, second = things.draw(5, 60), things.draw(5, 60)
    np.testing.assert_array_equal(first.rgba, second.rgba)
    assert first[1:] == second[1:]
    assert not np.array_equal(first.rgba, things.draw(6, 60).rgba[: first.rgba.shape[0]])


def test_things_of_every_kind_are_cut_out_without_a_margin():
    kinds = set()
    for seed in range(60):
        thing = things.draw(seed, 48)
        kinds.add(thing.kind)
        alpha = thing.rgba[..., 3]
        least, most = things.KINDS[thing.kind][1]
        assert alpha.shape[0] == 48 and least <= thing.height_m <= most
        assert alpha[:, [0, -1]].any(axis=0).all(), (seed, thing.kind)
        assert (alpha > 200).sum() > 40, (seed, thing.kind)
    assert kinds == set(things.KINDS)


@pytest.mark.parametrize("seed", range(12))
def test_surface_gives_every_point_a_colour(seed):
    x, y = np.meshgrid(np.linspace(-0.6, 0.6, 9), np.linspace(0, 1.1, 7))
    colours = surfaces.draw(np.random.default_rng(seed))(x, y)
    assert colours.shape == (7, 9, 3)
    assert (colours >= 0).all() and (colours <= 255).all()
