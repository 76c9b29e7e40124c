"""The training step, pure: what one batch does to the state.

Batch -> `preprocess.to_float` or `library.make` -> `augment` -> `state.forward` -> `losses.total` -> gradients, their mean over
devices -> optimizer -> new `TrainState`. Losses and BatchNorm see the global batch, so N devices compute what one does.
"""

import functools

import jax
import optax

from modest import losses, metrics, parallel
from modest import state as states
from modest.augment import augment
from modest.data import library as libraries
from modest.preprocess import to_float

LIVE_METRICS = ("mask/iou", "depth/rmse")  # of the training batch, on the progress bar


def train_step(
    state,
    batch,
    library=None,
    *,
    model,
    optimizer,
    learning_rate,
    weights,
    augmentation,
    compositing,
    average,
    seed,
    precision="float32",
    rematerialise=False,
):
    """One step: `(state, batch)` -> `(new state, {name: scalar})`.

    The batch is uint8 pictures, or, with a `library` to make the pictures of, the numbers of backgrounds and figures in it.
    Pure; runs under `parallel.AXIS` on each device's share of the batch.
    """
    key = jax.random.fold_in(jax.random.key(seed), state.step)
    first = parallel.first_index(len(batch["valid"]))
    pictures = to_float(batch) if library is None else libraries.make(key, library, batch, compositing, first)
    targets = augment(key, pictures, augmentation, first)

    def loss_function(params):
        outputs, batch_stats = states.forward(model, state, params, targets, True, precision, rematerialise)
        loss, terms = losses.total(outputs, targets, weights, parallel.AXIS)
        return loss, (outputs, batch_stats, terms)

    (loss, (outputs, batch_stats, terms)), gradients = jax.value_and_grad(loss_function, has_aux=True)(state.params)
    gradients = parallel.mean(gradients)
    updates, opt_state = optimizer.update(gradients, state.opt_state, state.params, value=loss)
    new_state = state.replace(
        step=state.step + 1,
        params=optax.apply_updates(state.params, updates),
        batch_stats=batch_stats,
        opt_state=opt_state,
    )
    new_state = states.update_average(new_state, average)
    live = {k: v.mean() for k, v in metrics.per_example(outputs, targets).items() if k in LIVE_METRICS}
    values = {"loss": loss, **terms, **parallel.mean(live)}
    return new_state, values | {"gradient_norm": optax.tree.norm(gradients), "learning_rate": learning_rate(state)}


def create(config, model, optimizer, learning_rate):
    """`train_step` with everything that the config and `state.create` say of it: what is left are state, batch and library."""
    return functools.partial(
        train_step,
        model=model,
        optimizer=optimizer,
        learning_rate=learning_rate,
        weights=config.loss.to_dict(),
        augmentation=config.augment.to_dict(),
        compositing=config.data.library.to_dict(),
        average=config.average,
        seed=config.seed,
        precision=config.precision,
        rematerialise=config.rematerialise,
    )
