"""The weights in the package: they are the ones that docs/models.md describes, and they work."""

import hashlib
import io

import numpy as np
import pytest
from PIL import Image

from modest.data import composite
from modest.data.synthetic import dataset
from modest.inference.predict import Predictor
from modest.preprocess import to_metres
from modest.state import weights
from repository import ROOT


def decode(encoded):
    return np.asarray(Image.open(io.BytesIO(encoded)))


def test_weights_are_those_of_the_model_card():
    for name in weights.RELEASED:
        digest = hashlib.sha256(weights.released(name).read_bytes()).hexdigest()
        assert digest in (ROOT / "docs" / "models.md").read_text()


@pytest.mark.parametrize(
    ("name", "overlap", "metres"), [("modest", 0.9, 0.5), ("modest_small", 0.8, 0.7)]
)
def test_weights_segment_drawn_pictures_and_see_their_depth(name, overlap, metres):
    museum = dataset.SyntheticMuseum(seed=77, rooms=3, people=3)
    predictor, overlaps, errors = Predictor(name), [], []
    for index in range(3):
        room, person = dataset.room(museum, index), dataset.person(museum, index)
        made = next(dataset.composites(museum, room, index, person, index))
        bg = decode(dataset.background(museum, index, room)["picture"])
        maps = predictor(bg, decode(made["bg_fg"]))
        mask, truth = maps["mask"] >= 0.5, decode(made["mask"]) > composite.FOREGROUND
        overlaps.append((mask & truth).sum() / (mask | truth).sum())
        depth = to_metres(decode(made["depth"]) / np.float32(255))
        errors.append(np.abs(to_metres(maps["depth"]) - depth).mean())
    assert np.mean(overlaps) > overlap
    assert np.mean(errors) < metres
