"""Start a run from the weights of another run, or from the original's (`--config.init_from`)."""

import pathlib
import zipfile
from typing import Any

import jax
import numpy as np

from modest.errors import InputError
from modest.models import torch_weights
from modest.run.logbook import say
from modest.state.restore import restore
from modest.state.train_state import TrainState


def start_from(source: str, state: TrainState, model_name: str) -> TrainState:
    """Return the state with every array of `source` that has the same name and shape.

    Args:
      source: a trained network of any kind, see `restore`; or an `.npz` file with the original's
        state dict.
      state: a new state. Its step, its optimizer state, and all arrays that are not in `source`
        stay as they are.
      model_name: the name of the network of `state`, for messages and for `.npz` files.

    Raises:
      InputError: there is no such source, or none of its arrays fits.
    """
    path = pathlib.Path(source)
    found = _from_npz(path, model_name) if path.suffix == ".npz" else _from_trained(source)
    wanted = {"params": state.params, "batch_stats": state.batch_stats}
    given = {jax.tree_util.keystr(at): x for at, x in jax.tree_util.tree_leaves_with_path(found)}
    taken = []

    def choose(at: Any, own: Any) -> Any:
        other = given.get(jax.tree_util.keystr(at))
        if other is None or other.shape != own.shape:
            return own
        taken.append(at)
        return np.asarray(other, own.dtype)

    variables = jax.tree_util.tree_map_with_path(choose, wanted)
    if not taken:
        raise InputError(
            f"--config.init_from={source}: no array in it has the name and shape of one of "
            f"{model_name}'s"
        )
    say(f"{source}: {len(taken)} of {len(jax.tree.leaves(wanted))} arrays loaded")
    return state.replace(**variables, average=variables if state.average is not None else None)


def _from_trained(source):
    try:
        best = restore(source).state
    except InputError as error:
        raise InputError(f"--config.init_from={source}: {error}") from None
    return {"params": best.params, "batch_stats": best.batch_stats}


def _from_npz(path, model_name):
    if model_name not in ("masknet", "depthnet"):
        raise InputError(f"--config.init_from={path}: the original has no {model_name}")
    try:
        with np.load(path, allow_pickle=False) as arrays:
            return torch_weights.from_torch(dict(arrays), model_name)
    except (OSError, EOFError, ValueError, KeyError, TypeError, zipfile.BadZipFile) as error:
        raise InputError(
            f"--config.init_from={path}: not the original's state dict of {model_name} ({error})"
        ) from None
