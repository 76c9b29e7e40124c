"""Training end to end with the real config, shrunk."""

import json
import os
import re
import signal

import jax
import numpy as np
import optax
import pytest

import golden_inputs
import modest_folder
from modest import config as configs
from modest import evaluate, interop, logbook, parallel, train
from modest import state as states
from modest.checkpoint import Checkpoints
from modest.data import loader
from modest.trainer import Trainer
from modest.vocabulary import TEST_SPLITS, InputError, TrainingError


@pytest.fixture(autouse=True)
def one_device(monkeypatch):
    """One device is enough here, and quicker; `test_parallel.py` has eight."""
    monkeypatch.setattr(parallel, "devices", lambda: jax.local_devices()[:1])


def lines(workdir):
    """`metrics.jsonl` without what a clock has measured."""
    return [{k: v for k, v in line.items() if k not in logbook.CLOCK_VALUES} for line in logbook.read_metrics(workdir)]


def final_state(config, workdir):
    with Checkpoints(workdir / "checkpoints") as checkpoints:
        init, *_ = states.create(config, 1, 1)
        return checkpoints.restore(checkpoints.latest(), jax.eval_shape(init))


@pytest.fixture
def stop_at(monkeypatch):
    """Sends this process a signal within a step (`_fetch_finite`), or before a call of whatever else is named."""

    def arrange(step, number=signal.SIGTERM, owner=train, name="_fetch_finite"):
        function = getattr(owner, name)

        def stop_first(*arguments, **options):
            if step is None or arguments[1] == step:
                monkeypatch.setattr(owner, name, function)
                os.kill(os.getpid(), number)
            return function(*arguments, **options)

        monkeypatch.setattr(owner, name, stop_first)

    return arrange


def test_fit_writes_everything_and_learns(config, tmp_path, capsys):
    results = train.fit(config, tmp_path / "run")
    assert set(results) == set(TEST_SPLITS) and json.loads((tmp_path / "run/eval.json").read_text()) == results
    written = {path.name for path in (tmp_path / "run").iterdir()}
    assert {"config.json", "metrics.jsonl", "checkpoints", "eval.json", "figures", "predictions.npz"} <= written
    assert any(name.startswith("events.out.tfevents") for name in written)
    assert {path.name for path in (tmp_path / "run/figures").iterdir()} == {"curves.png", "predictions.png"}
    out = capsys.readouterr().out
    assert "epoch 2/2 (32 px, step 6): validation loss" in out and "test_seen_figure" in out
    validation = [line["val/loss"] for line in logbook.read_metrics(tmp_path / "run") if "val/loss" in line]
    assert len(validation) == 2
    trained = [line["train/loss"] for line in logbook.read_metrics(tmp_path / "run") if "train/loss" in line]
    assert len(trained) == 6 and trained[-1] < 0.95 * trained[0]


@pytest.mark.parametrize("kind", ["records", "library", "library, two sizes, and all that is kept between steps"])
def test_a_run_stopped_and_started_again_ends_in_the_same_bits(quick, tmp_path, stop_at, kind):
    quick.data.source = kind.split(",")[0]
    quick.log_every = 2
    if "two sizes" in kind:
        quick.stages, quick.average, quick.accumulate = ((32, 1), (64, 1)), 0.5, 2
        quick.optimizer.schedule, quick.optimizer.plateau.epochs = "plateau", 1
    train.fit(quick, tmp_path / "whole")
    # Three steps an epoch: step 2 is in the middle of one, step 3 at its end; then within a validation, and after a save.
    moments = [
        (2, signal.SIGTERM),
        (3, signal.SIGINT),
        (None, signal.SIGTERM, evaluate.Evaluator, "__call__"),
        (None, signal.SIGINT, Checkpoints, "save"),
    ]
    for number, moment in enumerate(moments):
        stop_at(*moment)
        with pytest.raises(SystemExit) as stopped:
            train.fit(quick, tmp_path / "stopped")
        assert stopped.value.code == 128 + moment[1]
        assert lines(tmp_path / "stopped") == lines(tmp_path / "whole")[: len(lines(tmp_path / "stopped"))]
        with Checkpoints(tmp_path / "stopped/checkpoints") as checkpoints:
            assert checkpoints.latest() == [2, 3, 3, 3][number]
    train.fit(quick, tmp_path / "stopped")

    (whole, meta), (resumed, meta_resumed) = (final_state(quick, tmp_path / name) for name in ("whole", "stopped"))
    jax.tree.map(np.testing.assert_array_equal, whole, resumed)
    assert meta == meta_resumed
    assert lines(tmp_path / "whole") == lines(tmp_path / "stopped")
    assert (tmp_path / "whole/eval.json").read_text() == (tmp_path / "stopped/eval.json").read_text()


