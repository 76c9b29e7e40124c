"""What training needs between steps, made once from the config: data, state, the compiled step, the evaluator."""

import jax

from modest import metrics, parallel, transfer
from modest import state as states
from modest import step as steps
from modest.data import library as libraries
from modest.data import loader
from modest.evaluate import Evaluator
from modest.vocabulary import InputError


class Trainer:
    """Everything that the config describes, for `fit` to use between steps.

    A `schedule`, learning rate by update, takes the place of the config's.

    Raises:
      InputError: the data cannot be used, or not as the config says.
    """

    def __init__(self, config, schedule=None):
        self.config = config
        self._opened = {}
        self.builder = loader.prepare(config.data)
        self._trains_depth = any(config.loss.depth.values())
        if self._trains_depth and not self.builder.info.metadata["depth"]:
            raise InputError(f"{self.builder.info.full_name} has no depth to train on: set every --config.loss.depth.* to 0")
        if config.checkpoint.best.startswith("depth/") and not self.builder.info.metadata["depth"]:
            raise InputError(f"--config.checkpoint.best={config.checkpoint.best}: {self.builder.info.full_name} has no depth")
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
        for key, last in (("profile", max(config.profile, default=0)), ("accumulate", config.accumulate)):
            if last > self.total_steps:
                raise InputError(f"--config.{key}={config[key]}: there are only {self.total_steps} steps")
        self.init, self.model, optimizer, learning_rate = states.create(
            config, self.total_steps, self.steps_per_epoch, self.builder.info.metadata["statistics"], schedule
        )
        self.abstract = jax.eval_shape(self.init)
        step = steps.create(config, self.model, optimizer, learning_rate)
        self.step = parallel.parallel(step, donate_state=True)
        self.evaluator = Evaluator(self.model, config.loss.to_dict())

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
