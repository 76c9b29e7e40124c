"""The training step, a pure function: what one batch does to the state.

float pictures -> `augment` -> `forward` -> `losses.total` -> gradients, averaged over devices ->
optimizer -> new state. Losses and BatchNorm see the global batch, so that N devices compute what
one device does.
"""

import dataclasses
import functools
from collections.abc import Callable, Mapping
from typing import Any

import flax.linen as nn
import jax
import optax
from ml_collections import ConfigDict

from modest import losses, metrics
from modest.augment import augment
from modest.data.batches import device_composites, scenes
from modest.data.batches.cutouts import Library
from modest.preprocess import to_float
from modest.run import devices
from modest.state.train_state import ModelAndOptimizer, TrainState, forward, update_average
from modest.types import Batch, PyTree

LIVE_METRICS = ("mask/iou", "depth/rmse")  # computed for each training batch, for the progress bar


@dataclasses.dataclass(frozen=True)
class StepOptions:
    """Everything about a step that stays the same during a run."""

    model: nn.Module
    optimizer: optax.GradientTransformationExtraArgs
    learning_rate: Callable[[TrainState], jax.Array]
    weights: Mapping[str, Mapping[str, float]]  # {head: {loss: weight}}
    augmentation: Mapping[str, Any]  # options of `augment`
    compose: Callable[..., dict[str, jax.Array]]  # key, library, batch, first -> pictures
    average: float  # decay of the moving average of the weights; 0: none
    seed: int
    precision: str = "float32"
    rematerialise: bool = False

    @classmethod
    def from_config(cls, config: ConfigDict, created: ModelAndOptimizer) -> "StepOptions":
        """Return the options that a config describes."""
        return cls(
            model=created.model,
            optimizer=created.optimizer,
            learning_rate=created.learning_rate,
            weights=config.loss.to_dict(),
            augmentation=config.augment.to_dict(),
            compose=_composer(config.data),
            average=config.average,
            seed=config.seed,
            precision=config.precision,
            rematerialise=config.rematerialise,
        )


def train_step(
    options: StepOptions, state: TrainState, batch: Batch, library: Library | None = None
) -> tuple[TrainState, dict[str, jax.Array]]:
    """Do one training step. Runs under `devices.AXIS` on each device's share of the batch.

    Args:
      options: see `StepOptions`.
      state: the state before the step.
      batch: uint8 pictures (see `constants.py`); or, with a `library`, the indices of the
        backgrounds and figures to make composites from.
      library: backgrounds and cut-outs on the device, or None.

    Returns:
      The new state, and scalars by name: `loss`, its terms, `LIVE_METRICS`, `gradient_norm` and
      `learning_rate`.
    """
    key = jax.random.fold_in(jax.random.key(options.seed), state.step)
    first = devices.first_index(len(batch["valid"]))
    pictures: Batch
    if library is None:
        pictures = to_float(batch)
    else:
        pictures = options.compose(key, library, batch, first_index=first)
    targets = augment(key, pictures, options.augmentation, first)

    def loss_function(params: PyTree) -> tuple[Any, tuple]:
        outputs, batch_stats = forward(
            options.model, state, params, targets, True, options.precision, options.rematerialise
        )
        loss, terms = losses.total(outputs, targets, options.weights, devices.AXIS)
        return loss, (outputs, batch_stats, terms)

    gradient_function = jax.value_and_grad(loss_function, has_aux=True)
    (loss, (outputs, batch_stats, terms)), gradients = gradient_function(state.params)
    gradients = devices.mean(gradients)
    updates, opt_state = options.optimizer.update(
        gradients, state.opt_state, state.params, value=loss
    )
    new_state = state.replace(
        step=state.step + 1,
        params=optax.apply_updates(state.params, updates),
        batch_stats=batch_stats,
        opt_state=opt_state,
    )
    new_state = update_average(new_state, options.average)
    measured = metrics.per_example(outputs, targets)
    live = {name: x.mean() for name, x in measured.items() if name in LIVE_METRICS}
    values = {"loss": loss, **terms, **devices.mean(live)}
    values["gradient_norm"] = optax.tree.norm(gradients)
    values["learning_rate"] = options.learning_rate(state)
    return new_state, values


def _composer(data):
    """Return the function that makes pictures from an index batch, as the config describes it."""
    make = scenes.make if data.source == "scenes" else device_composites.make
    options = data.scenes if data.source == "scenes" else data.library
    return functools.partial(make, options=options.to_dict())