def test_a_run_goes_on_with_another_number_of_devices(quick, tmp_path, stop_at, monkeypatch):
    train.fit(quick, tmp_path / "one")
    stop_at(2)
    with pytest.raises(SystemExit):
        train.fit(quick, tmp_path / "two")
    monkeypatch.setattr(parallel, "devices", lambda: jax.local_devices()[:2])
    train.fit(quick, tmp_path / "two")
    one, two = ([line["train/loss"] for line in lines(tmp_path / name) if "train/loss" in line] for name in ("one", "two"))
    assert len(two) == 6 and two[:2] == one[:2]
    np.testing.assert_allclose(two, one, rtol=1e-4)


@pytest.mark.parametrize("function", [(loader, "prepare"), (train, "evaluate_splits")])
def test_where_there_is_nothing_to_save_a_signal_ends_the_run_at_once(quick, tmp_path, stop_at, function):
    stop_at(None, signal.SIGTERM, *function)
    with pytest.raises(SystemExit) as stopped:
        train.fit(quick, tmp_path / "run")
    assert stopped.value.code == 143


def test_eval_of_a_finished_run_gives_the_same_numbers(quick, tmp_path):
    results = train.fit(quick, tmp_path / "run")
    (tmp_path / "run/eval.json").unlink()
    assert evaluate.run(quick, tmp_path / "run") == results
    quick.eval.splits = "all"
    (everything,) = evaluate.run(quick, tmp_path / "run")
    assert set(TEST_SPLITS) < set(everything.split("+"))


def test_eval_on_other_data_leaves_the_runs_own_results_alone(quick, tmp_path):
    train.fit(quick, tmp_path / "run")
    own = (tmp_path / "run/eval.json").read_bytes()
    quick.data.name, quick.data.dir = "folder", str(modest_folder.make(tmp_path / "set"))
    quick.eval.splits = "all"
    (results,) = evaluate.run(quick, tmp_path / "run").values()
    assert results["examples"] == 24
    (other,) = (tmp_path / "run").glob("folder-*")
    assert {path.name for path in other.iterdir()} == {"eval.json", "predictions.npz", "figures"}
    assert (tmp_path / "run/eval.json").read_bytes() == own


def test_a_loss_that_is_not_finite_stops_the_run_before_it_reaches_the_disk(quick, tmp_path):
    quick.optimizer.learning_rate = 1e30
    quick.optimizer.schedule = "constant"
    with pytest.raises(TrainingError, match=r"step \d+: not finite: .*learning_rate 1e\+30.*mask/bce.*room\S* \+ "):
        train.fit(quick, tmp_path / "run")
    with Checkpoints(tmp_path / "run/checkpoints") as checkpoints:
        assert checkpoints.steps() == []


@pytest.mark.parametrize(("key", "value"), [("model.width", 3), ("data.library.scale", 0.1), ("batch_size", 4)])
def test_another_runs_directory_is_refused(config, tmp_path, key, value):
    configs.save(config, tmp_path, dataset={})
    config.update_from_flattened_dict({key: value})
    with pytest.raises(InputError, match="was trained with .*; give another --workdir"):
        train.fit(config, tmp_path)


def test_other_content_under_the_same_name_is_refused(quick, tmp_path):
    configs.save(quick, tmp_path, dataset={"sha256": "00"})
    with pytest.raises(InputError, match='was trained with data {"sha256": "00"}, not .*; give another --workdir'):
        train.fit(quick, tmp_path)


def test_data_without_depth_train_the_mask_alone(config, tmp_path):
    directory = modest_folder.make(tmp_path / "set")
    file_map = (directory / "file_map.txt").read_text()
    (directory / "file_map.txt").write_text(re.sub(r"\S+_depth_map", "-", file_map))
    config.data.name, config.data.dir = "folder", str(directory)
    with pytest.raises(InputError, match="has no depth to train on: set every --config.loss.depth"):
        train.fit(config, tmp_path / "run")
    config.loss.depth.rmse = 0.0
    config.data.splits = "original"  # which has no validation split
    config.stages = ((32, 1),)
    config.checkpoint.best = "depth/rmse"
    with pytest.raises(InputError, match="checkpoint.best=depth/rmse: .* has no depth"):
        train.fit(config, tmp_path / "run")
    config.checkpoint.best = "mask/iou"
    config.eval.splits = "test_seen_figure"
    with pytest.raises(InputError, match="eval.splits=test_seen_figure: the data set has train, test"):
        train.fit(config, tmp_path / "run")
    config.eval.splits = "test"
    results = train.fit(config, tmp_path / "run")
    assert "mask/iou" in results["test"] and "depth/rmse" not in results["test"]
    config.loss.depth.rmse = 2.0
    assert evaluate.run(config, tmp_path / "run") == results


