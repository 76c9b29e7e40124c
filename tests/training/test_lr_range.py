"""The learning rate range test: its two choices by hand, and a whole run."""

import json

import numpy as np
import pytest

from modest.run import workdirs
from modest.training import lr_range


def test_smoothing_is_bias_corrected():
    assert lr_range.smooth([3.0, 3.0, 3.0]) == pytest.approx([3.0, 3.0, 3.0])
    assert lr_range.smooth([1.0, 3.0]) == pytest.approx([1.0, (0.09 * 1 + 0.1 * 3) / 0.19])


def test_steepest_and_lowest():
    rates = list(np.geomspace(1e-3, 1, 60))
    logs = np.log10(rates)
    losses = [2 - np.tanh(3 * (x + 2)) + max(0, 8 * (x + 0.6)) for x in logs]
    found = lr_range.summary(rates, losses)
    assert 1e-2 < found["steepest"] < 3e-2  # the average lags by some steps
    lowest = rates[int(np.argmin(found["smoothed"]))]
    assert found["tenth_of_lowest"] == pytest.approx(lowest / 10)
    assert 0.02 < found["tenth_of_lowest"] < 0.04


def test_noise_of_the_first_losses_is_not_the_steepest_fall():
    rates = list(np.geomspace(1e-4, 1, 60))
    losses = [9.0, 1.0, *(2 - np.tanh(np.log10(rate) + 2) for rate in rates[2:])]
    assert 5e-3 < lr_range.summary(rates, losses)["steepest"] < 0.1


def test_run_ends_when_the_loss_diverges_and_saves_no_checkpoint(
    quick, tmp_path, monkeypatch, capsys
):
    quick.lr_range.steps = 7  # an epoch has three
    results = lr_range.run(quick, tmp_path / "run")
    expected = np.geomspace(1e-4, 10, 7)[: len(results["loss"])]
    np.testing.assert_allclose(results["learning_rate"], expected, rtol=1e-4)
    assert results == json.loads((tmp_path / "run" / workdirs.LR_RANGE).read_text())
    names = {path.name for path in (tmp_path / "run").rglob("*") if path.is_file()}
    assert names - {workdirs.LOCK} == {workdirs.LR_RANGE, "lr_range.png"}
    assert "steepest at" in capsys.readouterr().out
    monkeypatch.setattr(lr_range, "DIVERGED", 0.0)
    assert len(lr_range.run(quick, tmp_path / "run")["loss"]) == 1


def test_config_of_the_caller_is_unchanged(quick):
    before = quick.to_dict()
    lr_range._simplified(quick.lock())
    assert quick.to_dict() == before and quick.optimizer.is_locked
