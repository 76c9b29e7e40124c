"""The training state: parameters, running statistics, optimizer state and the step; how it starts and how it goes forward."""

import functools
from typing import Any

import flax.struct
import jax
import jax.numpy as jnp
import optax

from modest import models, parallel
from modest.models.layers import CONVOLUTION
from modest.preprocess import STATISTICS, standardise
from modest.vocabulary import PICTURES


class TrainState(flax.struct.PyTreeNode):
    """A pytree of arrays, the whole of what a checkpoint holds."""

    step: jax.Array  # training steps done, int32 scalar
    params: Any
    batch_stats: Any
    opt_state: Any
    statistics: Any  # {"mean": [3], "std": [3]} of the training pictures, which the network's input is standardised by
    average: Any = None  # {"params", "batch_stats"}: their exponential moving average over the steps, or None


def create(config, total_steps, steps_per_epoch, statistics=STATISTICS, schedule=None):
    """What training starts from and the pure things that go with it: `(init, model, optimizer, learning_rate)`.

    `init()` is a new `TrainState`, with the same seed the same numbers; `jax.eval_shape(init)` tells its arrays without making any.
    `learning_rate(state)` is the rate that the next update of `state` will use. A `schedule`, rate by update, takes the place of
    the config's.
    """
    model = models.build(**config.model.to_dict(), axis_name=parallel.AXIS)
    every = config.accumulate
    updates_per_epoch = max(1, steps_per_epoch // every)
    schedule = schedule or create_schedule(config.optimizer, total_steps // every, updates_per_epoch)
    optimizer = create_optimizer(config.optimizer, schedule, updates_per_epoch)
    if every > 1:  # gathers their mean
        optimizer = optax.MultiSteps(optimizer, every).gradient_transformation()

    def learning_rate(state):
        rate = jnp.asarray(schedule(state.step // every))
        if config.optimizer.schedule == "plateau":  # BatchNorm's parameters have a "scale" too, and their momentum with them
            in_a_state = lambda path, value: isinstance(path[-1], optax.tree_utils.NamedTupleKey)
            rate *= optax.tree.get(state.opt_state, "scale", filtering=in_a_state)
        return rate

    def init():
        size = config.stages[0][0]
        picture = jnp.zeros((1, size, size, 3))
        key = jax.random.key(config.seed, impl="rbg")  # for a hundred draws of different shapes it compiles in half the time
        variables = _initialise(model, key, picture)
        return TrainState(
            step=jnp.zeros((), jnp.int32),
            params=variables["params"],
            batch_stats=variables["batch_stats"],
            opt_state=optimizer.init(variables["params"]),
            statistics={name: jnp.asarray(values, float) for name, values in statistics.items()},
            average=variables if config.average else None,
        )

    return init, model, optimizer, learning_rate


@functools.partial(jax.jit, static_argnums=0)  # at the module's level, so that for an equal model it is not compiled again
def _initialise(model, key, picture):
    return model.init(key, picture, picture)


def averaged(state):
    """The state with the moving average in place of the newest parameters and statistics, where one is kept."""
    return state if state.average is None else state.replace(**state.average, average=None)


def update_average(state, decay):
    """The state with its moving average moved on by one step: average = decay * average + (1 - decay) * newest."""
    if state.average is None:
        return state
    newest = {name: getattr(state, name) for name in state.average}
    return state.replace(average=optax.incremental_update(newest, state.average, 1 - decay))


def forward(model, state, params, batch, train, precision="float32", rematerialise=False):
    """Logits of a float batch in [0, 1], and the running statistics after it (unchanged unless `train`).

    `params` are given apart from the `state`, for a gradient to be taken by them.

    With `train` it must run under the mapped axis `parallel.AXIS`, over which BatchNorm takes its statistics. Then `precision` is
    the type of the network's maps, `float32` (whatever the batch has) or `bfloat16`; logits have the batch's again. With
    `rematerialise` only convolutions' outputs are kept for the backward pass (Chen et al., 2016), which computes the rest again.
    """
    dtype = batch["bg"].dtype
    batch = standardise(batch, state.statistics)
    variables = {"params": params, "batch_stats": state.batch_stats}
    if not train:
        return model.apply(variables, batch["bg"], batch["bg_fg"], train=False), state.batch_stats
    apply = functools.partial(model.apply, train=True, mutable=["batch_stats"])
    if rematerialise:
        apply = jax.checkpoint(apply, policy=jax.checkpoint_policies.save_only_these_names(CONVOLUTION))
    pictures = [batch[name].astype(dtype if precision == "float32" else precision) for name in PICTURES]
    outputs, updated = apply(variables, *pictures)
    return {head: logits.astype(dtype) for head, logits in outputs.items()}, updated["batch_stats"]


def create_optimizer(options, schedule, updates_per_epoch):
    """SGD with momentum, L2 added to the gradient before the momentum, as PyTorch's `SGD` does.

    g = gradient + weight_decay * p;   v = momentum * v + g;   p = p - rate * v

    A gradient whose norm is above `clip_norm` is first scaled down to it (Pascanu et al., 2013). `schedule` is the rate by update.
    """
    steps = [optax.clip_by_global_norm(options.clip_norm)] if options.clip_norm else []
    steps += [optax.add_decayed_weights(options.weight_decay), optax.sgd(schedule, options.momentum)]
    if options.schedule == "plateau":
        steps.append(
            optax.contrib.reduce_on_plateau(
                factor=options.plateau.factor, patience=options.plateau.epochs, accumulation_size=updates_per_epoch
            )
        )
    return optax.with_extra_args_support(optax.chain(*steps))  # takes the loss, as `value`, also where it is not used


def create_schedule(options, total_steps, steps_per_epoch):
    """The learning rate as a function of the update; of `plateau`, the rate before what the plateau takes off."""
    peak = options.learning_rate
    if options.schedule == "one_cycle":
        return optax.cosine_onecycle_schedule(total_steps, peak)
    warmup = round(options.warmup * total_steps)
    if options.schedule == "cosine":
        schedule = optax.cosine_decay_schedule(peak, total_steps - warmup)
    elif options.schedule == "step":
        schedule = optax.exponential_decay(peak, options.step.epochs * steps_per_epoch, options.step.factor, staircase=True)
    elif options.schedule == "trapezoid":
        falling = min(options.trapezoid.epochs * steps_per_epoch, total_steps - warmup)
        fall = optax.linear_schedule(peak, 0.0, falling)
        schedule = optax.join_schedules([optax.constant_schedule(peak), fall], [total_steps - warmup - falling])
    else:
        schedule = optax.constant_schedule(peak)
    return optax.join_schedules([optax.linear_schedule(0.0, peak, warmup), schedule], [warmup]) if warmup else schedule