def test_stages_change_the_size_and_masknet_has_no_depth(quick, tmp_path):
    quick.stages = ((32, 1), (64, 1))
    quick.data.source = "library"
    results = train.fit(quick, tmp_path / "run")
    assert set(results["test"]) >= {"mask/iou", "loss"} and "depth/rmse" not in results["test"]
    with Checkpoints(tmp_path / "run/checkpoints") as checkpoints:  # a score at 32 px does not compare with one at 64 px
        assert (checkpoints.steps(), checkpoints.best()) == ([3, 6], 6)


@pytest.mark.parametrize("schedule", ["constant", "step", "plateau", "one_cycle", "cosine", "trapezoid"])
def test_schedules(config, schedule):
    config.optimizer.schedule = schedule
    config.optimizer.step.epochs = 2
    rate = states.create_schedule(config.optimizer, total_steps=100, steps_per_epoch=10)
    rates = np.asarray([rate(step) for step in range(100)])
    assert rates.max() == pytest.approx(0.1, rel=1e-3)
    last = {"step": 1e-5, "one_cycle": 0, "cosine": 0, "trapezoid": 0.1 / 30}
    assert rates[99] == pytest.approx(last.get(schedule, 0.1), abs=1e-4)
    if schedule == "step":
        assert rates[19] == pytest.approx(0.1) and rates[20] == pytest.approx(0.01)
    if schedule == "trapezoid":
        assert rates[70] == pytest.approx(0.1) and rates[85] == pytest.approx(0.05)
        config.optimizer.trapezoid.epochs = 1000  # more than there are: it falls from the end of the warm-up on
        assert states.create_schedule(config.optimizer, total_steps=100, steps_per_epoch=10)(50) == pytest.approx(0.05)


def test_warmup_rises_from_zero(config):
    config.optimizer.warmup = 0.1
    rate = states.create_schedule(config.optimizer, total_steps=100, steps_per_epoch=10)
    assert float(rate(0)) == 0 and float(rate(5)) == pytest.approx(0.05) and float(rate(10)) == pytest.approx(0.1)


def test_more_batches_to_an_update_than_there_are(quick, tmp_path):
    quick.accumulate = 7
    with pytest.raises(InputError, match="accumulate=7: there are only 6 steps"):
        train.fit(quick, tmp_path)


def test_plateau_lowers_the_rate_when_the_loss_stands_still(config):
    config.optimizer.schedule = "plateau"
    config.optimizer.plateau.epochs = 2
    _, _, optimizer, learning_rate = states.create(config, 40, 5)
    params = {"w": np.zeros(2, np.float32)}
    opt_state = optimizer.init(params)
    scales = []
    for _ in range(20):
        _, opt_state = optimizer.update(params, opt_state, params, value=np.float32(1.0))
        state = states.TrainState(np.int32(0), params, {}, opt_state, statistics={})
        scales.append(float(learning_rate(state)))
    assert scales[9] == pytest.approx(0.1) and scales[-1] == pytest.approx(0.01)


def test_the_moving_average_is_what_is_evaluated(quick, tmp_path):
    quick.average = 0.5
    results = train.fit(quick, tmp_path / "run")
    state, _ = final_state(quick, tmp_path / "run")
    kernel = lambda tree: tree["params"]["head_mask"]["conv"]["kernel"]
    assert np.abs(kernel({"params": state.params}) - kernel(state.average)).max() > 0
    averaged = states.averaged(state)
    np.testing.assert_array_equal(kernel({"params": averaged.params}), kernel(state.average))
    assert evaluate.run(quick, tmp_path / "run") == results


def test_update_average_is_its_definition():
    state = states.TrainState(0, {"w": 3.0}, {"m": 1.0}, None, None, {"params": {"w": 1.0}, "batch_stats": {"m": 2.0}})
    moved = states.update_average(state, 0.9).average
    assert moved == {"params": {"w": pytest.approx(1.2)}, "batch_stats": {"m": pytest.approx(1.9)}}


def test_a_long_gradient_is_clipped(config):
    config.optimizer.clip_norm = 2.0
    config.optimizer.momentum = config.optimizer.weight_decay = 0.0
    optimizer = states.create_optimizer(config.optimizer, states.create_schedule(config.optimizer, 10, 5), 5)
    params = {"w": np.zeros(2, np.float32)}
    for gradient, expected in (([3.0, 4.0], [-0.12, -0.16]), ([0.3, 0.4], [-0.03, -0.04])):
        updates, _ = optimizer.update({"w": np.float32(gradient)}, optimizer.init(params), params, value=np.float32(1))
        np.testing.assert_allclose(updates["w"], expected, rtol=1e-5)


