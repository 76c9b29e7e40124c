"""Training end to end, with the real config shrunk."""

import json
import re

import numpy as np
import pytest

import modest_folder
import small_networks
from modest.constants import TEST_SPLITS
from modest.errors import InputError, TrainingError
from modest.evaluation import evaluate, evaluator, tables
from modest.run import configs, logbook
from modest.state import train_state
from modest.state.checkpoint import Checkpoints
from modest.training import loop
from run_files import final_state

EVALUATION = ("eval.json", "eval_details.json", "eval_pictures.csv", "eval_extremes.npz")


def test_fit_writes_everything_and_learns(config, tmp_path, capsys):
    workdir = tmp_path / "run"
    results = loop.fit(config, workdir)
    assert set(results) == set(TEST_SPLITS)
    assert json.loads((workdir / "eval.json").read_text()) == results
    written = {path.name for path in workdir.iterdir()}
    expected = "config.json metrics.jsonl checkpoints figures predictions.npz"
    assert {*expected.split(), *EVALUATION} <= written
    assert any(name.startswith("events.out.tfevents") for name in written)
    figures = {path.name for path in (workdir / "figures").iterdir()}
    assert figures == {"curves.png", "predictions.png"}
    out = capsys.readouterr().out
    assert "epoch 2/2 (32 px, step 6): validation loss" in out and "test_seen_figure" in out
    check_details(workdir, results)
    lines = logbook.read_metrics(workdir)
    assert len([line for line in lines if "val/loss" in line]) == 2
    trained = [line["train/loss"] for line in lines if "train/loss" in line]
    assert len(trained) == 6 and trained[-1] < 0.95 * trained[0]


def check_details(workdir, results):
    """Check the files about single pictures against the means of `eval.json`."""
    details = json.loads((workdir / "eval_details.json").read_text())
    of_pictures = tables.read(workdir / "eval_pictures.csv")
    assert of_pictures.keys() == details["splits"].keys() == {*TEST_SPLITS, "validation", "train"}
    for split, values in results.items():
        statistics = details["splits"][split]["metrics"]
        assert len(of_pictures[split]) == values["examples"]
        compared = [name for name in values if not name.startswith("loss") and "/" in name]
        assert len(compared) == 14
        for name in compared:
            assert statistics[name]["mean"] == pytest.approx(values[name], rel=1e-5)
            column = of_pictures[split].values[name]
            assert column.mean() == pytest.approx(values[name], rel=1e-5)
    assert details["splits"]["train"]["seen"] == {"background": True, "figure": True}
    assert details["splits"]["test_seen_figure"]["seen"] == {"background": False, "figure": True}
    assert 0.05 <= details["threshold"] <= 0.95
    with np.load(workdir / "eval_extremes.npz") as pictures:
        rows = pictures["test/mask/iou/row"]
        ious = of_pictures["test"].values["mask/iou"][rows]
        assert (np.diff(ious) <= 0).all()
        shown = pictures["test/mask/iou/output_mask"] >= 127.5
        true = pictures["test/mask/iou/mask"] >= 127.5
        again = (shown & true).sum(axis=(1, 2, 3)) / (shown | true).sum(axis=(1, 2, 3))
        np.testing.assert_allclose(again, ious, atol=0.02)  # the stored prediction is rounded


def test_eval_of_a_finished_run_gives_the_same_numbers(quick, tmp_path):
    results = loop.fit(quick, tmp_path / "run")
    (tmp_path / "run/eval.json").unlink()
    assert evaluate.run(quick, tmp_path / "run") == results
    quick.eval.splits = "all"
    (everything,) = evaluate.run(quick, tmp_path / "run")
    assert set(TEST_SPLITS) < set(everything.split("+"))


def test_eval_on_other_data_keeps_the_results_of_the_run(quick, tmp_path):
    loop.fit(quick, tmp_path / "run")
    own = (tmp_path / "run/eval.json").read_bytes()
    quick.data.name, quick.data.dir = "folder", str(modest_folder.make(tmp_path / "set"))
    quick.eval.splits = "all"
    (results,) = evaluate.run(quick, tmp_path / "run").values()
    assert results["examples"] == 24
    (other,) = (tmp_path / "run").glob("folder-*")
    assert {path.name for path in other.iterdir()} == {"predictions.npz", "figures", *EVALUATION}
    assert (tmp_path / "run/eval.json").read_bytes() == own


def test_non_finite_loss_stops_the_run_before_it_is_saved(quick, tmp_path):
    quick.optimizer.learning_rate = 1e30
    quick.optimizer.schedule = "constant"
    message = r"step \d+: not finite: .*learning_rate 1e\+30.*mask/bce.*room\S* \+ "
    with pytest.raises(TrainingError, match=message):
        loop.fit(quick, tmp_path / "run")
    with Checkpoints(tmp_path / "run/checkpoints") as checkpoints:
        assert checkpoints.steps() == []


