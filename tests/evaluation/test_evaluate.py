"""Details of evaluation. `training/test_loop.py` tests the evaluation itself."""

import types

import numpy as np
import pytest

from modest.errors import InputError
from modest.evaluation import evaluate


def test_best_typical_and_worst_pictures():
    values = np.array([0.5, np.nan, 0.9, 0.1, 0.7, 0.8, 0.3, 0.6, 0.2, 0.4])
    assert evaluate.ranked("mask/iou", values) == {
        "best": [2, 5, 4],
        "typical": [7, 0, 9],
        "worst": [6, 8, 3],
    }
    assert evaluate.ranked("depth/rmse", values)["best"] == [3, 8, 6]
    assert evaluate.ranked("mask/iou", values[:4]) == {"best": [2], "typical": [0], "worst": [3]}
    assert evaluate.ranked("mask/iou", values[1:3]) == {"best": [], "typical": [1], "worst": []}


def test_tuples_of_a_config_equal_the_lists_of_its_file(config, tmp_path, monkeypatch):
    config.model.widths = (8, 16)
    saved = config.copy_and_resolve_references()
    saved.model.widths = [8, 16]  # as JSON stores it
    monkeypatch.setattr(evaluate, "restore", lambda directory: types.SimpleNamespace(config=saved))

    def prepare(data):
        raise InputError("the data set is next")

    monkeypatch.setattr(evaluate.loader, "prepare_from_config", prepare)
    with pytest.raises(InputError, match="the data set is next"):
        evaluate.run(config, tmp_path)
    config.model.width = 99
    with pytest.raises(InputError, match=f"^{tmp_path} was trained with model"):
        evaluate.run(config, tmp_path)
    with pytest.raises(InputError, match="^modest was trained with model"):
        evaluate.run(config, "modest")


def test_weights_are_evaluated_into_a_directory_of_their_own(config, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "runs" / "net").mkdir(parents=True)
    directories = []

    class Final:
        def __init__(self, *arguments):
            pass

        def run(self, state, directory):
            directories.append(directory)

    trained = types.SimpleNamespace(config=config, model=None, state=np.zeros(1))
    monkeypatch.setattr(evaluate, "restore", lambda source: trained)
    monkeypatch.setattr(evaluate, "FinalEvaluation", Final)
    monkeypatch.setattr(evaluate.Evaluator, "from_config", lambda *arguments: None)
    monkeypatch.setattr(evaluate.loader, "prepare_from_config", lambda data: None)
    monkeypatch.setattr(evaluate.preparation, "identity", lambda builder: None)
    monkeypatch.setattr(evaluate.workdirs, "is_same_data", lambda *arguments: True)
    for source in ("modest", "elsewhere/net.safetensors", "runs/net"):
        evaluate.run(config, source)
    names = ("modest_eval", "net_eval", "net")
    assert directories == [tmp_path / "runs" / name for name in names]
    assert all(directory.is_dir() for directory in directories)
