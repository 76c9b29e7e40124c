"""Which examples a figure shows. `training/test_loop.py` tests the evaluation itself."""

from modest.evaluation.evaluate import spread


def test_pictures_are_spread_over_a_split():
    assert spread(3, 10) == [0, 3, 6]
    assert spread(3, 3) == [0, 1, 2]
    assert spread(5, 2) == [0, 1]
    assert spread(2, 0) == []
