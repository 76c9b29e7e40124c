"""What the training loop needs, made from the config: data, state, compiled step and evaluator."""

from collections.abc import Iterator, Sequence
from functools import partial
from typing import Any

import jax
import optax
from ml_collections import ConfigDict

from modest import metrics
from modest.data.batches import loader, scenes
from modest.data.batches.cutouts import Library
from modest.data.batches.sources import LibraryBatches, RecordBatches
from modest.errors import InputError
from modest.evaluation.evaluator import Evaluator
from modest.run import devices
from modest.state import train_state
from modest.state.train_state import TrainState
from modest.training import warm_start
from modest.training.step import StepOptions, train_step

EVALUATED = ("validation", "test")  # splits that a run selects and tests its weights on


class TrainingSetup:
    """Everything that a config describes. Made once; the loop uses it between steps.

    Attributes:
      builder: the prepared data set.
      validation: name of the split that is validated on.
      batch_size: examples per batch, over all devices.
      epochs, steps_per_epoch, total_steps: counts of the whole run.
      step: the compiled training step; see `step.train_step`, without its `options`.
      state_shapes: shapes and dtypes of the state.
      evaluate: the compiled evaluation.
    """

    def __init__(self, config: ConfigDict, schedule: optax.Schedule | None = None) -> None:
        """Prepare the data set and build everything else.

        Args:
          config: the whole config.
          schedule: learning rate as a function of the number of updates; by default that of the
            config.

        Raises:
          InputError: the data set cannot be used, or not in the way the config describes.
        """
        self.builder = loader.prepare_from_config(config.data)
        _check_splits(config, self.builder.info)
        _check_depth(config, self.builder.info)
        # The original's split has no validation set. It selected the best step on the test set, and
        # so do we with that split.
        self.validation = "validation" if "validation" in self.builder.info.splits else "test"
        self.batch_size = config.batch_size
        self._stages = config.stages
        self._source = _create_source(config, self.builder)
        self.steps_per_epoch = self._source.composites // config.batch_size
        if not self.steps_per_epoch:
            raise InputError(
                f"--config.batch_size={config.batch_size}: an epoch has only "
                f"{self._source.composites} composites"
            )
        self.epochs = sum(epochs for _, epochs in config.stages)
        self.total_steps = self.epochs * self.steps_per_epoch
        _check_steps(config, self.total_steps)
        created = train_state.create(
            config,
            self.total_steps,
            self.steps_per_epoch,
            self.builder.info.metadata["statistics"],
            schedule,
        )
        self._init = created.init
        self._init_from, self._model_name = config.init_from, config.model.name
        self.state_shapes = jax.eval_shape(created.init)
        options = StepOptions.from_config(config, created)
        self.step = devices.pmap(partial(train_step, options), donate_state=True)
        self.evaluate = Evaluator.from_config(config, created.model)
        self.best_metric, self._patience = config.checkpoint.best, config.early_stop
        self._validation_examples: tuple[int, loader.Examples] | None = None

    def new_state(self) -> TrainState:
        """Return the state that a new run starts with."""
        if self._init_from:
            return warm_start.start_from(self._init_from, self._init(), self._model_name)
        return self._init()

    def batches(self, epoch: int, first: int) -> tuple[Iterator[dict[str, Any]], Library | None]:
        """Return the training batches of an epoch, without the first `first`; and their library."""
        return self._source.batches(epoch, self.size_of(epoch), first)

    def validation_examples(self, epoch: int) -> loader.Examples:
        """Return the examples of the validation split at the size of an epoch."""
        size = self.size_of(epoch)
        if self._validation_examples is None or self._validation_examples[0] != size:
            examples = loader.Examples(self.builder, self.validation, size)
            self._validation_examples = size, examples
        return self._validation_examples[1]

    def example_names(self, step: int) -> list[str]:
        """Return text such as "bg001 + fg002" for each example of a step (from 1)."""
        epoch, number = divmod(step - 1, self.steps_per_epoch)
        return self._source.example_names(epoch, self.size_of(epoch), number)

    def size_of(self, epoch: int) -> int:
        """Return the picture size in px of an epoch (from 0)."""
        for size, epochs in self._stages:
            if epoch < epochs:
                return size
            epoch -= epochs
        raise IndexError(epoch)

    def is_last_size(self, epoch: int) -> bool:
        """Return whether an epoch has the picture size of the last stage."""
        return self.size_of(epoch) == self._stages[-1][0]

    def should_stop_early(self, lines: Sequence[dict[str, Any]]) -> bool:
        """Return whether the last `early_stop` epochs of the last stage brought no better score.

        Args:
          lines: the lines of `metrics.jsonl`.
        """
        key = f"val/{self.best_metric}"
        epochs_before_last_stage = self.epochs - self._stages[-1][1]
        scores = [
            metrics.score(self.best_metric, {self.best_metric: line[key]})
            for line in lines
            if key in line and line["epoch"] > epochs_before_last_stage
        ]
        if not 0 < self._patience < len(scores):
            return False
        return max(scores[: -self._patience]) >= max(scores[-self._patience :])


def _create_source(config, builder):
    """Return the source of the training batches that a config describes."""
    if config.data.source == "records":
        return RecordBatches(builder, config.batch_size, config.seed, config.data.threads)
    makes_scenes = config.data.source == "scenes"
    return LibraryBatches(
        builder,
        config.stages[0][0],
        config.batch_size,
        config.seed,
        config.data[config.data.source].composites,
        needs_depth=any(config.loss.depth.values()),
        scale=scenes.REDUCTION if makes_scenes else config.data.library.scale,
        may_be_cut=makes_scenes,
    )


def _check_splits(config, info):
    """Refuse to train if there is nothing to train, select or test on."""
    needed = ("train", "test") if config.data.splits == "original" else ("train", *EVALUATED)
    missing = [split for split in needed if split not in info.splits]
    if missing:
        raise InputError(
            f"{info.full_name}: too few backgrounds or figures for a {missing[0]} split with its "
            "own; such a data set can only be evaluated, with --config.eval.splits=all"
        )


def _check_depth(config, info):
    """Refuse to train or select on depth if the data set has none."""
    if info.metadata["depth"]:
        return
    if any(config.loss.depth.values()):
        raise InputError(
            f"{info.full_name} has no depth to train on: set every --config.loss.depth.* to 0"
        )
    if config.checkpoint.best.startswith("depth/"):
        raise InputError(
            f"--config.checkpoint.best={config.checkpoint.best}: {info.full_name} has no depth"
        )


def _check_steps(config, total_steps):
    """Refuse options that name a step after the last one."""
    last_steps = {"profile": max(config.profile, default=0), "accumulate": config.accumulate}
    for key, last in last_steps.items():
        if last > total_steps:
            raise InputError(f"--config.{key}={config[key]}: there are only {total_steps} steps")
