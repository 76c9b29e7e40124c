"""Checkpoints: which are kept, which is best, and how damage is detected."""

import math

import numpy as np
import pytest

from modest.errors import InputError, TrainingError
from modest.state.checkpoint import Checkpoints, DamagedError


def state(value, size=3):
    return {
        "params": {"kernel": np.full((size, 2), value, np.float32)},
        "step": np.asarray(value, np.int32),
    }


def test_newest_and_best_are_kept_and_restored_bit_identical(tmp_path):
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


def test_score_of_nan_is_never_best(tmp_path):
    with Checkpoints(tmp_path / "c", keep=5) as checkpoints:
        for step, score in ((1, math.nan), (2, -5.0), (3, math.inf), (4, math.nan)):
            checkpoints.save(step, state(step), {}, score)
        assert checkpoints.best() == 2


def test_empty_directory(tmp_path):
    with Checkpoints(tmp_path / "c") as checkpoints:
        assert (
            checkpoints.restore_newest(state(1)) is None
            and checkpoints.restore_best(state(1)) is None
        )
        assert (
            checkpoints.latest() is None
            and checkpoints.best() is None
            and checkpoints.steps() == []
        )


def test_checkpoint_of_another_model_is_refused(tmp_path):
    with Checkpoints(tmp_path / "c", keep=2) as checkpoints:
        checkpoints.save(1, state(1), {})
        message = (
            r"another model.*\(1 arrays differ\).*kernel.*float32\[3, 2\], not float32\[4, 2\]"
        )
        with pytest.raises(InputError, match=message):
            checkpoints.restore(1, state(1, size=4))
        with pytest.raises(InputError, match="absent"):
            checkpoints.restore(1, state(1) | {"more": np.zeros(1)})


def test_older_step_is_refused_and_the_newest_can_be_saved_again(tmp_path):
    with Checkpoints(tmp_path / "c", keep=2) as checkpoints:
        checkpoints.save(2, state(2), {"epoch": 0})
        with pytest.raises(RuntimeError, match="step 1 was not saved"):
            checkpoints.save(1, state(1), {})
        checkpoints.save(2, state(2), {"epoch": 1}, score=0.5)
        assert checkpoints.best() == 2
        assert checkpoints.restore(2, state(0))[1] == {"epoch": 1}


def save_steps(directory, steps=(1, 2, 3)):
    with Checkpoints(directory, keep=len(steps)) as checkpoints:
        for step in steps:
            checkpoints.save(step, state(step), {"step": step}, score=step)


def flip_bit(path, bit):
    data = bytearray(path.read_bytes())
    data[bit // 8] ^= 1 << bit % 8
    path.write_bytes(data)


def test_damage_is_reported_and_the_previous_checkpoint_is_used(tmp_path, capsys):
    save_steps(tmp_path / "c")
    meta = tmp_path / "c/3/meta/metadata"
    meta.write_bytes(meta.read_bytes().replace(b'"step": 3', b'"step": 4'))
    with Checkpoints(tmp_path / "c") as checkpoints:
        assert checkpoints.restore_best(state(0))[1] == {"step": 2}
    assert (
        f"{tmp_path / 'c/3'} is damaged: meta is not what was saved; trying another one"
        in capsys.readouterr().out
    )
    with Checkpoints(tmp_path / "c", keep=3) as checkpoints:
        assert checkpoints.restore_newest(state(0))[1] == {"step": 2}
        assert checkpoints.steps() == [1, 2]  # the step can be saved again
        assert (tmp_path / "damaged/3/meta/metadata").is_file()
        checkpoints.save(3, state(3), {"step": 3}, score=3)
        assert checkpoints.best() == 3


# Orbax abandons the reads of the other arrays; see `runtime._ignore_closed_event_loop`.
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
def test_every_flipped_bit_and_every_truncation_is_detected(tmp_path, rng):
    """The checkpoint is refused, or the restored state is bit-identical to the saved one."""
    save_steps(tmp_path / "c", [1])
    files = sorted(
        path for path in (tmp_path / "c/1").rglob("*") if path.is_file() and path.stat().st_size
    )
    refused = 0
    for number in range(24):
        path = files[number % len(files)]
        whole = path.read_bytes()
        if number % 4 == 3:
            path.write_bytes(whole[: rng.integers(len(whole))])
        else:
            flip_bit(path, rng.integers(8 * len(whole)))
        with Checkpoints(tmp_path / "c") as checkpoints:
            try:
                restored, meta = checkpoints.restore(1, state(0))
                np.testing.assert_array_equal(
                    restored["params"]["kernel"], state(1)["params"]["kernel"]
                )
                assert meta == {"step": 1}
            except DamagedError as error:
                assert str(tmp_path / "c/1") in str(error) and "\n" not in str(error)
                refused += 1
        path.write_bytes(whole)
    assert refused >= 8


def test_no_intact_checkpoint_is_an_error_and_deletes_nothing(tmp_path):
    save_steps(tmp_path / "c", [1, 2])
    for step in (1, 2):
        (tmp_path / f"c/{step}/meta/metadata").write_text("{")
    with Checkpoints(tmp_path / "c", keep=2) as checkpoints:
        with pytest.raises(
            InputError, match="damaged.*no other checkpoint is intact; give another directory"
        ):
            checkpoints.restore_newest(state(0))
        assert checkpoints.steps() == [1, 2]


def test_non_finite_state_is_not_saved(tmp_path):
    with Checkpoints(tmp_path / "c", keep=2) as checkpoints:
        with pytest.raises(
            TrainingError, match=r"step 3: .*kernel.* is not finite; the step is not saved"
        ):
            checkpoints.save(
                3, state(3) | {"params": {"kernel": np.array([1, np.inf], np.float32)}}, {}
            )
        assert checkpoints.steps() == []
