"""Training: `train_step`, pure, and `fit`, the loop around it.

One batch: loader -> `parallel.shard` -> `preprocess.to_float` or `library.make` -> `augment` -> `state.forward` -> `losses.total`
-> gradients, their mean over devices -> optimizer -> new `TrainState`. Losses and BatchNorm see the global batch, so N devices
compute what one does.
"""

import functools
import math
import pathlib
import signal
import time

import jax
import optax

from modest import config as configs
from modest import logbook, losses, metrics, parallel, report
from modest import state as states
from modest.augment import augment
from modest.checkpoint import Checkpoints
from modest.data import library as libraries
from modest.data import loader, museum
from modest.evaluate import Evaluator, evaluate_splits, spread
from modest.preprocess import to_float
from modest.vocabulary import InputError, TrainingError

LIVE_METRICS = ("mask/iou", "depth/rmse")


def train_step(state, batch, library=None, *, model, optimizer, learning_rate, weights, augmentation, compositing, seed):
    """One update: `(state, batch)` -> `(new state, {name: scalar})`.

    The batch is uint8 pictures, or, with a `library` to make the pictures of, the numbers of backgrounds and figures in it.
    Pure; runs under `parallel.AXIS` on each device's share of the batch.
    """
    key = jax.random.fold_in(jax.random.key(seed), state.step)
    first = parallel.first_index(len(batch["valid"]))
    pictures = to_float(batch) if library is None else libraries.make(key, library, batch, compositing, first)
    targets = augment(key, pictures, augmentation, first)

    def loss_function(params):
        outputs, batch_stats = states.forward(model, state, params, targets, train=True)
        loss, terms = losses.total(outputs, targets, weights, parallel.AXIS)
        return loss, (outputs, batch_stats, terms)

    (loss, (outputs, batch_stats, terms)), gradients = jax.value_and_grad(loss_function, has_aux=True)(state.params)
    gradients = parallel.mean(gradients)
    updates, opt_state = optimizer.update(gradients, state.opt_state, state.params, value=loss)
    new_state = state.replace(
        step=state.step + 1,
        params=optax.apply_updates(state.params, updates),
        batch_stats=batch_stats,
        opt_state=opt_state,
    )
    live = {k: v.mean() for k, v in metrics.per_example(outputs, targets).items() if k in LIVE_METRICS}
    values = {"loss": loss, **terms, **parallel.mean(live)}
    return new_state, values | {"gradient_norm": optax.tree.norm(gradients), "learning_rate": learning_rate(state)}


class Trainer:
    """What `fit` needs between steps, made once from the config: data, state, the compiled step, the evaluator."""

    def __init__(self, config):
        self.config = config
        self._opened = {}
        self.builder = loader.prepare(config.data)
        self._trains_depth = any(config.loss.depth.values())
        if self._trains_depth and not self.builder.info.metadata["depth"]:
            raise InputError(f"{self.builder.info.full_name} has no depth to train on: set every --config.loss.depth.* to 0")
        # The original's own division has no validation split: it chose by the test set, and so does a run on that division.
        self.validation = "validation" if "validation" in self.builder.info.splits else "test"
        self.composites = self.builder.info.splits["train"].num_examples
        if config.data.source == "library":
            self.composites = config.data.library.composites or self.composites
            self._load_library(config.stages[0][0])
        self.steps_per_epoch = self.composites // config.batch_size
        if not self.steps_per_epoch:
            raise InputError(f"--config.batch_size={config.batch_size}: an epoch has only {self.composites} composites")
        self.epochs = sum(epochs for _, epochs in config.stages)
        self.total_steps = self.epochs * self.steps_per_epoch
        self.state, self.model, optimizer, learning_rate = states.create(
            config, self.total_steps, self.steps_per_epoch, self.builder.info.metadata["statistics"]
        )
        weights = config.loss.to_dict()
        self.step = parallel.parallel(
            functools.partial(
                train_step,
                model=self.model,
                optimizer=optimizer,
                learning_rate=learning_rate,
                weights=weights,
                augmentation=config.augment.to_dict(),
                compositing=config.data.library.to_dict(),
                seed=config.seed,
            ),
            donate_state=True,
        )
        self.evaluator = Evaluator(self.model, weights)

    def examples(self, split, size):
        """The examples of a split at a size, opened once."""
        if (split, size) not in self._opened:
            self._opened[split, size] = loader.Examples(self.builder, split, size)
        return self._opened[split, size]

    def batches(self, epoch, first):
        """The training batches of an epoch from number `first` on, and the library that they are numbers of, or None."""
        config, size = self.config, self.stage_size(epoch)
        if config.data.source == "records":
            examples = self.examples("train", size)
            return loader.train_batches(examples, config.batch_size, config.seed, epoch, first, config.data.threads), None
        if size != self._library_size:
            self._load_library(size)
        batches = libraries.batches(*self._library_counts, self.composites, config.batch_size, config.seed, epoch, first)
        return batches, self._library

    def _load_library(self, size):
        self._library = None  # the device need not hold two
        library = libraries.load(self.builder, size, self._trains_depth, self.config.data.library.scale)
        self._library_size, self._library_counts = size, (len(library.backgrounds), len(library.figures))
        self._library = parallel.replicate(library)

    def stage_size(self, epoch):
        """The picture size of an epoch (from 0), by `stages`."""
        for size, epochs in self.config.stages:
            if epoch < epochs:
                return size
            epoch -= epochs
        raise IndexError(epoch)


