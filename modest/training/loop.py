"""The training loop: `fit`, from a config to an evaluated network.

`setup.py` makes what the loop needs; `step.py` is what one batch does to the state.
"""

import functools
import math
import pathlib
import time
from typing import Any, NoReturn

import jax
from ml_collections import ConfigDict

from modest import kernels, metrics
from modest.data.museum import preparation
from modest.errors import TrainingError
from modest.evaluation import figures
from modest.evaluation.evaluate import FinalEvaluation
from modest.run import configs, devices, files, logbook, runtime, validation, workdirs
from modest.run.compilation import Compilation
from modest.run.stopping import StopRequest
from modest.state.checkpoint import Checkpoints
from modest.state.manifest import size_of
from modest.training.setup import TrainingSetup
from modest.training.step import LIVE_METRICS
from modest.types import PyTree

Results = dict[str, dict[str, float]]


def fit(config: ConfigDict, workdir: str | pathlib.Path) -> Results:
    """Train as the config describes, and evaluate the best checkpoint. Call it again to resume.

    Args:
      config: the whole config.
      workdir: directory of the run.

    Returns:
      The results on the test splits, `{split: {metric: value}}`.

    Raises:
      InputError: the work directory, the data set or the config cannot be used.
      TrainingError: a loss, a gradient or a parameter is not finite, or the disk is full.
    """
    validation.validate(config)
    validation.validate_devices(config, len(devices.all_devices()))
    stop = StopRequest(config.stall_seconds)
    with workdirs.claimed(config, workdir, exclusive=devices.is_main()) as workdir:
        other = workdirs.check_kernels(
            kernels.training_backend(), workdir, config.allow_other_kernels
        )
        if other:
            logbook.say(other)
        setup = TrainingSetup(config)
        # Made now, so that bad options are refused before the training and not after it.
        final = FinalEvaluation(config, setup.builder, setup.evaluate)
        dataset = preparation.identity(setup.builder)
        workdirs.check_dataset(dataset, workdir)
        files.check_space(workdir, 2 * size_of(setup.state_shapes), "two checkpoints")
        with Checkpoints(workdir / workdirs.CHECKPOINTS, config.checkpoint.keep) as checkpoints:
            state, meta = _start_or_resume(setup, checkpoints, workdir)
            if devices.is_main():
                configs.save(config, workdir, dataset, runtime.environment())
            records = logbook.Logbook(workdir, meta["step"], meta["epoch"], devices.is_main())
            with records as log, stop.deferred():
                run = _Run(config, setup, checkpoints, log, stop)
                run.train(devices.replicate(state), meta["step"], meta["epoch"])
                if log.lines:  # the file of a run that has ended may be missing
                    logbook.say(logbook.time_split(log.lines))
                checkpoints.wait()
            if stop.agreed():
                stop.exit()
            best = checkpoints.restore_best(setup.state_shapes)
        assert best is not None  # the last epoch was saved
        return final.run(devices.replicate(best[0]), workdir)


def _start_or_resume(setup, checkpoints, workdir):
    """Return the newest saved state and its `meta`, or a new state."""
    restored = checkpoints.restore_newest(setup.state_shapes)
    state, meta = restored or (setup.new_state(), {"step": 0, "epoch": 0})
    step = meta["step"]
    if devices.is_distributed() and devices.max_over_processes(step) != step:
        raise TrainingError(
            f"{workdir}: the newest checkpoint that this process finds is step {step}, but another "
            "process finds a newer one; restart all of them"
        )
    if step:
        logbook.say(f"{workdir}: resuming after step {step} of {setup.total_steps}")
    return state, meta