def test_accumulated_batches_make_one_update_with_the_rate_of_that_update(config):
    config.accumulate, config.optimizer.schedule = 2, "cosine"
    config.optimizer.momentum = config.optimizer.weight_decay = 0.0
    _, _, optimizer, learning_rate = states.create(config, total_steps=8, steps_per_epoch=4)
    params = {"w": np.zeros(1, np.float32)}
    state = states.TrainState(np.int32(0), params, {}, optimizer.init(params), statistics={})
    weights, rates = [], []
    for step in range(8):
        rates.append(float(learning_rate(state)))
        updates, opt_state = optimizer.update({"w": np.float32([step + 1])}, state.opt_state, state.params, value=np.float32(1))
        state = state.replace(step=state.step + 1, params=optax.apply_updates(state.params, updates), opt_state=opt_state)
        weights.append(float(state.params["w"][0]))
    cosine = [0.1 * (1 + np.cos(np.pi * update / 4)) / 2 for update in range(4)]
    np.testing.assert_allclose(rates, np.repeat(cosine, 2), rtol=1e-5)
    means = np.asarray([1.5, 3.5, 5.5, 7.5])
    np.testing.assert_allclose(weights[1::2], -np.cumsum(cosine * means), rtol=1e-5)
    assert weights[0] == 0 and weights[2] == weights[1]


def test_a_profile_of_some_steps(quick, tmp_path, stop_at):
    quick.stages, quick.profile = ((32, 1),), (1, 3)
    stop_at(2)
    with pytest.raises(SystemExit):
        train.fit(quick, tmp_path)
    jax.profiler.stop_trace()  # the first of the two processes would have ended
    train.fit(quick, tmp_path)  # goes on within those steps
    assert list((tmp_path / "profile").rglob("*.trace.json.gz"))
    quick.profile = (3, 4)
    with pytest.raises(InputError, match="only 3 steps"):
        train.fit(quick, tmp_path / "other")


def test_early_stop_by_the_logs_lines(quick, tmp_path, monkeypatch, capsys):
    quick.stages = ((32, 6),)
    quick.early_stop = 2
    scores = iter([0.3, 0.5, 0.4, 0.5, 0.9, 0.9])
    monkeypatch.setattr(evaluate.Evaluator, "__call__", lambda *_: ({"loss": 1.0, "mask/iou": next(scores)}, {}))
    monkeypatch.setattr(train.report, "tile", lambda shown: np.zeros((2, 2, 3), np.uint8))
    monkeypatch.setattr(train, "evaluate_splits", lambda *_: {})
    train.fit(quick, tmp_path / "run")
    assert "stopped early: no better mask/iou in 2 epochs" in capsys.readouterr().out
    train.fit(quick, tmp_path / "run")  # the same call again does not go on
    with Checkpoints(tmp_path / "run/checkpoints") as checkpoints:
        assert (checkpoints.latest(), checkpoints.best()) == (12, 12)  # the newest of equals


def test_starting_from_another_runs_weights_and_from_the_originals(quick, tmp_path, capsys):
    quick.stages = ((32, 1),)
    train.fit(quick, tmp_path / "first")
    first, _ = final_state(quick, tmp_path / "first")
    quick.init_from = str(tmp_path / "first")
    state = Trainer(quick).start()
    assert int(state.step) == 0 and "26 of 26 arrays taken over" in capsys.readouterr().out
    jax.tree.map(np.testing.assert_array_equal, state.params, first.params)
    np.savez(tmp_path / "original.npz", **golden_inputs.state_dict("masknet"))
    quick.init_from = str(tmp_path / "original.npz")
    state = Trainer(quick).start()
    jax.tree.map(
        np.testing.assert_allclose, state.params, interop.from_torch(golden_inputs.state_dict("masknet"), "masknet")["params"]
    )
    quick.init_from = str(tmp_path / "gone.npz")
    with pytest.raises(InputError, match="gone.npz: not the original's state dict"):
        Trainer(quick).start()


def test_checkpoints_within_an_epoch_are_resumed(quick, tmp_path, monkeypatch):
    quick.checkpoint.steps = 2
    train.fit(quick, tmp_path / "whole")
    monkeypatch.setattr(train, "evaluate_splits", lambda *_: 1 / 0)  # ends the run as a kill would
    with monkeypatch.context() as patch, pytest.raises(ZeroDivisionError):
        patch.setattr(evaluate.Evaluator, "__call__", lambda *_: 1 / 0)
        train.fit(quick, tmp_path / "killed")
    with Checkpoints(tmp_path / "killed/checkpoints") as checkpoints:
        assert checkpoints.steps() == [2]
    with pytest.raises(ZeroDivisionError):
        train.fit(quick, tmp_path / "killed")
    (whole, meta), (resumed, meta_resumed) = (final_state(quick, tmp_path / name) for name in ("whole", "killed"))
    jax.tree.map(np.testing.assert_array_equal, whole, resumed)
    assert meta == meta_resumed and lines(tmp_path / "whole") == lines(tmp_path / "killed")
