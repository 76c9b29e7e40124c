"""The training state: parameters, running statistics, optimizer state, and the number of steps."""

import functools
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import flax.linen as nn
import flax.struct
import jax
import jax.numpy as jnp
import optax
from ml_collections import ConfigDict

from modest import models
from modest.constants import PICTURES
from modest.models.initialise import initialise
from modest.models.layers import CONVOLUTION
from modest.preprocess import STATISTICS, standardise
from modest.run import devices
from modest.state.optimizer import create_optimizer, create_schedule
from modest.types import Batch, PyTree


class TrainState(flax.struct.PyTreeNode):
    """A pytree of arrays: everything that a checkpoint holds."""

    step: jax.Array  # finished training steps, int32 scalar
    params: PyTree
    batch_stats: PyTree  # running statistics of BatchNorm
    opt_state: PyTree
    statistics: PyTree  # {"mean": [3], "std": [3]} of the training pictures, for `standardise`
    average: PyTree = None  # moving average of {"params", "batch_stats"}, or None


class ModelAndOptimizer(NamedTuple):
    """The network and the optimizer that a config describes."""

    init: Callable[[], TrainState]  # a new state; the same numbers for the same seed
    model: nn.Module
    optimizer: optax.GradientTransformationExtraArgs
    learning_rate: Callable[[TrainState], jax.Array]  # rate of the next update of a state


def create(
    config: ConfigDict,
    total_steps: int,
    steps_per_epoch: int,
    statistics: Mapping[str, Any] = STATISTICS,
    schedule: optax.Schedule | None = None,
) -> ModelAndOptimizer:
    """Return the network and the optimizer that a config describes.

    `jax.eval_shape(result.init)` gives the shapes of a state without compiling anything.

    Args:
      config: the whole config.
      total_steps: steps of the whole run.
      steps_per_epoch: steps of one epoch.
      statistics: means and deviations of the training pictures, see `preprocess.standardise`.
      schedule: learning rate as a function of the number of updates; by default that of the config.
    """
    model = models.build(**config.model.to_dict(), axis_name=devices.AXIS)
    accumulate = config.accumulate
    updates_per_epoch = max(1, steps_per_epoch // accumulate)
    if schedule is None:
        total_updates = max(1, total_steps // accumulate)
        schedule = create_schedule(config.optimizer, total_updates, updates_per_epoch)
    optimizer = create_optimizer(config.optimizer, schedule, updates_per_epoch)
    if accumulate > 1:  # one update with the mean gradient of `accumulate` steps
        optimizer = optax.MultiSteps(optimizer, accumulate).gradient_transformation()
    size, seed, keeps_average = config.stages[0][0], config.seed, bool(config.average)
    reduces_on_plateau = config.optimizer.schedule == "plateau"

    init_optimizer = jax.jit(optimizer.init)  # one program, not one for each shape

    def learning_rate(state: TrainState) -> jax.Array:
        rate = jnp.asarray(schedule(state.step // accumulate))
        return rate * _plateau_scale(state.opt_state) if reduces_on_plateau else rate

    def init() -> TrainState:
        variables = initialise(model, seed, size)
        return TrainState(
            step=jnp.zeros((), jnp.int32),
            params=variables["params"],
            batch_stats=variables["batch_stats"],
            opt_state=init_optimizer(variables["params"]),
            statistics={name: jnp.asarray(values, float) for name, values in statistics.items()},
            average=variables if keeps_average else None,
        )

    return ModelAndOptimizer(init, model, optimizer, learning_rate)


def _plateau_scale(opt_state):
    """Return the factor by which `reduce_on_plateau` has reduced the learning rate."""

    def belongs_to_a_named_tuple(path: tuple, value: Any) -> bool:
        # BatchNorm's parameters and their momentum are called "scale" too, but are in dicts.
        return isinstance(path[-1], optax.tree_utils.NamedTupleKey)

    return optax.tree.get(opt_state, "scale", filtering=belongs_to_a_named_tuple)


def averaged(state: TrainState) -> TrainState:
    """Return the state with the moving average as its weights, if it has one."""
    return state if state.average is None else state.replace(**state.average, average=None)


def update_average(state: TrainState, decay: float) -> TrainState:
    """Return the state with average = decay * average + (1 - decay) * weights, if it has one."""
    if state.average is None:
        return state
    newest = {name: getattr(state, name) for name in state.average}
    return state.replace(average=optax.incremental_update(newest, state.average, 1 - decay))


def forward(
    model: nn.Module,
    state: TrainState,
    params: PyTree,
    batch: Batch,
    train: bool,
    precision: str = "float32",
    rematerialise: bool = False,
) -> tuple[dict[str, jax.Array], PyTree]:
    """Run the network.

    Args:
      model: the network.
      state: provides the running statistics and the statistics of the pictures.
      params: the parameters; passed separately for differentiation.
      batch: float pictures in [0, 1], `[B,H,W,3]`.
      train: normalise with the batch's own statistics, over the mapped axis `devices.AXIS`.
      precision: with `train`, dtype of the activations, `float32` or `bfloat16`.
      rematerialise: with `train`, keep only the outputs of convolutions as residuals, and compute
        the rest again in the backward pass (Chen et al., 2016).

    Returns:
      Logits `{head: [B,H,W,1]}` in the batch's dtype, and the running statistics after the batch
      (unchanged without `train`).
    """
    dtype = batch["bg"].dtype
    batch = standardise(batch, state.statistics)
    variables = {"params": params, "batch_stats": state.batch_stats}
    if not train:
        outputs: Any = model.apply(variables, batch["bg"], batch["bg_fg"], train=False)
        return outputs, state.batch_stats
    apply: Callable[..., Any] = functools.partial(model.apply, train=True, mutable=["batch_stats"])
    if rematerialise:
        policy = jax.checkpoint_policies.save_only_these_names(CONVOLUTION)
        apply = jax.checkpoint(apply, policy=policy)
    network_dtype = dtype if precision == "float32" else precision
    pictures = [batch[name].astype(network_dtype) for name in PICTURES]
    outputs, updated = apply(variables, *pictures)
    logits = {head: x.astype(dtype) for head, x in outputs.items()}
    return logits, updated["batch_stats"]
