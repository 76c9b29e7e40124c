"""Exact evaluation of a state on a split, and the files that it writes.

Every example counts once, whatever the batch size and the number of devices.
"""

import functools
import io
import pathlib
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

import flax.linen as nn
import jax
import numpy as np
import tensorflow_datasets as tfds
from ml_collections import ConfigDict

from modest import losses, metrics
from modest.constants import CHANNELS
from modest.data.batches import loader
from modest.data.museum import preparation, records
from modest.errors import InputError
from modest.evaluation import figures
from modest.preprocess import to_float
from modest.run import configs, devices, files, validation, workdirs
from modest.run.logbook import say, table
from modest.state import train_state
from modest.state.restore import restore_best
from modest.state.train_state import TrainState
from modest.types import Batch, PyTree

IN_TABLE = (
    "mask/iou",
    "mask/dice",
    "mask/boundary_f1",
    "depth/rmse",
    "depth/abs_rel",
    "depth/delta1",
)

Weights = Mapping[str, Mapping[str, float]]  # {head: {loss: weight}}
Pictures = dict[str, np.ndarray]  # uint8 [N,H,W,C] by kind


def run(config: ConfigDict, workdir: str | pathlib.Path) -> dict[str, dict[str, float]]:
    """Evaluate the best checkpoint of a work directory on the test splits, and write the results.

    The network is the trained one, which `config.json` in the work directory describes. The data
    set and the options of the evaluation come from `config`. If it is not the data set of the
    training, the results go into a subdirectory named after it.

    Returns:
      `{split: {metric: value}}`.

    Raises:
      InputError: there is no checkpoint, or the config is for another network.
    """
    directory = pathlib.Path(workdir).resolve()
    validation.validate_devices(config, len(devices.all_devices()))
    trained = restore_best(directory)
    before, now = (configs.as_json(c.model) for c in (trained.config, config))
    if before != now:
        raise InputError(f"{directory} was trained with model {before}, not {now}; use its config")
    builder = loader.prepare_from_config(config.data)
    if not workdirs.is_same_data(trained.config, preparation.identity(builder)):
        directory = directory / builder.builder_config.name
        directory.mkdir(exist_ok=True)
    evaluator = Evaluator.from_config(config, trained.model)
    final = FinalEvaluation(config, builder, evaluator)
    return final.run(devices.replicate(trained.state), directory)