@pytest.mark.parametrize(
    ("key", "value"), [("model.width", 3), ("data.library.scale", 0.1), ("batch_size", 4)]
)
def test_directory_of_another_run_is_refused(config, tmp_path, key, value):
    configs.save(config, tmp_path, dataset={})
    config.update_from_flattened_dict({key: value})
    with pytest.raises(InputError, match="was trained with .*; give another --workdir"):
        loop.fit(config, tmp_path)


def test_data_set_with_other_content_is_refused(quick, tmp_path):
    configs.save(quick, tmp_path, dataset={"sha256": "00"})
    message = 'was trained with data {"sha256": "00"}, not .*; give another --workdir'
    with pytest.raises(InputError, match=message):
        loop.fit(quick, tmp_path)


def test_data_without_depth_trains_the_mask_alone(config, tmp_path):
    config.model = small_networks.section("unet")
    directory = modest_folder.make(tmp_path / "set")
    file_map = (directory / "file_map.txt").read_text()
    (directory / "file_map.txt").write_text(re.sub(r"\S+_depth_map", "-", file_map))
    config.data.name, config.data.dir = "folder", str(directory)
    with pytest.raises(InputError, match="has no depth to train on: set every --config.loss.depth"):
        loop.fit(config, tmp_path / "run")
    config.loss.depth.rmse = 0.0
    config.data.splits = "original"  # which has no validation split
    config.stages = ((32, 1),)
    config.checkpoint.best = "depth/rmse"
    with pytest.raises(InputError, match="checkpoint.best=depth/rmse: .* has no depth"):
        loop.fit(config, tmp_path / "run")
    config.checkpoint.best = "mask/iou"
    config.eval.splits = "test_seen_figure"
    message = "eval.splits=test_seen_figure: the data set has train, test"
    with pytest.raises(InputError, match=message):
        loop.fit(config, tmp_path / "run")
    config.eval.splits = "test"
    results = loop.fit(config, tmp_path / "run")
    assert "mask/iou" in results["test"] and "depth/rmse" not in results["test"]
    config.loss.depth.rmse = 2.0
    assert evaluate.run(config, tmp_path / "run") == results


def test_stages_change_the_size_and_masknet_has_no_depth(quick, tmp_path):
    quick.stages = ((32, 1), (64, 1))
    quick.data.source = "library"
    results = loop.fit(quick, tmp_path / "run")
    assert set(results["test"]) >= {"mask/iou", "loss"} and "depth/rmse" not in results["test"]
    with Checkpoints(tmp_path / "run/checkpoints") as checkpoints:
        # A score at 32 px does not compare with one at 64 px.
        assert (checkpoints.steps(), checkpoints.best()) == ([3, 6], 6)


def test_accumulating_more_batches_than_there_are_is_refused(quick, tmp_path):
    quick.accumulate = 7
    with pytest.raises(InputError, match="accumulate=7: there are only 6 steps"):
        loop.fit(quick, tmp_path)


def test_moving_average_is_evaluated(quick, tmp_path):
    quick.average = 0.5
    results = loop.fit(quick, tmp_path / "run")
    state, _ = final_state(quick, tmp_path / "run")

    def kernel(params):
        return params["head_mask"]["conv"]["kernel"]

    average = kernel(state.average["params"])
    assert np.abs(kernel(state.params) - average).max() > 0
    np.testing.assert_array_equal(kernel(train_state.averaged(state).params), average)
    assert evaluate.run(quick, tmp_path / "run") == results


def test_early_stop_depends_on_the_logged_scores(quick, tmp_path, monkeypatch, capsys):
    quick.stages = ((32, 6),)
    quick.early_stop = 2
    scores = iter([0.3, 0.5, 0.4, 0.5, 0.9, 0.9])

    def evaluate_next(*_):
        return {"loss": 1.0, "mask/iou": next(scores)}, {}

    monkeypatch.setattr(evaluator.Evaluator, "__call__", evaluate_next)
    monkeypatch.setattr(evaluate.FinalEvaluation, "run", lambda *_: {})
    loop.fit(quick, tmp_path / "run")
    assert "stopped early: no better mask/iou in 2 epochs" in capsys.readouterr().out
    loop.fit(quick, tmp_path / "run")  # the same call again does not continue
    with Checkpoints(tmp_path / "run/checkpoints") as checkpoints:
        assert (checkpoints.latest(), checkpoints.best()) == (12, 12)  # the newest of equals
