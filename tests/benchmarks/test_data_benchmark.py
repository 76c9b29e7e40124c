"""The number of batches over which `benchmarks/data.py` measures memory."""

import pathlib
import sys

import pytest

from benchmarks import data
from modest.data.batches import loader
from modest.data.museum import preparation


@pytest.mark.parametrize("count", [2, 9, 20])
def test_memory_is_measured_twice(count, monkeypatch, capsys):
    monkeypatch.setattr(preparation, "prepare", lambda *_: None)
    monkeypatch.setattr(loader, "Examples", lambda *_: None)
    monkeypatch.setattr(loader, "train_batches", lambda *_, **__: [None] * 3)
    assert len(data.measure_memory(count, pathlib.Path(), pathlib.Path())) == 2


def test_a_single_batch_is_refused_at_once(monkeypatch, capsys):
    monkeypatch.setattr(sys, "argv", ["data", "--batches=1"])
    monkeypatch.setattr(data.runtime, "prepare", pytest.fail)
    with pytest.raises(SystemExit, match="2"):
        data.main()
    assert "--batches" in capsys.readouterr().err
