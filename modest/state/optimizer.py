"""SGD with momentum, and the learning rate schedules."""

import optax
from ml_collections import ConfigDict


def create_optimizer(
    options: ConfigDict, schedule: optax.Schedule, updates_per_epoch: int
) -> optax.GradientTransformationExtraArgs:
    """Return SGD with momentum and L2 regularisation, as PyTorch's `SGD` computes it.

        g = gradient + weight_decay * p
        v = momentum * v + g
        p = p - rate * v

    Args:
      options: the section `optimizer` of a config. A gradient with a norm above `clip_norm` is
        first scaled down to that norm (Pascanu et al., 2013), unless `clip_norm` is 0.
      schedule: learning rate as a function of the number of updates.
      updates_per_epoch: number of updates over which `plateau` averages the loss.

    Returns:
      An optimizer whose `update` takes the loss as `value`, whether the schedule uses it or not.
    """
    steps = [optax.clip_by_global_norm(options.clip_norm)] if options.clip_norm else []
    steps += [
        optax.add_decayed_weights(options.weight_decay),
        optax.sgd(schedule, options.momentum),
    ]
    if options.schedule == "plateau":
        steps.append(
            optax.contrib.reduce_on_plateau(
                factor=options.plateau.factor,
                patience=options.plateau.epochs,
                accumulation_size=updates_per_epoch,
            )
        )
    return optax.with_extra_args_support(optax.chain(*steps))


def create_schedule(
    options: ConfigDict, total_updates: int, updates_per_epoch: int
) -> optax.Schedule:
    """Return the learning rate as a function of the number of updates.

    For `plateau` it is the rate before the optimizer's own reductions.

    Args:
      options: the section `optimizer` of a config.
      total_updates: updates of the whole run.
      updates_per_epoch: updates of one epoch.
    """
    peak = options.learning_rate
    if options.schedule == "one_cycle":
        return optax.cosine_onecycle_schedule(total_updates, peak)
    warmup = round(options.warmup * total_updates)
    if options.schedule == "cosine":
        schedule = optax.cosine_decay_schedule(peak, max(1, total_updates - warmup))
    elif options.schedule == "step":
        updates = options.step.epochs * updates_per_epoch
        steps = optax.exponential_decay(peak, updates, options.step.factor, staircase=True)

        def schedule(update):  # counted from the end of the warm-up
            return steps(update + warmup)
    elif options.schedule == "trapezoid":
        decay = min(options.trapezoid.epochs * updates_per_epoch, total_updates - warmup)
        schedule = optax.join_schedules(
            [optax.constant_schedule(peak), optax.linear_schedule(peak, 0.0, decay)],
            [total_updates - warmup - decay],
        )
    else:
        schedule = optax.constant_schedule(peak)
    if not warmup:
        return schedule
    return optax.join_schedules([optax.linear_schedule(0.0, peak, warmup), schedule], [warmup])
