"""Optimizer, schedules and moving average, against their definitions."""

import jax
import numpy as np
import optax
import pytest

from modest.run import validation
from modest.state import train_state
from modest.state.optimizer import create_optimizer, create_schedule
from modest.state.train_state import TrainState

SCHEDULES = ["constant", "step", "plateau", "one_cycle", "cosine", "trapezoid"]


@pytest.mark.parametrize("schedule", SCHEDULES)
def test_schedules(config, schedule):
    config.optimizer.schedule = schedule
    config.optimizer.step.epochs = 2
    rate = create_schedule(config.optimizer, total_updates=100, updates_per_epoch=10)
    rates = np.asarray([rate(update) for update in range(100)])
    assert rates.max() == pytest.approx(0.1, rel=1e-3)
    last = {"step": 1e-5, "one_cycle": 0, "cosine": 0, "trapezoid": 0.1 / 30}
    assert rates[99] == pytest.approx(last.get(schedule, 0.1), abs=1e-4)
    if schedule == "step":
        assert rates[19] == pytest.approx(0.1) and rates[20] == pytest.approx(0.01)
    if schedule == "trapezoid":
        assert rates[70] == pytest.approx(0.1) and rates[85] == pytest.approx(0.05)


def test_trapezoid_longer_than_the_run_decays_from_the_end_of_the_warmup(config):
    config.optimizer.schedule, config.optimizer.trapezoid.epochs = "trapezoid", 1000
    rate = create_schedule(config.optimizer, total_updates=100, updates_per_epoch=10)
    assert rate(50) == pytest.approx(0.05)


def test_warmup_rises_from_zero(config):
    config.optimizer.warmup = 0.1
    rate = create_schedule(config.optimizer, total_updates=100, updates_per_epoch=10)
    assert [float(rate(update)) for update in (0, 5, 10)] == pytest.approx([0, 0.05, 0.1])


def test_steps_are_counted_from_the_first_epoch(config):
    config.optimizer.schedule, config.optimizer.warmup = "step", 0.05
    config.optimizer.step.epochs = 9
    rate = create_schedule(config.optimizer, total_updates=1200, updates_per_epoch=100)
    assert rate(899) == pytest.approx(0.1) and rate(900) == pytest.approx(0.01)


@pytest.mark.parametrize("accumulate", [1, 4])
@pytest.mark.parametrize("schedule", validation.SCHEDULES)
def test_state_can_be_described_without_knowing_the_steps(config, schedule, accumulate):
    """A reader of checkpoints does not know them."""
    config.optimizer.schedule, config.optimizer.warmup = schedule, 0.6
    config.accumulate = accumulate
    created = train_state.create(config, total_steps=1, steps_per_epoch=1)
    assert jax.eval_shape(created.init).step.shape == ()


def test_plateau_lowers_the_rate_when_the_loss_stays_the_same(config):
    config.optimizer.schedule = "plateau"
    config.optimizer.plateau.epochs = 2
    created = train_state.create(config, 40, 5)
    params = {"w": np.zeros(2, np.float32)}
    opt_state = created.optimizer.init(params)
    scales = []
    for _ in range(20):
        _, opt_state = created.optimizer.update(params, opt_state, params, value=np.float32(1.0))
        state = TrainState(np.int32(0), params, {}, opt_state, statistics={})
        scales.append(float(created.learning_rate(state)))
    assert scales[9] == pytest.approx(0.1) and scales[-1] == pytest.approx(0.01)


def test_moving_average_follows_its_definition():
    average = {"params": {"w": 1.0}, "batch_stats": {"m": 2.0}}
    state = TrainState(0, {"w": 3.0}, {"m": 1.0}, None, None, average)
    updated = train_state.update_average(state, 0.9).average
    assert updated["params"]["w"] == pytest.approx(1.2)
    assert updated["batch_stats"]["m"] == pytest.approx(1.9)


def test_gradient_with_a_large_norm_is_clipped(config):
    config.optimizer.clip_norm = 2.0
    config.optimizer.momentum = config.optimizer.weight_decay = 0.0
    schedule = create_schedule(config.optimizer, 10, 5)
    optimizer = create_optimizer(config.optimizer, schedule, 5)
    params = {"w": np.zeros(2, np.float32)}
    for gradient, expected in (([3.0, 4.0], [-0.12, -0.16]), ([0.3, 0.4], [-0.03, -0.04])):
        gradients, opt_state = {"w": np.float32(gradient)}, optimizer.init(params)
        updates, _ = optimizer.update(gradients, opt_state, params, value=np.float32(1))
        np.testing.assert_allclose(updates["w"], expected, rtol=1e-5)


def test_accumulated_batches_make_one_update_at_the_rate_of_that_update(config):
    config.accumulate, config.optimizer.schedule = 2, "cosine"
    config.optimizer.momentum = config.optimizer.weight_decay = 0.0
    created = train_state.create(config, total_steps=8, steps_per_epoch=4)
    params = {"w": np.zeros(1, np.float32)}
    opt_state = created.optimizer.init(params)
    state = TrainState(np.int32(0), params, {}, opt_state, statistics={})
    weights, rates = [], []
    for step in range(8):
        rates.append(float(created.learning_rate(state)))
        gradients = {"w": np.float32([step + 1])}
        updates, opt_state = created.optimizer.update(
            gradients, state.opt_state, state.params, value=np.float32(1)
        )
        params = optax.apply_updates(state.params, updates)
        state = state.replace(step=state.step + 1, params=params, opt_state=opt_state)
        weights.append(float(state.params["w"][0]))
    cosine = [0.1 * (1 + np.cos(np.pi * update / 4)) / 2 for update in range(4)]
    np.testing.assert_allclose(rates, np.repeat(cosine, 2), rtol=1e-5)
    means = np.asarray([1.5, 3.5, 5.5, 7.5])
    np.testing.assert_allclose(weights[1::2], -np.cumsum(cosine * means), rtol=1e-5)
    assert weights[0] == 0 and weights[2] == weights[1]