def fit(config, workdir):
    """Trains as `config` says and evaluates the best checkpoint; the same call again resumes. Returns the test results.

    Raises:
      InputError: the work directory, the data or the config cannot be used.
      TrainingError: the loss or the gradient is no longer finite.
    """
    workdir = pathlib.Path(workdir).resolve()
    configs.validate_devices(config, len(parallel.devices()))
    _check_workdir(config, workdir)
    trainer = Trainer(config)
    dataset = museum.identity(trainer.builder)
    _check_dataset(dataset, workdir)
    with Checkpoints(workdir / "checkpoints", config.checkpoint.keep) as checkpoints:
        state = trainer.state
        if checkpoints.latest() is not None:
            state, _ = checkpoints.restore(checkpoints.latest(), state)
            logbook.say(f"{workdir}: resuming after step {int(state.step)} of {trainer.total_steps}")
        configs.save(config, workdir, dataset)
        with logbook.Logbook(workdir, from_step=int(state.step)) as log, StopRequest() as stop:
            _train(trainer, parallel.replicate(state), int(state.step), checkpoints, log, stop)
        checkpoints.wait()
        best, _ = checkpoints.restore(checkpoints.best(), trainer.state)
    return evaluate_splits(config, workdir, trainer.builder, trainer.evaluator, parallel.replicate(best))


