"""Find the best state of a work directory."""

import pathlib
from typing import NamedTuple

import flax.linen as nn
import jax
from ml_collections import ConfigDict

from modest.errors import InputError
from modest.run import configs, workdirs
from modest.run.logbook import say
from modest.state import train_state
from modest.state.checkpoint import Checkpoints
from modest.state.train_state import TrainState


class Trained(NamedTuple):
    """A trained network."""

    config: ConfigDict  # the config of the training
    model: nn.Module
    state: TrainState  # with the moving average of the weights, if the run kept one


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
    created = train_state.create(config, total_steps=1, steps_per_epoch=1)
    with Checkpoints(workdir / workdirs.CHECKPOINTS) as checkpoints:
        found = checkpoints.restore_best(jax.eval_shape(created.init))
    if found is None:
        raise InputError(
            f"{workdir}: no checkpoint there yet; train first, or give another --workdir"
        )
    state, meta = found
    say(f"{workdir}: restored step {meta['step']} (epoch {meta['epoch']})")
    return Trained(config, created.model, train_state.averaged(state))
