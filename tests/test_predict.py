"""Prediction of one pair, and the figures."""

import numpy as np
import pytest
from PIL import Image

from modest import config as configs
from modest import predict, report, state
from modest.checkpoint import Checkpoints


@pytest.fixture
def workdir(config, tmp_path):
    """A work directory with one checkpoint of an untrained network."""
    configs.save(config, tmp_path, dataset={})
    with Checkpoints(tmp_path / "checkpoints", keep=2) as checkpoints:
        checkpoints.save(0, state.create(config, 1, 1)[0](), {"step": 0, "epoch": 0})
    return tmp_path


@pytest.fixture
def pair(tmp_path, rng):
    paths = [str(tmp_path / name) for name in ("a.jpg", "b.png")]
    for path in paths:
        Image.fromarray(rng.integers(0, 255, (40, 60, 3), np.uint8)).save(path)
    return paths


def test_files_of_one_pair(workdir, pair, tmp_path):
    out = tmp_path / "out"
    assert predict.main(["--workdir", str(workdir), "--bg", pair[0], "--bg_fg", pair[1], "--out", str(out)]) == 0
    mask, depth = (np.asarray(Image.open(out / name)) for name in ("mask.png", "depth.png"))
    metres = np.load(out / "depth.npy")
    assert mask.shape == depth.shape == metres.shape == (40, 60)
    assert set(np.unique(mask)) <= {0, 255} and mask.dtype == np.uint8
    assert depth.dtype == np.uint16 and metres.dtype == np.float32 and 0 < metres.min() <= metres.max() < 10
    np.testing.assert_allclose(depth / 1000, metres, atol=0.00051)
    assert (out / "prediction.png").stat().st_size > 1000


@pytest.mark.parametrize("changed", ["gone", "size", "workdir"])
def test_bad_input(pair, tmp_path, capsys, changed):
    if changed == "size":
        Image.new("RGB", (10, 10)).save(pair[1])
    bg_fg = str(tmp_path / "gone.png") if changed == "gone" else pair[1]
    arguments = ["--workdir", str(tmp_path / "nothing"), "--bg", pair[0], "--bg_fg", bg_fg, "--out", str(tmp_path / "out")]
    assert predict.main(arguments) == 2
    error = capsys.readouterr().err
    assert error.count("\n") == 1
    assert {"gone": "gone.png: no such picture", "size": "60 x 40 and 10 x 10", "workdir": "nothing was trained"}[changed] in error


def test_curves_are_drawn_from_the_lines_alone():
    lines = [
        {"step": 1, "epoch": 1, "seconds": 1, "train/loss": 2.0, "train/mask/iou": 0.1},
        {"step": 2, "epoch": 1, "seconds": 2, "train/loss": 1.0, "train/mask/iou": 0.3},
        {"step": 2, "epoch": 1, "seconds": 3, "val/loss": 1.2, "val/mask/iou": 0.25},
    ]
    loss, iou = report.curves(lines).axes  # no depth in the lines, so no such panel
    assert (loss.get_title(), iou.get_title()) == ("loss", "mask IoU")
    training, validation = loss.get_lines()
    assert training.get_ydata().tolist() == [1.5] and validation.get_ydata().tolist() == [1.2]


def test_predictions_put_truth_beside_prediction():
    picture = lambda value, channels: np.full((1, 8, 8, channels), value, np.uint8)
    example = {"bg": picture(10, 3), "bg_fg": picture(20, 3), "mask": picture(255, 1), "output_mask": picture(200, 1)}
    example |= {"depth": picture(51, 1), "output_depth": picture(102, 1)}
    figure = report.predictions({"test": example})
    panels = [axis for axis in figure.axes if axis.get_images() and axis.get_title()]
    assert [axis.get_title() for axis in panels] == list(report.COLUMNS.values())
    shown = [axis.get_images()[0].get_array().max() for axis in panels]
    assert shown == pytest.approx([10, 20, 255, 200, 2.0, 4.0])  # depth in metres
    tile = report.tile(example)
    assert tile.shape == (8, 48, 3) and tile[0, ::8, 0].tolist() == [10, 20, 255, 200, 51, 102]
