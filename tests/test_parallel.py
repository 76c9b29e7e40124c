"""Eight devices compute what one does: the real training step, in float64."""

import functools

import jax
import numpy as np
import pytest

from modest import losses, parallel, state, step
from modest.models import layers

ALL_LOSSES = {"mask": {"bce": 1.0, "dice": 2.0, "ssim": 0.5}, "depth": {"rmse": 2.0, "ssim": 1.0}}
MASK_LOSSES = {"mask": {"bce": 1.0, "rmse": 1.0}}


def batch(size):
    rng = np.random.default_rng(0)
    pictures = {kind: rng.integers(0, 256, (8, size, size, 3), np.uint8) for kind in ("bg", "bg_fg")}
    targets = {kind: rng.integers(0, 256, (8, size, size, 1), np.uint8) for kind in ("mask", "depth")}
    return pictures | targets | {"valid": np.ones(8, bool)}


TOTAL_STEPS = 3  # of the schedule, however many are run


def create(config):
    """What `run` starts from; made once for several runs, since `init` takes long to compile."""
    init, *others = state.create(config, TOTAL_STEPS, steps_per_epoch=TOTAL_STEPS)
    return init(), *others


def run(made, config, weights, devices, steps, monkeypatch, size=32):
    """`steps` updates over the first `devices` devices: the final state, and what each step reported."""
    monkeypatch.setattr(parallel, "devices", lambda: jax.local_devices()[:devices])
    start, model, optimizer, learning_rate = made
    train_step = parallel.parallel(functools.partial(step.create(config, model, optimizer, learning_rate), weights=weights))
    replicated, reported = parallel.replicate(start), []
    for _ in range(steps):
        replicated, values = train_step(replicated, parallel.shard(batch(size)))
        reported.append(parallel.unreplicate(values))
    return replicated, reported


def difference(a, b):
    """The largest difference of two pytrees, relative to the largest number in each array."""
    worst = jax.tree.map(lambda x, y: np.abs(x - y).max() / max(np.abs(x).max(), 1e-12), a, b)
    return max(jax.tree.leaves(worst))


def test_eight_devices_equal_one(config, x64, monkeypatch):
    assert jax.local_device_count() == 8
    made = create(config)
    one, reported_by_one = run(made, config, ALL_LOSSES, 1, 3, monkeypatch)
    eight, reported_by_eight = run(made, config, ALL_LOSSES, 8, 3, monkeypatch)
    assert difference(parallel.unreplicate(one), parallel.unreplicate(eight)) < 1e-9
    assert difference(reported_by_one, reported_by_eight) < 1e-9
    for leaf in jax.tree.leaves(eight):  # every replica is the same to the bit
        copies = np.asarray(leaf)
        assert (copies == copies[:1]).all()


@pytest.mark.parametrize(("wide", "steps", "tolerance"), [(True, 50, 1e-12), (False, 10, 1e-5)])
def test_eight_devices_stay_with_one(quick, monkeypatch, wide, steps, tolerance):
    """Over fifty steps in float64; in float32 rounding grows, and over ten."""
    with jax.enable_x64(wide):
        made = create(quick)
        one, eight = (run(made, quick, MASK_LOSSES, devices, steps, monkeypatch, size=8)[0] for devices in (1, 8))
        assert difference(parallel.unreplicate(one).params, parallel.unreplicate(eight).params) < tolerance


def test_the_comparison_notices_mistakes(quick, x64, monkeypatch):
    made = create(quick)
    one, _ = run(made, quick, MASK_LOSSES, 1, 1, monkeypatch)
    one = parallel.unreplicate(one).params

    def difference_of_eight(plant=lambda patch: None):
        with monkeypatch.context() as patch:
            plant(patch)
            eight, _ = run(made, quick, MASK_LOSSES, 8, 1, patch)
        return difference(one, parallel.unreplicate(eight).params)

    moments = layers.batch_moments
    local_norm = lambda patch: patch.setattr(layers, "batch_moments", lambda x, axis_name: moments(x))
    root_before_mean = lambda patch: patch.setitem(losses.LOSSES, "rmse", lambda x, y, axis: jax.lax.pmean(losses.rmse(x, y), axis))
    sum_for_mean = lambda patch: patch.setattr(parallel, "mean", parallel.total)

    assert difference_of_eight() < 1e-9
    for mistake in (local_norm, root_before_mean, sum_for_mean):
        assert difference_of_eight(mistake) > 1e-6


def test_shard_and_unshard():
    rows = {"x": np.arange(16).reshape(16, 1)}
    sharded = parallel.shard(rows)
    assert sharded["x"].shape == (8, 2, 1)
    np.testing.assert_array_equal(parallel.unshard(sharded)["x"], rows["x"])


def test_prefetch_gives_every_batch_in_order_on_its_devices():
    batches = [{"x": np.full((16, 2), i)} for i in range(7)]
    doubled = parallel.parallel(lambda batch: jax.tree.map(lambda x: 2 * x, batch))
    given = list(parallel.prefetch(iter(batches)))
    assert [int(batch["x"][0, 0, 0]) for batch in given] == list(range(7))
    assert len(given[0]["x"].devices()) == 8
    np.testing.assert_array_equal(parallel.unshard(doubled(given[3]))["x"], 2 * batches[3]["x"])
    np.testing.assert_array_equal(given[3]["x"], parallel.shard(batches[3])["x"])


def test_a_step_is_compiled_once(rng):
    traced = []

    def step(state, batch):
        traced.append(1)
        return state + parallel.mean(batch.sum())

    mapped = parallel.parallel(step)
    state, batches = parallel.replicate(np.float32(0)), list(parallel.prefetch(rng.random((3, 8, 2), np.float32)))
    for batch in batches:
        state = mapped(state, batch)
    assert len(traced) == 1
