"""Training: `train_step`, pure, and `fit`, the loop around it.

One batch: loader -> `parallel.shard` -> `preprocess.to_float` or `library.make` -> `augment` -> `state.forward` -> `losses.total`
-> gradients, their mean over devices -> optimizer -> new `TrainState`. Losses and BatchNorm see the global batch, so N devices
compute what one does.
"""

import functools
import math
import time

import jax
import optax

from modest import config as configs
from modest import files, logbook, losses, metrics, parallel, report, runtime, transfer, workdirs
from modest import state as states
from modest.augment import augment
from modest.checkpoint import Checkpoints, size_of
from modest.data import library as libraries
from modest.data import loader, museum
from modest.evaluate import Evaluator, evaluate_splits
from modest.preprocess import to_float
from modest.stopping import StopRequest
from modest.vocabulary import InputError, TrainingError

LIVE_METRICS = ("mask/iou", "depth/rmse")


def train_step(state, batch, library=None, *, model, optimizer, learning_rate, weights, augmentation, compositing, average, seed):
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
    new_state = states.update_average(new_state, average)
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
        self.init, self.model, optimizer, learning_rate = states.create(
            config, self.total_steps, self.steps_per_epoch, self.builder.info.metadata["statistics"]
        )
        weights = config.loss.to_dict()
        self.abstract = jax.eval_shape(self.init)
        self.step = parallel.parallel(
            functools.partial(
                train_step,
                model=self.model,
                optimizer=optimizer,
                learning_rate=learning_rate,
                weights=weights,
                augmentation=config.augment.to_dict(),
                compositing=config.data.library.to_dict(),
                average=config.average,
                seed=config.seed,
            ),
            donate_state=True,
        )
        self.evaluator = Evaluator(self.model, weights)

    def start(self):
        """The state that a new run begins with."""
        config = self.config
        return transfer.start_from(config.init_from, self.init(), config.model.name) if config.init_from else self.init()

    def examples(self, split, size):
        """The examples of a split at a size, opened once."""
        if (split, size) not in self._opened:
            self._opened[split, size] = loader.Examples(self.builder, split, size)
        return self._opened[split, size]

    def batches(self, epoch, first):
        """The training batches of an epoch from number `first` on, and the library that they are numbers of, or None."""
        config, size, rows = self.config, self.stage_size(epoch), parallel.rows(self.config.batch_size)
        if config.data.source == "records":
            examples = self.examples("train", size)
            return loader.train_batches(examples, config.batch_size, config.seed, epoch, first, config.data.threads, rows), None
        if size != self._library_size:
            self._load_library(size)
        batches = libraries.batches(*self._library_counts, self.composites, config.batch_size, config.seed, epoch, first, rows)
        return batches, self._library

    def _load_library(self, size):
        self._library = None  # the device need not hold two
        library = libraries.load(self.builder, size, self._trains_depth, self.config.data.library.scale)
        self._library_size, self._library_counts = size, (len(library.backgrounds), len(library.figures))
        self._library = parallel.replicate(library)

    def example_ids(self, step):
        """What the examples of a step (from 1) were made of, "background + figure" each."""
        epoch, number = divmod(step - 1, self.steps_per_epoch)
        config, size = self.config, self.stage_size(epoch)
        if config.data.source == "records":
            return loader.train_ids(self.examples("train", size), config.batch_size, config.seed, epoch, number)
        batches = libraries.batches(*self._library_counts, self.composites, config.batch_size, config.seed, epoch, number)
        batch = next(batches)
        backgrounds, figures = libraries.members(self.builder)
        return [f"{backgrounds[b]} + {figures[f]}" for b, f in zip(batch["background"], batch["figure"])]

    def stands_still(self, lines):
        """Whether, by the log's lines, the last `early_stop` epochs of the last stage brought no better score."""
        config, key = self.config, f"val/{self.config.checkpoint.best}"
        before = self.epochs - config.stages[-1][1]
        scores = [
            metrics.score(config.checkpoint.best, {config.checkpoint.best: line[key]})
            for line in lines
            if key in line and line["epoch"] > before
        ]
        return 0 < config.early_stop < len(scores) and max(scores[: -config.early_stop]) >= max(scores[-config.early_stop :])

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
      TrainingError: a loss, a gradient or a parameter is no longer finite, or the disk is full.
    """
    configs.validate_devices(config, len(parallel.devices()))
    with workdirs.held(config, workdir, alone=parallel.is_main()) as workdir, StopRequest() as stop:
        trainer = Trainer(config)
        dataset = museum.identity(trainer.builder)
        workdirs.check_dataset(dataset, workdir)
        files.check_space(workdir, 2 * size_of(trainer.abstract), "two checkpoints")
        with Checkpoints(workdir / "checkpoints", config.checkpoint.keep) as checkpoints:
            state, meta = checkpoints.restore_newest(trainer.abstract) or (trainer.start(), {"step": 0, "epoch": 0})
            if parallel.is_shared() and parallel.largest(meta["step"]) != meta["step"]:
                raise TrainingError(
                    f"{workdir}: this process sees step {meta['step']} as the newest, others a newer one; start all again"
                )
            if meta["step"]:
                logbook.say(f"{workdir}: resuming after step {meta['step']} of {trainer.total_steps}")
            if parallel.is_main():
                configs.save(config, workdir, dataset, runtime.environment())
            with logbook.Logbook(workdir, meta["step"], meta["epoch"], parallel.is_main()) as log, stop.held():
                _train(trainer, parallel.replicate(state), meta, checkpoints, log, stop)
            checkpoints.wait()
            if stop.agreed():
                stop.leave()
            best, _ = checkpoints.restore_best(trainer.abstract)
        return evaluate_splits(config, workdir, trainer.builder, trainer.evaluator, parallel.replicate(best))


def _train(trainer, state, done, checkpoints, log, stop):
    """The epochs that are left after `done`, {"step", "epoch"}. Of each, in this order: the steps, validation, log, save.

    An epoch counts as done when it is validated. Asked to stop, it is saved as far as it is, and resumed from there.
    """
    config, step = trainer.config, done["step"]
    start, save_seconds = time.monotonic(), 0.0
    for epoch in range(done["epoch"], trainer.epochs):
        if trainer.stands_still(log.lines):
            logbook.say(f"stopped early: no better {config.checkpoint.best} in {config.early_stop} epochs")
            return
        state, step = _train_epoch(trainer, state, step, epoch, checkpoints, log, stop, start)
        size, whole = trainer.stage_size(epoch), step == (epoch + 1) * trainer.steps_per_epoch
        if whole:
            examples = trainer.examples(trainer.validation, size)
            began = time.monotonic()
            values, shown = trainer.evaluator(state, examples, config.eval, config.data.threads, stop.until_asked)
        if not whole or (stop.signal and not parallel.is_shared()):
            if step != checkpoints.latest():
                checkpoints.save(step, parallel.unreplicate(state), {"step": step, "epoch": epoch})
            checkpoints.wait()
            stop.leave()

        bad = [name for name, value in values.items() if not math.isfinite(value)]
        if bad:
            raise TrainingError(f"validation after step {step}: not finite: {', '.join(bad)}. Lower the learning rate")
        seconds = {"validation_seconds": time.monotonic() - began, "save_seconds": save_seconds}
        log.write(step, epoch + 1, time.monotonic() - start, {f"val/{name}": value for name, value in values.items()} | seconds)
        if shown:
            log.picture(step, "validation", report.tile(shown))
        live = " ".join(f"{name} {values[name]:.4f}" for name in ("loss", *LIVE_METRICS) if name in values)
        logbook.say(f"epoch {epoch + 1}/{trainer.epochs} ({size} px, step {step}): validation {live}")

        last = epoch + 1 == trainer.epochs or trainer.stands_still(log.lines)
        if last or (epoch + 1) % config.checkpoint.every == 0:
            # Scores at different sizes do not compare: only what was validated at the last one can be the best.
            score = metrics.score(config.checkpoint.best, values) if size == config.stages[-1][0] else math.nan
            meta = {"step": step, "epoch": epoch + 1, "validation": values}
            began = time.monotonic()
            checkpoints.save(step, parallel.unreplicate(state), meta, score)
            save_seconds = time.monotonic() - began


def _train_epoch(trainer, state, step, epoch, checkpoints, log, stop, start):
    """The steps of one epoch that are left after `step`; returns the state and the step, early when asked to stop."""
    config = trainer.config
    done = step - epoch * trainer.steps_per_epoch
    batches, library = trainer.batches(epoch, done)
    unchecked = []  # (step, values) on the device, fetched only when a line is due: a fetch waits for the device
    interval_start, waited = time.monotonic(), logbook.Stopwatch()
    with logbook.Progress(trainer.steps_per_epoch, f"epoch {epoch + 1}/{trainer.epochs}", done) as progress:
        for batch in stop.before_each(step, waited.during(parallel.prefetch(batches)), config.log_every):
            state, values = trainer.step(state, batch, library)
            step += 1
            unchecked.append((step, values))
            if step % config.log_every == 0 or step % trainer.steps_per_epoch == 0:
                values = [_fetch_finite(trainer, *entry) for entry in unchecked][-1]
                seconds = time.monotonic() - interval_start
                values["images_per_second"] = len(unchecked) * config.batch_size / seconds
                values["data_seconds"] = waited.reset()
                log.write(step, epoch + 1, time.monotonic() - start, values)
                unchecked, interval_start = [], time.monotonic()
                live = {name.split("/")[-1]: values[f"train/{name}"] for name in LIVE_METRICS if f"train/{name}" in values}
                progress.step(loss=values["train/loss"], **live, img_s=values["images_per_second"])
            else:
                progress.step()
            if config.checkpoint.steps and step % config.checkpoint.steps == 0 and step % trainer.steps_per_epoch:
                for entry in unchecked:
                    _fetch_finite(trainer, *entry)
                checkpoints.save(step, parallel.unreplicate(state), {"step": step, "epoch": epoch})
    for entry in unchecked:  # left over when asked to stop: not logged, so that the lines are those of a run never stopped
        _fetch_finite(trainer, *entry)
    return state, step


def _fetch_finite(trainer, step, values):
    """The scalars of one step as floats, `train/` before their names.

    Raises:
      TrainingError: loss or gradient not finite.
    """
    values = {name: float(value) for name, value in parallel.unreplicate(values).items()}
    if not (math.isfinite(values["loss"]) and math.isfinite(values["gradient_norm"])):
        terms = ", ".join(f"{name} {value:.4g}" for name, value in values.items())
        examples = ", ".join(trainer.example_ids(step))
        raise TrainingError(
            f"step {step}: not finite: {terms}. Lower the learning rate or lengthen the warm-up. The examples were {examples}"
        )
    return {f"train/{name}": value for name, value in values.items()}
