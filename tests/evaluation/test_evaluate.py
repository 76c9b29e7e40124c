"""Details of evaluation. `training/test_loop.py` tests the evaluation itself."""

import types

import pytest

from modest.errors import InputError
from modest.evaluation import evaluate
from modest.evaluation.evaluate import spread


def test_pictures_are_spread_over_a_split():
    assert spread(3, 10) == [0, 3, 6]
    assert spread(3, 3) == [0, 1, 2]
    assert spread(5, 2) == [0, 1]
    assert spread(2, 0) == []


def test_tuples_of_a_config_equal_the_lists_of_its_file(config, tmp_path, monkeypatch):
    config.model.widths = (8, 16)
    saved = config.copy_and_resolve_references()
    saved.model.widths = [8, 16]  # as JSON stores it
    monkeypatch.setattr(
        evaluate, "restore_best", lambda directory: types.SimpleNamespace(config=saved)
    )

    def prepare(data):
        raise InputError("the data set is next")

    monkeypatch.setattr(evaluate.loader, "prepare_from_config", prepare)
    with pytest.raises(InputError, match="the data set is next"):
        evaluate.run(config, tmp_path)
    config.model.width = 99
    with pytest.raises(InputError, match="was trained with model"):
        evaluate.run(config, tmp_path)
