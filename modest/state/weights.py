"""Weights in one file, and the weights that come with the package.

The file is in the safetensors format, which holds arrays and text and executes nothing. Kernels of
convolutions are float16, which halves the file; everything else is float32. The text says what
made the weights.
"""

import hashlib
import json
import pathlib
from typing import Any, NamedTuple

import flax.linen as nn
import jax
import numpy as np
import safetensors
import safetensors.numpy
from flax import traverse_util
from ml_collections import ConfigDict

from modest.errors import InputError
from modest.run import configs, files
from modest.state import train_state
from modest.state.train_state import TrainState

SUFFIX = ".safetensors"
FOLDER = pathlib.Path(__file__).parents[1] / "weights"
RELEASED = {"modest": "pairnet", "modest_small": "pairnet_small"}  # name -> file in FOLDER
TEXT = "modest"  # key of the text in a file
DIGEST = "sha256"  # key of the digest of everything else in the file
ARRAYS = ("params", "batch_stats", "statistics")  # the fields of `TrainState` in a file


class Trained(NamedTuple):
    """A trained network."""

    config: ConfigDict  # the config of the training
    model: nn.Module
    state: TrainState  # with the moving average of the weights, if the run kept one


def released(name: str) -> pathlib.Path:
    """Return the file of weights in the package; `name` is a key of `RELEASED`."""
    return FOLDER / f"{RELEASED[name]}{SUFFIX}"


def is_weights(source: str | pathlib.Path) -> bool:
    """Return whether a source is weights: a name in `RELEASED`, or a file with their suffix."""
    return str(source) in RELEASED or pathlib.Path(source).suffix == SUFFIX


def save(path: pathlib.Path, trained: Trained, made_by: dict[str, Any]) -> None:
    """Write a network to a file.

    Args:
      path: the file.
      trained: the network.
      made_by: what made it, as JSON values: `metrics`, `revision` ...

    Raises:
      InputError: a weight is too large for float16, or the file cannot be written.
    """
    arrays = {}
    for name, x in _flat(trained.state).items():
        x = np.asarray(x, np.float32)
        with np.errstate(over="ignore"):  # refused below
            arrays[name] = x.astype(np.float16) if x.ndim == 4 else x
        if not np.isfinite(arrays[name]).all():
            raise InputError(f"{name} has numbers that are not finite in {arrays[name].dtype}")
    made_by = made_by | {"config": trained.config.to_dict()}
    made_by = made_by | {DIGEST: _digest(made_by, arrays)}
    # One entry, because safetensors writes several in random order.
    text = {TEXT: json.dumps(made_by, sort_keys=True)}
    files.write(path, safetensors.numpy.save(arrays, metadata=text))


def load(path: str | pathlib.Path) -> Trained:
    """Read a network from a file that `save` has written.

    Raises:
      InputError: there is no such file, it is not one of these files, or it is damaged.
    """
    try:
        with safetensors.safe_open(path, framework="numpy") as file:
            made_by = json.loads(file.metadata()[TEXT])
            arrays = {name: file.get_tensor(name) for name in file.keys()}
        if made_by[DIGEST] != _digest(made_by, arrays):
            raise InputError(f"{path}: damaged; its SHA-256 is not that of its content")
        config = configs.parse(made_by["config"])
    except FileNotFoundError:
        raise InputError(f"{path}: no such file of weights") from None
    except (OSError, ValueError, KeyError, TypeError, safetensors.SafetensorError) as error:
        raise InputError(f"{path}: not weights that modest has written ({error})") from None
    created = train_state.create(config, total_steps=1, steps_per_epoch=1)
    shapes = jax.eval_shape(created.init)
    wanted = {name: x.shape for name, x in _flat(shapes).items()}
    if wanted != {name: x.shape for name, x in arrays.items()}:
        raise InputError(f"{path}: its arrays are not those of {config.model.name}")
    trees = {
        field: traverse_util.unflatten_dict(
            {
                tuple(name.split("/")[1:]): np.asarray(x, np.float32)
                for name, x in arrays.items()
                if name.startswith(f"{field}/")
            }
        )
        for field in ARRAYS
    }
    return Trained(
        config, created.model, shapes.replace(step=np.int32(0), **trees, opt_state=(), average=None)
    )


def describe(path: str | pathlib.Path) -> dict[str, Any]:
    """Return what made the weights in a file: `{"config", "metrics", ...}`."""
    with safetensors.safe_open(path, framework="numpy") as file:
        return json.loads(file.metadata()[TEXT])


def _digest(made_by, arrays):
    """Return the SHA-256 of the text, without the digest in it, and of the arrays."""
    digest = hashlib.sha256()
    text = {key: value for key, value in made_by.items() if key != DIGEST}
    digest.update(json.dumps(text, sort_keys=True).encode())
    for name in sorted(arrays):
        digest.update(name.encode() + arrays[name].tobytes())
    return digest.hexdigest()


def _flat(state):
    """Return `{"params/encoder/...": array}` of a state, or of its shapes."""
    trees = {field: getattr(state, field) for field in ARRAYS}
    return {"/".join(at): x for at, x in traverse_util.flatten_dict(trees).items()}
