"""`python -m modest export`: the file holds the network of a run, and its metrics."""

import json

import jax
import numpy as np
import pytest

from modest.commands import export, process
from modest.run import configs, workdirs
from modest.state import weights
from modest.state.restore import restore, restore_best


def run_export(workdir, out):
    return process.run(export.main, ["--workdir", str(workdir), "--out", str(out)])


def test_file_holds_network_and_metrics(untrained, capsys):
    own, other = {"test": {"mask/iou": 0.5}}, {"test": {"mask/iou": 0.25}}
    (untrained / workdirs.EVAL).write_text(json.dumps(own))
    (untrained / "museum").mkdir()  # as an evaluation on another data set leaves it
    (untrained / "museum" / workdirs.EVAL).write_text(json.dumps(other))
    file = untrained / "network.safetensors"
    assert run_export(untrained, file) == 0
    assert f"{file}: {file.stat().st_size / 1e6:.1f} MB\n" in capsys.readouterr().out
    assert weights.describe(file)["metrics"] == {"own": own, "museum": other}
    read, trained = restore(file), restore_best(untrained)
    assert read.config.to_dict() == trained.config.to_dict()
    jax.tree.map(np.testing.assert_array_equal, read.state.batch_stats, trained.state.batch_stats)


def test_other_suffix_is_refused(tmp_path, capsys):
    file = tmp_path / "network.npz"
    assert run_export(tmp_path, file) == 2
    assert f"--out={file}: must end in .safetensors" in capsys.readouterr().err
    assert not file.exists()


def test_damaged_metrics_are_refused(untrained, capsys, tmp_path):
    (untrained / workdirs.EVAL).write_text("{")
    out = tmp_path / "own.safetensors"
    assert process.run(export.main, ["--workdir", str(untrained), "--out", str(out)]) == 2
    assert "eval.json: damaged" in capsys.readouterr().err and not out.exists()


@pytest.mark.parametrize(("key", "value"), [("name", "resnet"), ("width", "wide")])
def test_config_that_describes_no_network_is_refused(untrained, capsys, tmp_path, key, value):
    path = untrained / configs.FILE
    values = json.loads(path.read_text())
    values["model"][key] = value
    path.write_text(json.dumps(values))
    arguments = ["--workdir", str(untrained), "--out", str(tmp_path / "own.safetensors")]
    assert process.run(export.main, arguments) == 2
    assert "config.json: describes no network" in capsys.readouterr().err
