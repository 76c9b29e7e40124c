"""Fixtures of the prediction tests."""

import numpy as np
import pytest
from PIL import Image

from modest.inference.predict import Predictor


@pytest.fixture
def predictor(untrained):
    return Predictor(untrained)


@pytest.fixture
def pair(tmp_path, rng):
    """Return the paths of two pictures of 60 x 40 px."""
    paths = [str(tmp_path / name) for name in ("a.jpg", "b.png")]
    for path in paths:
        Image.fromarray(rng.integers(0, 255, (40, 60, 3), np.uint8)).save(path)
    return paths
