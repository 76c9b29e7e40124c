"""Checkpoints: what is kept, what is best, and what is refused."""

import math

import numpy as np
import pytest

from modest.checkpoint import Checkpoints
from modest.vocabulary import InputError


def state(value, size=3):
    return {"params": {"kernel": np.full((size, 2), value, np.float32)}, "step": np.asarray(value, np.int32)}


def test_newest_and_best_are_kept_and_come_back_to_the_bit(tmp_path):
    with Checkpoints(tmp_path / "c", keep=2) as checkpoints:
        for step, score in ((1, 0.3), (2, 0.9), (3, 0.5), (4, math.nan), (5, 0.4)):
            checkpoints.save(step, state(step / 7), {"step": step}, score)
        checkpoints.wait()
    with Checkpoints(tmp_path / "c", keep=2) as checkpoints:
        assert checkpoints.steps() == [2, 4, 5]
        assert (checkpoints.latest(), checkpoints.best()) == (5, 2)
        restored, meta = checkpoints.restore(2, state(0))
    assert meta == {"step": 2}
    np.testing.assert_array_equal(restored["params"]["kernel"], state(2 / 7)["params"]["kernel"])


def test_what_is_not_a_number_is_never_best(tmp_path):
    with Checkpoints(tmp_path / "c", keep=5) as checkpoints:
        for step, score in ((1, math.nan), (2, -5.0), (3, math.inf), (4, math.nan)):
            checkpoints.save(step, state(step), {}, score)
        assert checkpoints.best() == 2


def test_empty(tmp_path):
    with Checkpoints(tmp_path / "c") as checkpoints:
        assert checkpoints.latest() is None and checkpoints.best() is None and checkpoints.steps() == []


def test_another_models_checkpoint_is_refused_by_name(tmp_path):
    with Checkpoints(tmp_path / "c") as checkpoints:
        checkpoints.save(1, state(1), {})
        with pytest.raises(InputError, match=r"another model.*\(1 arrays differ\).*kernel.*float32\[3, 2\], not float32\[4, 2\]"):
            checkpoints.restore(1, state(1, size=4))
        with pytest.raises(InputError, match="absent"):
            checkpoints.restore(1, state(1) | {"more": np.zeros(1)})


def test_a_step_cannot_be_saved_twice(tmp_path):
    with Checkpoints(tmp_path / "c") as checkpoints:
        checkpoints.save(2, state(2), {})
        with pytest.raises(RuntimeError, match="step 1 was not saved"):
            checkpoints.save(1, state(1), {})
