"""Conversion of PyTorch weights; `test_models.py` compares the converted networks' outputs."""

import pytest

import golden_inputs
from modest.models import torch_weights


def test_another_networks_weights_raise():
    state_dict = golden_inputs.state_dict("depthnet")
    with pytest.raises(ValueError, match="not a state dict of masknet: unknown"):
        torch_weights.from_torch(state_dict, "masknet")


def test_missing_weight_raises_with_its_name():
    incomplete = golden_inputs.state_dict("masknet")
    del incomplete["layer3.6.bias"]
    with pytest.raises(KeyError, match="layer3.6.bias"):
        torch_weights.from_torch(incomplete, "masknet")