class _Run:
    """One training run: the loop, and what it writes to."""

    def __init__(
        self,
        config: ConfigDict,
        setup: TrainingSetup,
        checkpoints: Checkpoints,
        log: logbook.Logbook,
        stop: StopRequest,
    ) -> None:
        self._setup = setup
        self._checkpoints = checkpoints
        self._log = log
        self._stop = stop
        self._log_every = config.log_every
        self._early_stop = config.early_stop
        self._save_every_epochs = config.checkpoint.every
        self._save_every_steps = config.checkpoint.steps
        self._profile: tuple = config.profile  # (first step, last step), or empty
        self._compilation = Compilation()
        self._began = time.monotonic()
        self._save_seconds = 0.0  # since the last validation

    def train(self, state: PyTree, step: int, epochs_done: int) -> None:
        """Do the remaining epochs. Each does, in this order: the steps, validation, log, save.

        An epoch counts as done when it has been validated. On a signal the state is saved as it is
        and the program ends; the next run resumes from there.
        """
        setup, stop = self._setup, self._stop
        if self._profile:
            self._profile = max(self._profile[0], step + 1), self._profile[1]
        for epoch in range(epochs_done, setup.epochs):
            if setup.should_stop_early(self._log.lines):
                logbook.say(
                    f"stopped early: no better {setup.best_metric} in {self._early_stop} epochs"
                )
                return
            if epoch and setup.size_of(epoch) != setup.size_of(epoch - 1):
                self._expect_compilation(step)
            state, step = self._train_epoch(state, step, epoch)
            if step < (epoch + 1) * setup.steps_per_epoch:
                self._save_and_exit(state, step, epoch)
            began = time.monotonic()
            examples = setup.validation_examples(epoch)
            evaluate = functools.partial(setup.evaluate, state, examples, stop.until_signalled)
            with self._compilation.of("the validation", setup.size_of(epoch)):
                validated = stop.unless_signalled(evaluate)
            if validated is None or (stop.signal and not devices.is_distributed()):
                self._save_and_exit(state, step, epoch)
            values, shown = validated
            stop.has_progress = True
            self._log_validation(step, epoch, values, shown, time.monotonic() - began)
            is_last = epoch + 1 == setup.epochs or setup.should_stop_early(self._log.lines)
            if is_last or (epoch + 1) % self._save_every_epochs == 0:
                self._save_epoch(state, step, epoch, values)

    def _train_epoch(self, state, step, epoch):
        """Do the steps of an epoch after `step`. Returns state and step, early if asked to stop."""
        setup = self._setup
        first = step - epoch * setup.steps_per_epoch
        batches, library = setup.batches(epoch, first)
        unchecked = []  # (step, values) still on the device: fetching them waits for the device
        interval_began, waited = time.monotonic(), logbook.Stopwatch()
        title = f"epoch {epoch + 1}/{setup.epochs}"
        prefetched = waited.during(devices.prefetch(batches))
        with logbook.Progress(setup.steps_per_epoch, title, first) as progress:
            for batch in self._stop.until_agreed(step, prefetched, self._log_every):
                self._start_profile(step + 1)
                with self._compilation.of("the training step", setup.size_of(epoch)):
                    state, values = setup.step(state, batch, library)
                step += 1
                self._stop.has_progress = True
                self._stop_profile(step, values)
                unchecked.append((step, values))
                is_end_of_epoch = step % setup.steps_per_epoch == 0
                if step % self._log_every == 0 or is_end_of_epoch:
                    values = self._fetch(unchecked)
                    seconds = time.monotonic() - interval_began
                    values["images_per_second"] = len(unchecked) * setup.batch_size / seconds
                    values["data_seconds"] = waited.reset()
                    values |= self._compilation.reset()
                    self._log.write(step, epoch + 1, time.monotonic() - self._began, values)
                    unchecked, interval_began = [], time.monotonic()
                    progress.step(**_live_values(values))
                else:
                    progress.step()
                if self._save_every_steps and step % self._save_every_steps == 0:
                    if not is_end_of_epoch:
                        self._fetch(unchecked)
                        began = self._save_seconds
                        self._save(state, step, {"step": step, "epoch": epoch})
                        interval_began += self._save_seconds - began
        # After a request to stop, values are left. They are checked, but not logged, because a run
        # that was not stopped would not log them here.
        self._fetch(unchecked)
        return state, step

    def _expect_compilation(self, step):
        """Let a signal end the program at once while XLA compiles, if this step is saved."""
        if step == self._checkpoints.latest() and not devices.is_distributed():
            self._checkpoints.wait()
            self._stop.has_progress = False

    def _fetch(self, unchecked) -> dict[str, float]:
        """Check that all values are finite; return those of the last step, if any."""
        values: dict[str, float] = {}
        for step, on_device in unchecked:
            values = _fetch_finite(self._setup, step, on_device)
        return values

    def _log_validation(self, step, epoch, values, shown, seconds):
        not_finite = [name for name, value in values.items() if not math.isfinite(value)]
        if not_finite:
            raise TrainingError(
                f"validation after step {step}: not finite: {', '.join(not_finite)}. Lower the "
                "learning rate"
            )
        logged = {f"val/{name}": value for name, value in values.items()}
        compiled = self._compilation.reset()
        seconds -= compiled.get("compile_seconds", 0)
        logged |= {"validation_seconds": seconds, "save_seconds": self._save_seconds} | compiled
        self._save_seconds = 0.0
        self._log.write(step, epoch + 1, time.monotonic() - self._began, logged)
        if shown:
            self._log.picture(step, "validation", figures.tile(shown))
        setup = self._setup
        live = " ".join(
            f"{name} {values[name]:.4f}" for name in ("loss", *LIVE_METRICS) if name in values
        )
        size = setup.size_of(epoch)
        logbook.say(f"epoch {epoch + 1}/{setup.epochs} ({size} px, step {step}): validation {live}")

    def _save_epoch(self, state, step, epoch, values):
        """Save after a validated epoch, with its score."""
        # Scores at different picture sizes do not compare, so only the last size has one.
        is_comparable = self._setup.is_last_size(epoch)
        score = metrics.score(self._setup.best_metric, values) if is_comparable else math.nan
        meta = {"step": step, "epoch": epoch + 1, "validation": values}
        self._save(state, step, meta, score)

    def _save_and_exit(self, state, step, epoch) -> NoReturn:
        """Save an unfinished epoch and end the program, after a signal."""
        if step != self._checkpoints.latest():
            self._save(state, step, {"step": step, "epoch": epoch})
        self._checkpoints.wait()
        self._stop.exit()

    def _save(self, state, step, meta, score=math.nan):
        began = time.monotonic()
        self._checkpoints.save(step, devices.unreplicate(state), meta, score)
        self._save_seconds += time.monotonic() - began

    def _start_profile(self, step):
        if self._profile and step == self._profile[0] <= self._profile[1]:
            jax.profiler.start_trace(self._log.workdir / workdirs.PROFILE)

    def _stop_profile(self, step, values):
        if self._profile and step == self._profile[1] >= self._profile[0]:
            jax.block_until_ready(values)
            jax.profiler.stop_trace()


def _live_values(values: dict[str, float]) -> dict[str, float]:
    """Return the values to show beside the progress bar."""
    live = {name.split("/")[-1]: f"train/{name}" for name in LIVE_METRICS}
    shown = {name: values[key] for name, key in live.items() if key in values}
    return {"loss": values["train/loss"], **shown, "img_s": values["images_per_second"]}


def _fetch_finite(setup: TrainingSetup, step: int, values: Any) -> dict[str, float]:
    """Fetch the scalars of one step as `{"train/<name>": float}`.

    Raises:
      TrainingError: the loss or the norm of the gradient is not finite.
    """
    values = {name: float(value) for name, value in devices.unreplicate(values).items()}
    if not (math.isfinite(values["loss"]) and math.isfinite(values["gradient_norm"])):
        terms = ", ".join(f"{name} {value:.4g}" for name, value in values.items())
        examples = ", ".join(setup.example_names(step))
        raise TrainingError(
            f"step {step}: not finite: {terms}. Lower the learning rate or lengthen the warm-up. "
            f"The examples were {examples}"
        )
    return {f"train/{name}": value for name, value in values.items()}
