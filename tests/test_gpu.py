"""What a GPU must do as a CPU does. Run on a CPU, these tests compare it with itself.

Others that are worth running on a GPU are marked too: the original's numbers in float64, bfloat16
against float32, and a run that was stopped and resumed.
"""

import functools

import jax
import numpy as np
import pytest
from jax.experimental.compilation_cache import compilation_cache

from modest.evaluation import evaluator
from modest.inference.predict import Predictor
from modest.run import devices
from modest.state import train_state, weights
from modest.state.restore import restore
from modest.training import loop
from modest.training.step import StepOptions, train_step

pytestmark = pytest.mark.gpu


@pytest.fixture
def uncached():
    """Compile every program, also those that the persistent compilation cache has."""
    before = jax.config.jax_enable_compilation_cache
    _enable_cache(False)
    yield
    _enable_cache(before)


def _enable_cache(enabled):
    jax.config.update("jax_enable_compilation_cache", enabled)
    compilation_cache.reset_cache()  # JAX looks at the setting once


def cpu():
    return jax.devices("cpu")[0]


def batch(rng, size=32, examples=8):
    kinds = {"bg": 3, "bg_fg": 3, "mask": 1, "depth": 1}
    shapes = {kind: (examples, size, size, channels) for kind, channels in kinds.items()}
    pictures = {kind: rng.integers(0, 256, shape, np.uint8) for kind, shape in shapes.items()}
    return pictures | {"valid": np.ones(examples, bool)}


def steps(config, examples, device, monkeypatch, count=2):
    """Return the state after some steps on one device, compiled anew; NumPy arrays."""
    jax.clear_caches()
    monkeypatch.setattr(devices, "all_devices", lambda: [device])
    monkeypatch.setattr(devices, "local_devices", lambda: [device])
    created = train_state.create(config, 10, 10)
    options = StepOptions.from_config(config, created)
    step = devices.pmap(functools.partial(train_step, options))
    state = devices.replicate(created.init())
    for _ in range(count):
        state, _ = step(state, devices.shard(examples))
    return devices.unreplicate(state)


def test_step_in_float64_equals_that_of_the_cpu(quick, rng, x64, monkeypatch):
    examples = batch(rng)
    states = [steps(quick, examples, device, monkeypatch) for device in (jax.devices()[0], cpu())]
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-9, atol=1e-11), *states)


def test_program_that_is_compiled_again_gives_the_same_bits(quick, rng, monkeypatch, uncached):
    quick.precision = "bfloat16"
    examples = batch(rng)
    states = [steps(quick, examples, jax.devices()[0], monkeypatch) for _ in range(2)]
    jax.tree.map(np.testing.assert_array_equal, *states)


@pytest.mark.parametrize("size", [64, 128, 224])
def test_pixels_of_stored_masks_are_counted_exactly(quick, rng, size, monkeypatch):
    """jaxlib 0.11.2 miscounted them in the program of an evaluation."""
    monkeypatch.setattr(devices, "all_devices", lambda: jax.local_devices()[:1])
    created = train_state.create(quick, 10, 10)
    examples = batch(rng, size)
    blocks = rng.random((8, size // 8, size // 8, 1)) < 0.1  # as coherent as people
    examples["mask"] = 255 * blocks.repeat(8, axis=1).repeat(8, axis=2).astype(np.uint8)
    weights = quick.loss.to_dict()
    step = devices.pmap(
        functools.partial(evaluator.eval_step, model=created.model, weights=weights)
    )
    sums, outputs = step(devices.replicate(created.init()), devices.shard(examples))
    predicted, true = np.asarray(outputs["mask"])[0] >= 0.5, examples["mask"] > 127
    both = (predicted & true).sum(axis=(1, 2, 3))
    recall = both / true.sum(axis=(1, 2, 3))
    mean = devices.unreplicate(sums["mask/recall"]).value()
    np.testing.assert_allclose(mean, recall.mean(), atol=1e-5)


def test_weights_move_to_the_cpu_and_back(quick, rng, tmp_path, monkeypatch):
    monkeypatch.setattr(devices, "all_devices", lambda: jax.local_devices()[:1])
    quick.stages = ((32, 1),)
    loop.fit(quick, tmp_path / "run")
    bg, bg_fg = rng.integers(0, 256, (2, 32, 32, 3), np.uint8)
    file = tmp_path / f"weights{weights.SUFFIX}"
    with jax.default_device(cpu()):
        weights.save(file, restore(tmp_path / "run"), made_by={})
    for source in (tmp_path / "run", file):
        here = Predictor(source)(bg, bg_fg)["mask"]
        with jax.default_device(cpu()):
            there = Predictor(source)(bg, bg_fg)["mask"]
        np.testing.assert_allclose(there, here, atol=0.02)  # a GPU multiplies in TF32, 10 bits
