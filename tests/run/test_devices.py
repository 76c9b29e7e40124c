"""Eight devices compute what one device does: the real training step, in float64."""

import dataclasses
import functools

import jax
import numpy as np
import pytest

import small_networks
from modest import losses
from modest.models import layers
from modest.run import devices
from modest.state import train_state
from modest.training.step import StepOptions, train_step

ALL_LOSSES = {"mask": {"bce": 1.0, "dice": 2.0, "ssim": 0.5}, "depth": {"rmse": 2.0, "ssim": 1.0}}
MASK_LOSSES = {"mask": {"bce": 1.0, "rmse": 1.0}}


def batch(size):
    rng = np.random.default_rng(0)
    pictures = {
        kind: rng.integers(0, 256, (8, size, size, 3), np.uint8) for kind in ("bg", "bg_fg")
    }
    targets = {
        kind: rng.integers(0, 256, (8, size, size, 1), np.uint8) for kind in ("mask", "depth")
    }
    return pictures | targets | {"valid": np.ones(8, bool)}


TOTAL_STEPS = 3  # length of the schedule, however many steps are run


def create(config):
    """Return the initial state, and the model and optimizer. Share them: `init` compiles slowly."""
    created = train_state.create(config, TOTAL_STEPS, steps_per_epoch=TOTAL_STEPS)
    return created.init(), created


def run(config, made, weights, count, steps, monkeypatch, size=32):
    """Do `steps` updates on the first `count` devices; return the state, and the values of each."""
    monkeypatch.setattr(devices, "all_devices", lambda: jax.local_devices()[:count])
    start, created = made
    options = dataclasses.replace(StepOptions.from_config(config, created), weights=weights)
    mapped = devices.pmap(functools.partial(train_step, options))
    replicated, reported = devices.replicate(start), []
    for _ in range(steps):
        replicated, values = mapped(replicated, devices.shard(batch(size)))
        reported.append(devices.unreplicate(values))
    return replicated, reported


def difference(a, b):
    """Return the largest difference of two pytrees, relative to the largest value of each array."""
    worst = jax.tree.map(lambda x, y: np.abs(x - y).max() / max(np.abs(x).max(), 1e-12), a, b)
    return max(jax.tree.leaves(worst))


def test_eight_devices_equal_one(config, x64, monkeypatch):
    """With both heads; the U-Net has the same layers as DepthNet and compiles faster."""
    assert jax.local_device_count() == 8
    config.model = small_networks.section("unet")
    made = create(config)
    one, reported_by_one = run(config, made, ALL_LOSSES, 1, 3, monkeypatch)
    eight, reported_by_eight = run(config, made, ALL_LOSSES, 8, 3, monkeypatch)
    assert difference(devices.unreplicate(one), devices.unreplicate(eight)) < 1e-9
    assert difference(reported_by_one, reported_by_eight) < 1e-9
    for leaf in jax.tree.leaves(eight):  # all replicas are bit-identical
        copies = np.asarray(leaf)
        assert (copies == copies[:1]).all()


@pytest.mark.parametrize(("x64", "steps", "tolerance"), [(True, 50, 1e-12), (False, 10, 1e-5)])
def test_eight_devices_stay_equal_to_one(quick, monkeypatch, x64, steps, tolerance):
    """Over fifty steps in float64; in float32, where rounding errors grow, over ten."""
    with jax.enable_x64(x64):
        made = create(quick)
        one, eight = (
            run(quick, made, MASK_LOSSES, count, steps, monkeypatch, size=8)[0] for count in (1, 8)
        )
        params, other = (devices.unreplicate(state).params for state in (one, eight))
        assert difference(params, other) < tolerance


@pytest.mark.parametrize("mistake", [None, "local_norm", "root_before_mean", "sum_for_mean"])
def test_comparison_notices_mistakes(quick, x64, monkeypatch, mistake):
    """Without a mistake the difference is rounding; each mistake makes it larger."""
    made = create(quick)
    one, _ = run(quick, made, MASK_LOSSES, 1, 1, monkeypatch, size=8)
    one = devices.unreplicate(one).params
    moments, rmse = layers.batch_moments, losses.LOSSES["rmse"]
    if mistake == "local_norm":
        monkeypatch.setattr(layers, "batch_moments", lambda x, axis_name: moments(x))
    if mistake == "root_before_mean":
        mean_of_roots = lambda x, y, axis: jax.lax.pmean(rmse(x, y), axis)  # noqa: E731
        monkeypatch.setitem(losses.LOSSES, "rmse", mean_of_roots)
    if mistake == "sum_for_mean":
        monkeypatch.setattr(devices, "mean", devices.total)
    eight, _ = run(quick, made, MASK_LOSSES, 8, 1, monkeypatch, size=8)
    found = difference(one, devices.unreplicate(eight).params)
    assert found < 1e-9 if mistake is None else found > 1e-6


def test_shard_and_unshard():
    rows = {"x": np.arange(16).reshape(16, 1)}
    sharded = devices.shard(rows)
    assert sharded["x"].shape == (8, 2, 1)
    np.testing.assert_array_equal(devices.unshard(sharded)["x"], rows["x"])


def test_prefetch_yields_every_batch_in_order_on_its_devices():
    batches = [{"x": np.full((16, 2), i)} for i in range(7)]
    doubled = devices.pmap(lambda batch: {"x": 2 * batch["x"]})
    given = list(devices.prefetch(iter(batches)))
    assert [int(batch["x"][0, 0, 0]) for batch in given] == list(range(7))
    assert len(given[0]["x"].devices()) == 8
    np.testing.assert_array_equal(devices.unshard(doubled(given[3]))["x"], 2 * batches[3]["x"])
    np.testing.assert_array_equal(given[3]["x"], devices.shard(batches[3])["x"])


def test_step_is_compiled_once(rng):
    traced = []

    def step(state, batch):
        traced.append(1)
        return state + devices.mean(batch.sum())

    mapped = devices.pmap(step)
    state = devices.replicate(np.float32(0))
    batches = list(devices.prefetch(rng.random((3, 8, 2), np.float32)))
    for batch in batches:
        state = mapped(state, batch)
    assert len(traced) == 1
