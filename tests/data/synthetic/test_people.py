"""People: sizes, tight crops, reproducibility, and the share of the picture that a figure fills."""

import numpy as np
import pytest

from modest.data.synthetic import people


@pytest.mark.parametrize("height", [108, 340])
def test_figure_touches_all_four_borders(height):
    for seed in range(8):
        rgba = people.draw(seed, height).rgba
        assert rgba.dtype == np.uint8 and rgba.shape[0] == height and rgba.shape[2] == 4
        alpha = rgba[..., 3]
        assert alpha[0].any() and alpha[-1].any() and alpha[:, 0].any() and alpha[:, -1].any()
        assert alpha.max() == 255
        assert 0.15 < rgba.shape[1] / height < 0.85
        assert 0.3 < (alpha > 127).mean() < 0.9


def test_soft_edges_are_few():
    alpha = people.draw(3).rgba[..., 3]
    soft = (alpha > 0) & (alpha < 255)
    assert 0 < soft.mean() < 0.1


def test_heights_are_realistic():
    heights = [people.draw(seed, 60).height_m for seed in range(60)]
    assert 1.45 < min(heights) and max(heights) < 2.15
    assert np.std(heights) > 0.05


def test_person_does_not_depend_on_picture_size():
    large, small = people.draw(4, 340), people.draw(4, 170)
    assert large.height_m == pytest.approx(small.height_m, rel=0.02)
    assert large.rgba.shape[1] / 340 == pytest.approx(small.rgba.shape[1] / 170, abs=0.03)


def test_people_are_reproducible_and_distinct():
    first, again = people.draw(11, 120), people.draw(11, 120)
    np.testing.assert_array_equal(first.rgba, again.rgba)
    assert first.height_m == again.height_m
    assert len({people.draw(seed, 60).rgba.tobytes() for seed in range(20)}) == 20
