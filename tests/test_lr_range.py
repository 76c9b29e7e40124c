"""The learning rate range test: its two choices by hand, and a whole run."""

import json

import numpy as np
import pytest

from modest import lr_range, parallel


def test_the_moving_average_is_not_drawn_to_zero():
    assert lr_range.smoothed([3.0, 3.0, 3.0]) == pytest.approx([3.0, 3.0, 3.0])
    assert lr_range.smoothed([1.0, 3.0]) == pytest.approx([1.0, (0.09 * 1 + 0.1 * 3) / 0.19])


def test_steepest_and_lowest():
    rates = list(np.geomspace(1e-3, 1, 60))
    losses = [2 - np.tanh(3 * (np.log10(rate) + 2)) + max(0, 8 * (np.log10(rate) + 0.6)) for rate in rates]
    found = lr_range.summary(rates, losses)
    assert 1e-2 < found["steepest"] < 3e-2  # the average is some steps late
    assert found["tenth_of_lowest"] == pytest.approx(rates[int(np.argmin(found["smoothed"]))] / 10)
    assert 0.02 < found["tenth_of_lowest"] < 0.04


def test_noise_of_the_first_losses_is_not_the_steepest_fall():
    rates = list(np.geomspace(1e-4, 1, 60))
    losses = [9.0, 1.0, *(2 - np.tanh(np.log10(rate) + 2) for rate in rates[2:])]
    assert 5e-3 < lr_range.summary(rates, losses)["steepest"] < 0.1


def test_a_run_ends_where_the_loss_runs_away_and_leaves_no_checkpoint(quick, tmp_path, monkeypatch, capsys):
    one = parallel.jax.local_devices()[:1]
    monkeypatch.setattr(parallel, "devices", lambda: one)
    quick.lr_range.steps = 7  # more than the three of an epoch
    results = lr_range.run(quick, tmp_path / "run")
    np.testing.assert_allclose(results["learning_rate"], np.geomspace(1e-4, 10, 7)[: len(results["loss"])], rtol=1e-4)
    assert results == json.loads((tmp_path / "run" / lr_range.FILE).read_text())
    names = {path.name for path in (tmp_path / "run").rglob("*") if path.is_file()}
    assert names - {".lock"} == {lr_range.FILE, "lr_range.png"}
    assert "steepest at" in capsys.readouterr().out
    monkeypatch.setattr(lr_range, "TOO_HIGH", 0.0)
    assert len(lr_range.run(quick, tmp_path / "run")["loss"]) == 1
