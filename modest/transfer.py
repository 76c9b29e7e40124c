"""Starting from the weights of another run, or of the original (`--config.init_from`)."""

import pathlib
import zipfile

import jax
import numpy as np

from modest import evaluate, interop
from modest.logbook import say
from modest.vocabulary import InputError


def start_from(source, state, model_name):
    """The state with every parameter and running statistic that `source` has under the same name and of the same shape.

    Args:
      source: a work directory, whose best checkpoint is taken, of whatever network; or an `.npz` file of the original's state dict.
      state: a new `TrainState`; step, optimizer and whatever is not in the source stay.
      model_name: of the network that is going to be trained, `masknet`, `depthnet` or `unet`.

    Raises:
      InputError: there is no such source, or nothing in it fits.
    """
    path = pathlib.Path(source)
    if path.suffix == ".npz":
        found = _from_npz(path, model_name)
    else:
        try:
            _, _, best = evaluate.restore_best(path)
        except InputError as error:
            raise InputError(f"--config.init_from={source}: {error}") from None
        found = {"params": best.params, "batch_stats": best.batch_stats}
    wanted = {"params": state.params, "batch_stats": state.batch_stats}
    given = {jax.tree_util.keystr(at): x for at, x in jax.tree_util.tree_leaves_with_path(found)}
    taken = []

    def choose(at, own):
        other = given.get(jax.tree_util.keystr(at))
        if other is None or other.shape != own.shape:
            return own
        taken.append(at)
        return np.asarray(other, own.dtype)

    variables = jax.tree_util.tree_map_with_path(choose, wanted)
    if not taken:
        raise InputError(f"--config.init_from={source}: no array in it has the name and shape of one of {model_name}'s")
    say(f"{source}: {len(taken)} of {len(jax.tree.leaves(wanted))} arrays taken over")
    return state.replace(**variables, average=variables if state.average is not None else None)


def _from_npz(path, model_name):
    if model_name not in ("masknet", "depthnet"):
        raise InputError(f"--config.init_from={path}: the original has no {model_name}")
    try:
        with np.load(path, allow_pickle=False) as arrays:
            return interop.from_torch(dict(arrays), model_name)
    except (OSError, EOFError, ValueError, KeyError, zipfile.BadZipFile) as error:
        raise InputError(f"--config.init_from={path}: not the original's state dict of {model_name} ({error})") from None
