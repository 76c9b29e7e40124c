"""The learning rate range test (Smith, "Cyclical learning rates for training neural networks", 2017).

    python launch.py --config configs/depthnet.py --mode lr_range

The rate rises geometrically from step to step; the loss falls where the rate is useful and runs away where it is too high. Writes
`lr_range.json` and `figures/lr_range.png`. A new network every time; no checkpoint is made, none is touched.
"""

import itertools
import math

import numpy as np
import optax
from ml_collections import ConfigDict

from modest import config as configs
from modest import logbook, parallel, report, workdirs
from modest.trainer import Trainer
from modest.vocabulary import TrainingError

FILE = "lr_range.json"
SMOOTHING = 0.9  # decay of the moving average of the loss
SETTLED = round(1 / (1 - SMOOTHING))  # losses that the average is mostly of
TOO_HIGH = 4.0  # times the least smoothed loss, at which the test ends


def run(config, workdir):
    """Runs the test with a config's data, network and losses at the size of its first stage; returns what it writes.

    `{"learning_rate": [n], "loss": [n], "smoothed": [n], "steepest": the rate at which the smoothed loss falls fastest,
    "tenth_of_lowest": a tenth of the rate at which it is lowest}`; both are customary choices for the highest rate of a schedule.

    Raises:
      InputError: the data cannot be used, or another process trains in the work directory.
      TrainingError: the very first loss is not finite.
    """
    configs.validate_devices(config, len(parallel.devices()))
    lowest, highest, steps = config.lr_range.lowest, config.lr_range.highest, config.lr_range.steps
    config = ConfigDict(config).unlock()
    config.optimizer.schedule, config.accumulate, config.early_stop, config.profile = "constant", 1, 0, ()
    config.stages = ((config.stages[0][0], 1),)
    with workdirs.locked(workdir) as workdir:
        trainer = Trainer(config, schedule=optax.exponential_decay(lowest, steps - 1, highest / lowest))
        rates, losses = _losses(trainer, steps)
        results = summary(rates, losses)
        logbook.write_json(workdir / FILE, results)
        for path in (workdir / FILE, report.save(report.learning_rates(results), workdir / report.FIGURES / "lr_range.png")):
            logbook.say(str(path))
        logbook.say(f"steepest at {results['steepest']:.2g}, a tenth of the lowest's rate {results['tenth_of_lowest']:.2g}")
    return results


def _losses(trainer, steps):
    """The rates and losses of so many steps, fewer where the loss runs away."""
    state = parallel.replicate(trainer.start())
    epochs = (trainer.batches(0, 0) for _ in itertools.count())
    batches = itertools.chain.from_iterable(
        zip(parallel.prefetch(batches), itertools.repeat(library)) for batches, library in epochs
    )
    rates, losses = [], []
    with logbook.Progress(steps, "learning rates") as progress:
        for batch, library in itertools.islice(batches, steps):
            state, values = trainer.step(state, batch, library)
            loss, rate = (float(parallel.unreplicate(values[name])) for name in ("loss", "learning_rate"))
            if not math.isfinite(loss):
                if not losses:
                    raise TrainingError(f"the loss of the first step, at the rate {rate:.2g}, is not finite")
                break
            rates.append(rate)
            losses.append(loss)
            progress.step(loss=loss, rate=rate)
            if losses[-1] > TOO_HIGH * min(smoothed(losses)):
                break
    return rates, losses


def smoothed(losses):
    """The moving average of the losses, as if there had always been such (bias corrected, as Adam's moments are)."""
    average, values = 0.0, []
    for n, loss in enumerate(losses, start=1):
        average = SMOOTHING * average + (1 - SMOOTHING) * loss
        values.append(average / (1 - SMOOTHING**n))
    return values


def summary(rates, losses):
    """What `run` returns, of the rates and losses of all steps."""
    smooth = smoothed(losses)
    slopes = np.gradient(smooth, np.log(rates)) if len(rates) > 1 else np.zeros(1)
    slopes[: min(SETTLED, len(rates) - 1)] = np.inf  # where the average is of few losses, its slope is their noise
    return {
        "learning_rate": rates,
        "loss": losses,
        "smoothed": smooth,
        "steepest": rates[int(np.argmin(slopes))],
        "tenth_of_lowest": rates[int(np.argmin(smooth))] / 10,
    }
