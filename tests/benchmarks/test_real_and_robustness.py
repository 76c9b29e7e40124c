"""`benchmarks/real.py` and `benchmarks/robustness.py` as commands, with two simulated networks."""

import json
import math

import numpy as np
import pytest
from PIL import Image

from benchmarks import real, robustness
from benchmarks.jobs import real_sets
from modest.commands import process
from modest.inference import predict

SIDE = 48  # px
NETWORKS = ["--workdir=runs/exact", "--workdir=runs/blind"]


class Network:
    """Take as foreground what differs, or nothing if the work directory is called `blind`."""

    def __init__(self, workdir, size=None):
        self.size = size or 64
        self._sees = workdir != "runs/blind"

    def __call__(self, bg, bg_fg):
        differs = np.abs(bg.astype(int) - bg_fg).max(axis=2) > 30
        return {"mask": (differs & self._sees).astype(np.float32)}


@pytest.fixture
def squares(tmp_path, rng, monkeypatch):
    """Return a data set of dark squares on three bright backgrounds; simulate the networks."""
    monkeypatch.setattr(predict, "Predictor", Network)
    directory, lines = tmp_path / "squares", []
    for kind in ("bg", "bg_fg", "bg_fg_mask"):
        (directory / kind).mkdir(parents=True)
    mask = np.zeros((SIDE, SIDE), np.uint8)
    mask[20:40, 10:30] = 255
    for name in ("bg1", "bg2", "bg3"):
        bg = rng.integers(80, 256, (SIDE, SIDE, 3), np.uint8)
        bg_fg = np.where(mask[..., None] > 0, 0, bg).astype(np.uint8)
        Image.fromarray(bg).save(directory / f"bg/{name}.png")
        Image.fromarray(bg_fg).save(directory / f"bg_fg/{name}_fg1_1.png")
        Image.fromarray(mask).save(directory / f"bg_fg_mask/{name}_mask.png")
        lines.append(f"{name} {name}_fg1_1 {name}_mask -\n")
    (directory / "file_map.txt").write_text("".join(lines))
    return directory


def test_real_writes_each_network_and_their_mean(squares, tmp_path, capsys):
    out = tmp_path / "out"
    arguments = [*NETWORKS, f"--set=squares={squares}", "--mean", f"--out={out}"]
    assert process.run(real.main, arguments) == 0
    exact, blind, mean = json.loads((out / "real.json").read_text())
    assert [exact["set"], blind["set"], mean["set"]] == ["squares"] * 3
    assert [exact["workdir"], blind["workdir"]] == ["runs/exact", "runs/blind"]
    assert [exact["size"], blind["size"]] == [64, 64]
    assert [exact["pictures"], blind["pictures"], mean["networks"]] == [3, 3, 2]
    assert [exact["iou"], blind["iou"], mean["iou"]] == [1, 0, 0.5]
    assert mean["iou/spread"] == pytest.approx(math.sqrt(0.5))  # of 0 and 1
    assert "mean, squares: networks 2, iou 0.5" in capsys.readouterr().out
    sheets = {path.name for path in out.glob("*.png")}
    assert sheets == {"worst_exact_squares.png", "worst_blind_squares.png"}


def test_robustness_writes_every_change_of_each_network(squares, tmp_path, capsys, monkeypatch):
    monkeypatch.setattr(real_sets, "embedded", lambda: real_sets.pairs(squares))
    amounts = {"exposure": [1, 0.4], robustness.WRONG: [0, 1]}
    monkeypatch.setattr(robustness, "AMOUNTS", amounts)
    out = tmp_path / "out"
    arguments = [*NETWORKS, f"--set=squares={squares}", "--count=2", "--size=96", f"--out={out}"]
    assert process.run(robustness.main, arguments) == 0
    rows = json.loads((out / "robustness.json").read_text())
    assert all((row["size"], row["pairs"]) == (96, 2) for row in rows)
    ious = {(row["set"], row["workdir"], row["change"], row["amount"]): row["iou"] for row in rows}
    assert len(rows) == len(ious) == 2 * 2 * 4  # sets, networks, changes
    for name in ("test", "squares"):
        for change, (unchanged, changed) in amounts.items():
            assert ious[name, "runs/exact", change, unchanged] == 1
            assert 0 < ious[name, "runs/exact", change, changed] < 0.5
            assert ious[name, "runs/blind", change, unchanged] == 0
    table = capsys.readouterr().out
    assert table.count("| change | | runs/exact | runs/blind |") == 2
    assert table.count("| exposure, factor | 1 | 1.000 | 0.000 |") == 2
    assert (out / "robustness.png").stat().st_size > 5000
