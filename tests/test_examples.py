"""The scripts of `docs/examples`, on a tiny data set and with a narrow network."""

import importlib.util
import re

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from modest import losses
from modest.run import devices
from repository import ROOT

EXAMPLES = ROOT / "docs" / "examples"
SMALL_CONFIG = (
    "--config.model.width=2",
    "--config.batch_size=8",
    "--config.eval.batch_size=8",
    "--config.eval.pictures=1",
)


def load(name):
    """Import an example. It is not in a package, so it is found by its path."""
    spec = importlib.util.spec_from_file_location(f"example_{name}", EXAMPLES / f"{name}.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture
def small_training(small_museum, prepared_dir, monkeypatch):
    """Arguments of a short training on the tiny data set; losses that it adds are removed again."""
    monkeypatch.setattr(losses, "LOSSES", dict(losses.LOSSES))
    return [
        "--size=32",
        "--composites=16",
        *SMALL_CONFIG,
        f"--config.data.prepared_dir={prepared_dir}",
    ]


@pytest.fixture
def silog():
    return load("own_loss").silog


def test_train_evaluate_and_predict(small_training, tmp_path, capsys):
    workdir = f"--workdir={tmp_path}"
    load("train").main([workdir, "--epochs=1", *small_training])
    trained = capsys.readouterr().out
    assert re.search(r"^test: mask IoU 0\.\d+, depth RMSE 0\.\d+$", trained, re.MULTILINE)

    load("evaluate").main([workdir, "--split=test", "--metric=depth/rmse"])
    evaluated = capsys.readouterr().out
    by_run = re.search(r"^evaluate.run: test: depth/rmse (\S+)$", evaluated, re.MULTILINE)
    by_hand = re.search(r"^Evaluator: test: depth/rmse (\S+)$", evaluated, re.MULTILINE)
    assert by_run[1] == by_hand[1]
    assert "pictures: bg, bg_fg, mask, depth" in evaluated

    out = tmp_path / "prediction"
    load("predict").main([workdir, f"--out={out}", "--size=48"])
    predicted = capsys.readouterr().out
    assert re.search(r"^foreground: \d+\.\d% of the picture$", predicted, re.MULTILINE)
    assert re.search(r"^median depth: \d+\.\d\d m$", predicted, re.MULTILINE)
    written = {path.name for path in out.iterdir()}
    assert written == {"mask.png", "depth.png", "depth.npy", "prediction.png"}
    assert np.load(out / "depth.npy").shape == (48, 48)


def test_train_with_own_loss(small_training, tmp_path, capsys):
    load("own_loss").main([f"--workdir={tmp_path}", *small_training])
    printed = re.search(r"^test: silog (\S+)$", capsys.readouterr().out, re.MULTILINE)
    assert 0 < float(printed[1]) < 2


def test_pair_of_the_prediction_differs_only_by_the_person():
    bg, bg_fg = load("predict").draw_pair(seed=7, size=64)
    assert bg.shape == bg_fg.shape == (64, 64, 3) and bg.dtype == np.uint8
    difference = np.abs(bg.astype(int) - bg_fg).max(axis=-1)
    assert 0.01 < (difference > 40).mean() < 0.5


@pytest.mark.parametrize("output", [0.0, 0.3, 1.0])
def test_own_loss_has_a_finite_gradient(silog, output):
    outputs, targets = jnp.full((2, 4, 4, 1), output), jnp.full((2, 4, 4, 1), 0.3)
    value, gradient = jax.value_and_grad(silog)(outputs, targets)
    assert value.shape == () and jnp.isfinite(value) and jnp.isfinite(gradient).all()


def test_own_loss_does_not_depend_on_the_number_of_devices(silog, rng):
    outputs, targets = rng.uniform(0.05, 1, (2, 16, 4, 4, 1)).astype(np.float32)

    def on_devices(outputs, targets):
        return silog(outputs, targets, devices.AXIS)

    spread = devices.pmap(on_devices)(*devices.shard((outputs, targets)))
    assert len(spread) > 1
    np.testing.assert_allclose(spread, silog(outputs, targets), rtol=1e-5)


def test_readme_lists_every_example():
    listed = re.findall(r"\((\w+\.py)\)", (EXAMPLES / "README.md").read_text())
    assert listed and set(listed) == {path.name for path in EXAMPLES.glob("*.py")}
