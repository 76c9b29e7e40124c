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
SMALL = (
    "--size=32",
    "--epochs=1",
    "--config.batch_size=8",
    "--config.eval.batch_size=8",
    "--config.eval.pictures=1",
    "--config.data.library.composites=16",
)


def load(name):
    """Import an example. It is not in a package, so it is found by its path."""
    spec = importlib.util.spec_from_file_location(f"example_{name}", EXAMPLES / f"{name}.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture
def small_training(small_museum, prepared_dir, tmp_path):
    """Return the arguments of a short training on the tiny data set."""
    directories = [f"--workdir={tmp_path}", f"--config.data.prepared_dir={prepared_dir}"]
    return [*directories, *SMALL]


@pytest.fixture
def tversky():
    return load("own_loss").tversky


def test_train_and_evaluate(small_training, tmp_path, capsys):
    load("train").main(["--config=masknet", *small_training])
    trained = capsys.readouterr().out
    assert re.search(r"^test: mask IoU \d\.\d+, loss \d\.\d+$", trained, re.MULTILINE)

    load("evaluate").main([f"--workdir={tmp_path}", "--split=test", "--metric=loss"])
    evaluated = capsys.readouterr().out
    by_run = re.search(r"^evaluate.run: test: loss (\S+)$", evaluated, re.MULTILINE)
    by_hand = re.search(r"^Evaluator: test: loss (\S+)$", evaluated, re.MULTILINE)
    assert by_run[1] == by_hand[1]
    assert "pictures: bg, bg_fg, mask" in evaluated


def test_predict(untrained, tmp_path, capsys):
    out = tmp_path / "prediction"
    load("predict").main([f"--workdir={untrained}", f"--out={out}", "--size=48"])
    printed = capsys.readouterr().out
    assert re.search(r"^foreground: \d+\.\d% of the picture$", printed, re.MULTILINE)
    assert re.search(r"^median depth: \d+\.\d\d m$", printed, re.MULTILINE)
    written = {path.name for path in out.iterdir()}
    assert written == {"mask.png", "depth.png", "depth.npy", "prediction.png", "alignment.json"}
    assert np.load(out / "depth.npy").shape == (48, 48)


def test_train_with_own_loss(small_training, capsys, monkeypatch):
    monkeypatch.setattr(losses, "LOSSES", dict(losses.LOSSES))  # the example adds to it
    load("own_loss").main(small_training)
    printed = capsys.readouterr().out
    value = re.search(r"^test: (\d\.\d+), mask IoU \d\.\d+$", printed, re.MULTILINE)
    assert 0 < float(value[1]) < 1


def test_pair_of_the_prediction_differs_only_by_the_person():
    bg, bg_fg = load("predict").draw_pair(seed=7, size=64)
    assert bg.shape == bg_fg.shape == (64, 64, 3) and bg.dtype == np.uint8
    difference = np.abs(bg.astype(int) - bg_fg).max(axis=-1)
    assert 0.01 < (difference > 40).mean() < 0.5


@pytest.mark.parametrize("output", [0.0, 0.3, 1.0])
@pytest.mark.parametrize("target", [0.0, 1.0])
def test_own_loss_has_a_finite_gradient(tversky, output, target):
    outputs, targets = jnp.full((2, 4, 4, 1), output), jnp.full((2, 4, 4, 1), target)
    value, gradient = jax.value_and_grad(tversky)(outputs, targets)
    assert value.shape == () and jnp.isfinite(value) and jnp.isfinite(gradient).all()


def test_own_loss_does_not_depend_on_the_number_of_devices(tversky, rng):
    outputs, targets = rng.uniform(0, 1, (2, 16, 4, 4, 1)).astype(np.float32)

    def on_devices(outputs, targets):
        return tversky(outputs, targets, devices.AXIS)

    spread = devices.pmap(on_devices)(*devices.shard((outputs, targets)))
    assert len(spread) > 1
    np.testing.assert_allclose(spread, tversky(outputs, targets), rtol=1e-5)


def test_own_loss_of_extreme_predictions(tversky):
    ones, zeros = jnp.ones((1, 8, 8, 1)), jnp.zeros((1, 8, 8, 1))
    assert tversky(ones, ones) == tversky(zeros, zeros) == 0
    assert tversky(zeros, ones) > tversky(ones, zeros) > 0.9


def test_readme_lists_every_example():
    listed = re.findall(r"\((\w+\.py)\)", (EXAMPLES / "README.md").read_text())
    assert listed and set(listed) == {path.name for path in EXAMPLES.glob("*.py")}
