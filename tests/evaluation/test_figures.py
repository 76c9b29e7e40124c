"""Figures show what the files hold."""

import numpy as np
import pytest

from modest.errors import InputError
from modest.evaluation import figures


def test_curves_show_means_by_epoch():
    lines = [
        {"step": 1, "epoch": 1, "seconds": 1, "train/loss": 2.0, "train/mask/iou": 0.1},
        {"step": 2, "epoch": 1, "seconds": 2, "train/loss": 1.0, "train/mask/iou": 0.3},
        {"step": 2, "epoch": 1, "seconds": 3, "val/loss": 1.2, "val/mask/iou": 0.25},
    ]
    loss, iou = figures.curves(lines).axes  # no panel for depth, which the lines do not have
    assert (loss.get_title(), iou.get_title()) == ("loss", "mask IoU")
    training, validation = loss.get_lines()
    assert training.get_ydata().tolist() == [1.5] and validation.get_ydata().tolist() == [1.2]


def test_damaged_pictures_are_refused(tmp_path):
    path = tmp_path / "predictions.npz"
    np.savez(path, **{"test/bg": np.arange(100), "b/c/bg": np.zeros(2)})
    assert set(figures.read_pictures(path)) == {"test", "b/c"}
    content = path.read_bytes()
    for damaged in (content[:200], b"", content[:100] + b"\0" + content[101:]):
        path.write_bytes(damaged)
        with pytest.raises(InputError, match="predictions.npz: damaged"):
            figures.write(tmp_path)


def test_predictions_show_truth_beside_prediction():
    def picture(value, channels):
        return np.full((1, 8, 8, channels), value, np.uint8)

    example = {"bg": picture(10, 3), "bg_fg": picture(20, 3), "mask": picture(255, 1)}
    example |= {"output_mask": picture(200, 1), "depth": picture(51, 1)}
    example |= {"output_depth": picture(102, 1)}
    figure = figures.predictions({"test": example})
    panels = [axis for axis in figure.axes if axis.get_images() and axis.get_title()]
    assert [axis.get_title() for axis in panels] == list(figures.COLUMNS.values())
    shown = [axis.get_images()[0].get_array().max() for axis in panels]
    assert shown == pytest.approx([10, 20, 255, 200, 2.0, 4.0])  # depth in metres
    assert panels[0].get_ylabel() == "test 0"
    assert figures.predictions({"": example}).axes[0].get_ylabel() == ""  # a pair
    tile = figures.tile(example)
    assert tile.shape == (8, 48, 3)
    assert tile[0, ::8, 0].tolist() == [10, 20, 255, 200, 51, 102]
