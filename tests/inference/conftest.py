"""Fixtures of the prediction tests."""

import jax
import numpy as np
import pytest
from PIL import Image

from modest.inference.predict import Predictor
from modest.run import configs
from modest.state import train_state
from modest.state.checkpoint import Checkpoints


@pytest.fixture
def workdir(config, tmp_path, drawn):
    """Return a work directory with one checkpoint of an untrained network."""
    configs.save(config, tmp_path, dataset={})
    shapes = jax.eval_shape(train_state.create(config, 1, 1).init)
    with Checkpoints(tmp_path / "checkpoints", keep=2) as checkpoints:
        checkpoints.save(0, drawn(shapes), {"step": 0, "epoch": 0})
    return tmp_path


@pytest.fixture
def predictor(workdir):
    return Predictor(workdir)


@pytest.fixture
def pair(tmp_path, rng):
    """Return the paths of two pictures of 60 x 40 px."""
    paths = [str(tmp_path / name) for name in ("a.jpg", "b.png")]
    for path in paths:
        Image.fromarray(rng.integers(0, 255, (40, 60, 3), np.uint8)).save(path)
    return paths
