"""A run that was stopped or killed, and resumed, is bit-identical to one that was not."""

import signal

import jax
import numpy as np
import pytest

from modest.errors import InputError
from modest.evaluation import evaluate, evaluator
from modest.run import devices
from modest.state.checkpoint import Checkpoints
from modest.training import loop
from run_files import final_state, lines

STATEFUL = "library, two sizes, moving average, accumulation, plateau"


def assert_equal_runs(config, one, other):
    (state, meta), (other_state, other_meta) = (final_state(config, run) for run in (one, other))
    jax.tree.map(np.testing.assert_array_equal, state, other_state)
    assert meta == other_meta
    assert lines(one) == lines(other)


@pytest.mark.gpu
@pytest.mark.parametrize("kind", ["records", "library", STATEFUL])
def test_stopped_and_resumed_run_is_bit_identical(quick, tmp_path, stop_at, kind):
    quick.data.source = kind.split(",")[0]
    quick.log_every = 2
    if kind == STATEFUL:
        quick.stages, quick.average, quick.accumulate = ((32, 1), (64, 1)), 0.5, 2
        quick.optimizer.schedule, quick.optimizer.plateau.epochs = "plateau", 1
    whole, stopped = tmp_path / "whole", tmp_path / "stopped"
    loop.fit(quick, whole)
    # An epoch has three steps: within an epoch, at its end, within a validation, after a save.
    moments = [
        (2, signal.SIGTERM),
        (3, signal.SIGINT),
        (None, signal.SIGTERM, evaluator.Evaluator, "__call__"),
        (None, signal.SIGINT, Checkpoints, "save"),
    ]
    for moment, latest in zip(moments, (2, 3, 3, 3)):
        stop_at(*moment)
        with pytest.raises(SystemExit) as exit_:
            loop.fit(quick, stopped)
        assert exit_.value.code == 128 + moment[1]
        assert lines(stopped) == lines(whole)[: len(lines(stopped))]
        with Checkpoints(stopped / "checkpoints") as checkpoints:
            assert checkpoints.latest() == latest
    loop.fit(quick, stopped)
    assert_equal_runs(quick, whole, stopped)
    assert (whole / "eval.json").read_text() == (stopped / "eval.json").read_text()


def test_checkpoints_within_an_epoch_are_resumed(quick, tmp_path, monkeypatch):
    quick.checkpoint.steps = 2
    loop.fit(quick, tmp_path / "whole")
    # Ends the run as a kill would.
    monkeypatch.setattr(evaluate.FinalEvaluation, "run", lambda *_: 1 / 0)
    with monkeypatch.context() as patch, pytest.raises(ZeroDivisionError):
        patch.setattr(evaluator.Evaluator, "__call__", lambda *_: 1 / 0)
        loop.fit(quick, tmp_path / "killed")
    with Checkpoints(tmp_path / "killed/checkpoints") as checkpoints:
        assert checkpoints.steps() == [2]
    with pytest.raises(ZeroDivisionError):
        loop.fit(quick, tmp_path / "killed")
    assert_equal_runs(quick, tmp_path / "whole", tmp_path / "killed")


def test_run_resumes_on_another_number_of_devices(quick, tmp_path, stop_at, monkeypatch):
    loop.fit(quick, tmp_path / "one")
    stop_at(2)
    with pytest.raises(SystemExit):
        loop.fit(quick, tmp_path / "two")
    monkeypatch.setattr(devices, "all_devices", lambda: jax.local_devices()[:2])
    loop.fit(quick, tmp_path / "two")
    one, two = (
        [line["train/loss"] for line in lines(tmp_path / name) if "train/loss" in line]
        for name in ("one", "two")
    )
    assert len(two) == 6 and two[:2] == one[:2]
    np.testing.assert_allclose(two, one, rtol=1e-4)


def test_profile_of_a_resumed_run_is_finished(quick, tmp_path, stop_at):
    quick.stages, quick.profile = ((32, 1),), (1, 3)
    stop_at(2)
    with pytest.raises(SystemExit):
        loop.fit(quick, tmp_path)
    jax.profiler.stop_trace()  # the end of the first process would have stopped it
    loop.fit(quick, tmp_path)  # resumes between the two steps
    assert list((tmp_path / "profile").rglob("*.trace.json.gz"))
    quick.profile = (3, 4)
    with pytest.raises(InputError, match="only 3 steps"):
        loop.fit(quick, tmp_path / "other")
