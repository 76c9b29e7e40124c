"""The learning rate range test.

L. N. Smith, "Cyclical learning rates for training neural networks", 2017.

    python -m modest lr-range --config depthnet

The learning rate rises geometrically from step to step. The loss falls where the rate is useful,
and diverges where it is too high. The test starts with a new network, and neither reads nor writes
checkpoints. It writes `lr_range.json` and `figures/lr_range.png`.
"""

import itertools
import math
import pathlib
from collections.abc import Sequence
from typing import Any

import numpy as np
import optax
from ml_collections import ConfigDict

from modest.errors import TrainingError
from modest.evaluation import figures
from modest.run import devices, files, logbook, validation, workdirs
from modest.training.setup import TrainingSetup

SMOOTHING = 0.9  # decay of the moving average of the loss
WINDOW = round(1 / (1 - SMOOTHING))  # number of losses that dominate the average
DIVERGED = 4.0  # the test ends if the loss is above this multiple of the lowest smoothed loss


def run(config: ConfigDict, workdir: str | pathlib.Path) -> dict[str, Any]:
    """Run the test with the data, network, losses and first picture size of a config.

    Returns:
      `learning_rate`, `loss` and `smoothed`, lists with an entry per step; `steepest`, the rate at
      which the smoothed loss falls fastest; and `tenth_of_lowest`, a tenth of the rate at which it
      is lowest. Both are customary choices for the highest rate of a schedule.

    Raises:
      InputError: the data set cannot be used, or another process trains in the work directory.
      TrainingError: the first loss is not finite.
    """
    validation.validate_devices(config, len(devices.all_devices()))
    options = config.lr_range
    schedule = optax.exponential_decay(
        options.lowest, options.steps - 1, options.highest / options.lowest
    )
    with workdirs.locked(workdir) as workdir:
        setup = TrainingSetup(_simplified(config), schedule)
        results = summary(*_measure(setup, options.steps))
        files.write_json(workdir / workdirs.LR_RANGE, results)
        path = workdir / workdirs.FIGURES / "lr_range.png"
        figures.save(figures.learning_rates(results), path)
    logbook.say(str(workdir / workdirs.LR_RANGE))
    logbook.say(str(path))
    steepest, tenth = results["steepest"], results["tenth_of_lowest"]
    logbook.say(
        f"steepest at {steepest:.2g}; a tenth of the rate at the lowest loss is {tenth:.2g}"
    )
    return results


def smooth(losses: Sequence[float]) -> list[float]:
    """Return the moving average of the losses, bias-corrected like Adam's moments."""
    average, values = 0.0, []
    for n, loss in enumerate(losses, start=1):
        average = SMOOTHING * average + (1 - SMOOTHING) * loss
        values.append(average / (1 - SMOOTHING**n))
    return values


def summary(rates: Sequence[float], losses: Sequence[float]) -> dict[str, Any]:
    """Return what `run` returns, from the rates and losses of all steps."""
    smoothed = smooth(losses)
    slopes = np.gradient(smoothed, np.log(rates)) if len(rates) > 1 else np.zeros(1)
    # The average of few losses is noisy, and so is its slope.
    slopes[: min(WINDOW, len(rates) - 1)] = np.inf
    return {
        "learning_rate": rates,
        "loss": losses,
        "smoothed": smoothed,
        "steepest": rates[int(np.argmin(slopes))],
        "tenth_of_lowest": rates[int(np.argmin(smoothed))] / 10,
    }


def _simplified(config):
    """Return the config with one stage, and without settings that would disturb the test."""
    config = config.copy_and_resolve_references().unlock()
    config.optimizer.schedule = "constant"
    config.accumulate, config.early_stop, config.profile = 1, 0, ()
    config.stages = ((config.stages[0][0], 1),)
    return config


def _measure(setup: TrainingSetup, steps: int) -> tuple[list[float], list[float]]:
    """Return rates and losses of `steps` steps, or of fewer if the loss diverges."""
    state = devices.replicate(setup.new_state())
    rates: list[float] = []
    losses: list[float] = []
    with logbook.Progress(steps, "learning rates") as progress:
        for batch, library in itertools.islice(_endless_batches(setup), steps):
            state, values = setup.step(state, batch, library)
            loss = float(devices.unreplicate(values["loss"]))
            rate = float(devices.unreplicate(values["learning_rate"]))
            if not math.isfinite(loss):
                if not losses:
                    raise TrainingError(
                        f"the loss of the first step, at the rate {rate:.2g}, is not finite"
                    )
                break
            rates.append(rate)
            losses.append(loss)
            progress.step(loss=loss, rate=rate)
            if losses[-1] > DIVERGED * min(smooth(losses)):
                break
    return rates, losses


def _endless_batches(setup):
    """Yield the batches of the first epoch, over and over, each with its library."""
    while True:
        batches, library = setup.batches(0, 0)
        for batch in devices.prefetch(batches):
            yield batch, library