class Evaluator:
    """The compiled evaluation of one network."""

    def __init__(
        self, model: nn.Module, weights: Weights, batch_size: int, threads: int, pictures: int
    ) -> None:
        """Compile the evaluation.

        Args:
          model: the network.
          weights: weights of the losses, which are evaluated too.
          batch_size: examples per batch, over all devices.
          threads: number of threads that decode pictures.
          pictures: number of examples to return as pictures.
        """
        step = functools.partial(eval_step, model=model, weights=weights)
        self._step = devices.pmap(step)
        self._batch_size, self._threads, self._pictures = batch_size, threads, pictures

    @classmethod
    def from_config(cls, config: ConfigDict, model: nn.Module) -> "Evaluator":
        """Return the evaluation that a config describes."""
        options = config.eval
        weights, threads = config.loss.to_dict(), config.data.threads
        return cls(model, weights, options.batch_size, threads, options.pictures)

    def __call__(
        self,
        state: TrainState,
        examples: loader.Examples,
        watch: Callable[[Iterable[Batch]], Iterable[Batch]] = iter,
    ) -> tuple[dict[str, float], Pictures]:
        """Evaluate all examples.

        Args:
          state: a replicated state.
          examples: the examples of a split; each counts once.
          watch: takes the batches and yields them again. If it stops early, the results are
            invalid.

        Returns:
          The metrics by name. And a few examples with their predictions, as many as the argument
          `pictures` of the constructor, spread evenly over those that this process reads: uint8
          `{bg, bg_fg, mask, depth, output_mask, ...}`.
        """
        rows = devices.process_rows(self._batch_size)
        batches = loader.eval_batches(examples, self._batch_size, self._threads, rows)
        wanted = spread(self._pictures, len(examples) // devices.process_count())
        means: dict[str, metrics.Mean] = {}
        kept, first = [], 0
        for batch in watch(batches):
            sums, outputs = self._step(state, devices.shard(batch))
            for name, mean in devices.unreplicate(sums).items():
                means[name] = means.get(name, metrics.Mean()).merge(mean)
            valid = batch["valid"].sum()
            chosen = [index - first for index in wanted if 0 <= index - first < valid]
            if chosen:
                kept.append(_pictures(batch, devices.unshard(outputs), chosen))
            first += len(batch["valid"])
        shown = {kind: np.concatenate([p[kind] for p in kept]) for kind in kept[0]} if kept else {}
        return {name: float(mean.value()) for name, mean in means.items()}, shown


class FinalEvaluation:
    """The evaluation on the test splits at the end of a run."""

    def __init__(
        self, config: ConfigDict, builder: tfds.core.DatasetBuilder, evaluator: Evaluator
    ) -> None:
        """Choose the splits. Raises `InputError` if the data set has none of them."""
        self._builder, self._evaluator = builder, evaluator
        self._splits = wanted_splits(config.eval.splits, builder)
        self._size = config.stages[-1][0]

    def run(self, state: TrainState, workdir: pathlib.Path) -> dict[str, dict[str, float]]:
        """Evaluate a replicated state; write `eval.json`, `predictions.npz` and the figures.

        Prints a table. In a distributed run only the main process writes.

        Returns:
          `{split: {metric: value}}`.
        """
        results, pictures = {}, {}
        for split in self._splits:
            examples = loader.Examples(self._builder, split, self._size)
            results[split], pictures[split] = self._evaluator(state, examples)
            results[split]["examples"] = len(examples)
        if devices.is_main():
            _write(workdir, results, pictures)
        return results


def eval_step(
    state: TrainState, batch: Batch, model: nn.Module, weights: Weights
) -> tuple[dict[str, metrics.Mean], dict[str, jax.Array]]:
    """Evaluate one batch. Pure; runs under `devices.AXIS` on each device's share of the batch.

    Returns:
      `{name: Mean}` of metrics and losses over the valid rows of all devices; and this device's
      probabilities, `{head: [B,H,W,1]}`.
    """
    targets = to_float(batch)
    state = train_state.averaged(state)
    outputs, _ = train_state.forward(model, state, state.params, targets, train=False)
    values = metrics.per_example(outputs, targets) | _loss_values(outputs, targets, weights)
    sums = metrics.means(values, targets["valid"], targets.get("depth_valid"))
    return devices.total(sums), jax.tree.map(jax.nn.sigmoid, outputs)


def wanted_splits(text: str, builder: tfds.core.DatasetBuilder) -> list[str]:
    """Return the splits that `eval.splits` names and the data set has.

    Args:
      text: names separated by commas; or `all`, for every composite of the data set in one split.
      builder: a prepared data set.

    Raises:
      InputError: the data set has none of them.
    """
    present = [name for name in builder.info.splits if name not in records.NON_COMPOSITE_SPLITS]
    if text == "all":
        return ["+".join(present)]
    wanted = [name for name in text.split(",") if name in present]
    if not wanted:
        raise InputError(
            f"--config.eval.splits={text}: the data set has {', '.join(present)}; give some, or all"
        )
    return wanted


def spread(count: int, examples: int) -> list[int]:
    """Return `count` indices spread evenly over the examples.

    Neighbouring examples would show the same room.
    """
    count = min(count, examples)
    return [i * examples // count for i in range(count)]


def _write(workdir, results, pictures):
    files.write_json(workdir / workdirs.EVAL, results)
    arrays = {f"{split}/{kind}": x for split, part in pictures.items() for kind, x in part.items()}
    stream = io.BytesIO()
    np.savez_compressed(stream, **arrays)
    files.write(workdir / workdirs.PREDICTIONS, stream.getvalue())
    drawn = figures.write(workdir)
    columns = [name for name in IN_TABLE if name in next(iter(results.values()))]
    rows = {split: [values[name] for name in columns] for split, values in results.items()}
    for line in table("split", columns, rows):
        say(line)
    for path in (workdir / workdirs.EVAL, *drawn):
        say(str(path))


def _loss_values(outputs: PyTree, targets: Batch, weights: Weights) -> dict[str, jax.Array]:
    """Return loss and loss terms of each single example, `{"loss": [B], "loss/<term>": [B]}`.

    Heads without a target are left out.
    """
    heads = [head for head in outputs if head in targets]
    weights = {head: weights[head] for head in heads}

    def of_example(outputs: PyTree, targets: PyTree) -> dict[str, Any]:
        outputs, targets = jax.tree.map(lambda x: x[None], (outputs, targets))
        loss, terms = losses.total(outputs, targets, weights)
        return {"loss": loss, **{f"loss/{name}": value for name, value in terms.items()}}

    kinds = [*heads, *(f"{head}_valid" for head in heads if f"{head}_valid" in targets)]
    maps = {head: outputs[head] for head in heads}, {kind: targets[kind] for kind in kinds}
    return jax.vmap(of_example)(*maps)


def _pictures(batch: Batch, outputs: PyTree, rows: Sequence[int]) -> dict[str, Any]:
    """Return some rows of a batch and of its outputs, all uint8."""
    truth = {kind: batch[kind][rows] for kind in CHANNELS if kind in batch}
    predicted = {
        f"output_{head}": np.round(255 * x[rows]).astype(np.uint8) for head, x in outputs.items()
    }
    return truth | predicted
