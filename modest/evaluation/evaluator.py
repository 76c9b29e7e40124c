"""Exact evaluation of a state on the examples of a split.

Every example counts once, whatever the batch size and the number of devices.
"""

import functools
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

import flax.linen as nn
import jax
import numpy as np
from ml_collections import ConfigDict

from modest import losses, metrics
from modest.constants import CHANNELS
from modest.data.batches import loader
from modest.evaluation.details import Collected
from modest.preprocess import to_float
from modest.run import devices
from modest.state import train_state
from modest.state.train_state import TrainState
from modest.types import Batch, PyTree

Weights = Mapping[str, Mapping[str, float]]  # {head: {loss: weight}}
Pictures = dict[str, np.ndarray]  # uint8 [N,H,W,C] by kind


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
        collected: Collected | None = None,
    ) -> tuple[dict[str, float], Pictures]:
        """Evaluate all examples.

        Args:
          state: a replicated state.
          examples: the examples of a split; each counts once.
          watch: takes the batches and yields them again. If it stops early, the results are
            invalid.
          collected: gets every batch with its predictions, to compute more metrics from them.

        Returns:
          The metrics by name. And a few examples with their predictions, as many as the argument
          `pictures` of the constructor, spread evenly over those that this process reads: uint8
          `{bg, bg_fg, mask, depth, output_mask, ...}`.
        """
        rows = devices.process_rows(self._batch_size)
        batches = loader.eval_batches(examples, self._batch_size, self._threads, rows)
        wanted = loader.spread(self._pictures, len(examples) // devices.process_count())
        means: dict[str, metrics.Mean] = {}
        kept, first = [], 0
        for batch in watch(batches):
            sums, outputs = self._step(state, devices.shard(batch))
            for name, mean in devices.unreplicate(sums).items():
                means[name] = means.get(name, metrics.Mean()).merge(mean)
            if collected is not None:
                collected.add(outputs, batch)
            valid = batch["valid"].sum()
            chosen = [index - first for index in wanted if 0 <= index - first < valid]
            if chosen:
                kept.append(_pictures(batch, devices.unshard(outputs), chosen))
            first += len(batch["valid"])
        return {name: float(mean.value()) for name, mean in means.items()}, _joined(kept)

    def pictures(
        self, state: TrainState, examples: loader.Examples, indices: Sequence[int]
    ) -> Pictures:
        """Return some examples with their predictions, as `__call__` does.

        Each process of a distributed run predicts all of them.

        Args:
          state: a replicated state.
          examples: the examples of a split.
          indices: the examples to predict, in this order.
        """
        size = self._batch_size // devices.process_count()
        kept = []
        for start in range(0, len(indices), size):
            part = list(indices[start : start + size])
            batch = examples.batch(part + [part[-1]] * (size - len(part)))
            batch |= {"valid": np.arange(size) < len(part)}
            _, outputs = self._step(state, devices.shard(batch))
            kept.append(_pictures(batch, devices.unshard(outputs), range(len(part))))
        return _joined(kept)


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
    rows = list(rows)
    truth = {kind: batch[kind][rows] for kind in (*CHANNELS, "depth_valid") if kind in batch}
    predicted = {
        f"output_{head}": np.round(255 * x[rows]).astype(np.uint8) for head, x in outputs.items()
    }
    return truth | predicted


def _joined(parts):
    kinds = parts[0] if parts else ()
    return {kind: np.concatenate([part[kind] for part in parts]) for kind in kinds}
