"""Starting from the weights of another run, and from the original's."""

import jax
import numpy as np
import pytest

import golden_inputs
from modest.errors import InputError
from modest.models import torch_weights
from modest.training import loop
from modest.training.setup import TrainingSetup
from run_files import final_state


def test_weights_of_another_run_are_loaded(quick, tmp_path, capsys):
    quick.stages = ((32, 1),)
    loop.fit(quick, tmp_path / "first")
    first, _ = final_state(quick, tmp_path / "first")
    quick.init_from = str(tmp_path / "first")
    state = TrainingSetup(quick).new_state()
    assert int(state.step) == 0
    assert "26 of 26 arrays loaded" in capsys.readouterr().out
    jax.tree.map(np.testing.assert_array_equal, state.params, first.params)


def test_weights_of_the_original_are_loaded(quick, tmp_path):
    original = golden_inputs.state_dict("masknet")
    np.savez(tmp_path / "original.npz", **original)
    quick.init_from = str(tmp_path / "original.npz")
    state = TrainingSetup(quick).new_state()
    expected = torch_weights.from_torch(original, "masknet")["params"]
    jax.tree.map(np.testing.assert_allclose, state.params, expected)


def test_missing_file_is_reported(quick, tmp_path):
    quick.init_from = str(tmp_path / "gone.npz")
    with pytest.raises(InputError, match="gone.npz: not the original's state dict"):
        TrainingSetup(quick).new_state()
