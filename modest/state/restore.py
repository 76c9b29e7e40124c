"""Find a trained network: in a work directory, in a file of weights, or in the package."""

import pathlib

import jax

from modest.errors import InputError
from modest.run import configs, workdirs
from modest.run.logbook import say
from modest.state import train_state, weights
from modest.state.checkpoint import Checkpoints
from modest.state.weights import Trained


def restore(source: str | pathlib.Path) -> Trained:
    """Return a trained network.

    Args:
      source: a work directory, whose best checkpoint is used; a `.safetensors` file that
        `weights.save` has written; or the name of weights in the package, see `weights.RELEASED`.

    Raises:
      InputError: there is no trained network, or it cannot be read.
    """
    if str(source) in weights.RELEASED:
        return weights.load(weights.released(str(source)))
    if pathlib.Path(source).suffix == weights.SUFFIX:
        return weights.load(source)
    return restore_best(source)


def restore_best(workdir: str | pathlib.Path) -> Trained:
    """Return the network with the best validation score in a work directory.

    Raises:
      InputError: nothing was trained there, or no checkpoint is intact.
    """
    workdir = pathlib.Path(workdir).resolve()
    config = configs.load(workdir)
    if config is None:
        raise InputError(
            f"{workdir}: no {configs.FILE}, nothing was trained there; train first, or give "
            "another --workdir"
        )
    try:
        created = train_state.create(config, total_steps=1, steps_per_epoch=1)
        shapes = jax.eval_shape(created.init)
    except (LookupError, AttributeError, TypeError, ValueError) as error:
        raise InputError(
            f"{workdir / configs.FILE}: describes no network ({type(error).__name__}: {error}); "
            "restore it from a copy, or give another --workdir"
        ) from None
    with Checkpoints(workdir / workdirs.CHECKPOINTS) as checkpoints:
        found = checkpoints.restore_best(shapes)
    if found is None:
        raise InputError(
            f"{workdir}: no checkpoint there yet; train first, or give another --workdir"
        )
    state, meta = found
    say(f"{workdir}: restored step {meta['step']} (epoch {meta['epoch']})")
    return Trained(config, created.model, train_state.averaged(state))