def _train(trainer, state, step, checkpoints, log, stop):
    """The epochs that are left after `step`. Between two epochs, in this order: validate, log, save, stop if asked to."""
    config = trainer.config
    start = time.monotonic()
    for epoch in range(step // trainer.steps_per_epoch, trainer.epochs):
        state, step = _train_epoch(trainer, state, step, epoch, log, stop, start)
        if step < (epoch + 1) * trainer.steps_per_epoch:  # stopped within the epoch: the next run goes on from here
            _save(checkpoints, state, step, epoch)
            stop.leave(checkpoints)

        size = trainer.stage_size(epoch)
        examples = trainer.examples(trainer.validation, size)
        batches = loader.eval_batches(examples, config.eval.batch_size, config.data.threads)
        values, shown = trainer.evaluator(state, batches, spread(config.eval.pictures, len(examples)))
        log.write(step, epoch + 1, time.monotonic() - start, {f"val/{name}": value for name, value in values.items()})
        log.picture(step, "validation", report.tile(shown))
        live = " ".join(f"{name} {values[name]:.4f}" for name in ("loss", *LIVE_METRICS) if name in values)
        logbook.say(f"epoch {epoch + 1}/{trainer.epochs} ({size} px, step {step}): validation {live}")

        if (epoch + 1) % config.checkpoint.every == 0 or epoch + 1 == trainer.epochs or stop.signal:
            # Scores at different sizes do not compare: only what was validated at the last one can be the best.
            score = metrics.score(config.checkpoint.best, values) if size == config.stages[-1][0] else math.nan
            _save(checkpoints, state, step, epoch + 1, score, values)
        if stop.signal:
            stop.leave(checkpoints)


def _train_epoch(trainer, state, step, epoch, log, stop, start):
    """The steps of one epoch that are left after `step`; returns the state and the step, early when asked to stop."""
    config = trainer.config
    done = step - epoch * trainer.steps_per_epoch
    batches, library = trainer.batches(epoch, done)
    unchecked = []  # (step, values) on the device, fetched only when a line is due: a fetch waits for the device
    interval_start = time.monotonic()
    with logbook.Progress(trainer.steps_per_epoch, f"epoch {epoch + 1}/{trainer.epochs}", done) as progress:
        for batch in parallel.prefetch(batches):
            state, values = trainer.step(state, batch, library)
            step += 1
            unchecked.append((step, values))
            last = step % trainer.steps_per_epoch == 0
            if step % config.log_every == 0 or last or stop.signal:
                values = [_fetch_finite(*entry) for entry in unchecked][-1]
                seconds = time.monotonic() - interval_start
                values["images_per_second"] = len(unchecked) * config.batch_size / seconds
                log.write(step, epoch + 1, time.monotonic() - start, values)
                unchecked, interval_start = [], time.monotonic()
                live = {name.split("/")[-1]: values[f"train/{name}"] for name in LIVE_METRICS if f"train/{name}" in values}
                progress.step(loss=values["train/loss"], **live, img_s=values["images_per_second"])
            else:
                progress.step()
            if stop.signal:
                break
    return state, step


def _fetch_finite(step, values):
    """The scalars of one step as floats, `train/` before their names.

    Raises:
      TrainingError: loss or gradient not finite.
    """
    values = {name: float(value) for name, value in parallel.unreplicate(values).items()}
    if not (math.isfinite(values["loss"]) and math.isfinite(values["gradient_norm"])):
        terms = ", ".join(f"{name} {value:.4g}" for name, value in values.items())
        raise TrainingError(f"step {step}: not finite: {terms}. Lower the learning rate or lengthen the warm-up")
    return {f"train/{name}": value for name, value in values.items()}


def _save(checkpoints, state, step, epoch, score=math.nan, values=None):
    if step != checkpoints.latest():
        meta = {"step": step, "epoch": epoch, "validation": values or {}}
        checkpoints.save(step, parallel.unreplicate(state), meta, score)


def _check_workdir(config, workdir):
    """Refuses a directory that cannot be written, or that another model or other data were trained in."""
    try:
        workdir.mkdir(parents=True, exist_ok=True)
        (workdir / ".probe").touch()
        (workdir / ".probe").unlink()
    except OSError as error:
        raise InputError(f"--workdir={workdir}: cannot be written ({error.strerror})") from None
    before = configs.load(workdir)
    if before is None:
        return
    for key in (
        "model",
        "data.name",
        "data.dir",
        "data.source",
        "data.library",
        "stages",
        "batch_size",
        "seed",
        "optimizer",
        "loss",
    ):
        was, now = (configs.as_json(configs.get(c, key)) for c in (before, config))
        if was != now:
            raise InputError(f"{workdir} was trained with {key} {was}, not {now}; give another --workdir")


def _check_dataset(dataset, workdir):
    """Refuses a directory that was trained in with data of the same name but other content."""
    before = configs.load(workdir)
    if before is not None and configs.as_json(configs.get(before, "dataset")) != configs.as_json(dataset):
        raise InputError(
            f"{workdir} was trained with data {configs.as_json(configs.get(before, 'dataset'))}, not {configs.as_json(dataset)}; "
            "give another --workdir"
        )


class StopRequest:
    """Listens for SIGTERM and SIGINT while in the `with` block: the first is noted, a second ends the program at once."""

    def __init__(self):
        self.signal = None

    def __enter__(self):
        self._before = {number: signal.signal(number, self._note) for number in (signal.SIGTERM, signal.SIGINT)}
        return self

    def __exit__(self, *exception):
        for number, handler in self._before.items():
            signal.signal(number, handler)

    def leave(self, checkpoints):
        """Waits for the checkpoint, then leaves with 128 + the signal's number: 143 after SIGTERM, 130 after SIGINT."""
        checkpoints.wait()
        logbook.say(f"stopped by {signal.Signals(self.signal).name}, saved; the same command goes on from here")
        raise SystemExit(128 + self.signal)

    def _note(self, number, frame):
        if self.signal:
            raise SystemExit(128 + number)
        self.signal = number
