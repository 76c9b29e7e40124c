"""Training: `fit`, the loop around the step, from a config to the evaluated network.

`modest/step.py` is what happens to one batch on the device, `modest/trainer.py` what is made of the config before the first.
"""

import math
import time

import jax

from modest import config as configs
from modest import files, logbook, metrics, parallel, report, runtime, workdirs
from modest.checkpoint import Checkpoints, size_of
from modest.data import museum
from modest.evaluate import evaluate_splits, wanted_splits
from modest.step import LIVE_METRICS
from modest.stopping import StopRequest
from modest.trainer import Trainer
from modest.vocabulary import TrainingError


def fit(config, workdir):
    """Trains as `config` says and evaluates the best checkpoint; the same call again resumes. Returns the test results.

    Raises:
      InputError: the work directory, the data or the config cannot be used.
      TrainingError: a loss, a gradient or a parameter is no longer finite, or the disk is full.
    """
    configs.validate_devices(config, len(parallel.devices()))
    with workdirs.held(config, workdir, alone=parallel.is_main()) as workdir, StopRequest(config.stall_seconds) as stop:
        trainer = Trainer(config)
        wanted_splits(config.eval.splits, trainer.builder)  # for a refusal to come now, not after training
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
                logbook.say(logbook.time_split(log.lines))
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
    profiled = range(max(config.profile[0], step + 1), config.profile[1] + 1) if config.profile else ()
    start, save_seconds = time.monotonic(), 0.0
    for epoch in range(done["epoch"], trainer.epochs):
        if trainer.stands_still(log.lines):
            logbook.say(f"stopped early: no better {config.checkpoint.best} in {config.early_stop} epochs")
            return
        state, step = _train_epoch(trainer, state, step, epoch, checkpoints, log, stop, start, profiled)
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


def _train_epoch(trainer, state, step, epoch, checkpoints, log, stop, start, profiled):
    """The steps of one epoch that are left after `step`; returns the state and the step, early when asked to stop."""
    config = trainer.config
    done = step - epoch * trainer.steps_per_epoch
    batches, library = trainer.batches(epoch, done)
    unchecked = []  # (step, values) on the device, fetched only when a line is due: a fetch waits for the device
    interval_start, waited = time.monotonic(), logbook.Stopwatch()
    with logbook.Progress(trainer.steps_per_epoch, f"epoch {epoch + 1}/{trainer.epochs}", done) as progress:
        for batch in stop.before_each(step, waited.during(parallel.prefetch(batches)), config.log_every):
            if profiled and step + 1 == profiled[0]:
                jax.profiler.start_trace(log.workdir / "profile")
            state, values = trainer.step(state, batch, library)
            step += 1
            if profiled and step == profiled[-1]:
                jax.block_until_ready(values)
                jax.profiler.stop_trace()
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
