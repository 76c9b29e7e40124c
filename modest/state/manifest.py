"""What a checkpoint holds: names, shapes, dtypes and digests of its arrays."""

import hashlib
import json
import math
import pathlib
from typing import Any

import jax
import numpy as np

from modest.errors import InputError, TrainingError
from modest.types import PyTree


def size_of(state: PyTree) -> int:
    """Return the size in bytes of a pytree of arrays, or of their shapes."""
    return sum(math.prod(x.shape) * x.dtype.itemsize for x in jax.tree.leaves(state))


def check_same_arrays(path: pathlib.Path, saved: dict[str, str], like: PyTree) -> None:
    """Check that a checkpoint holds the arrays of `like`.

    Args:
      path: path of the checkpoint, for the message.
      saved: `{name: "float32[3, 3]"}` of the saved arrays.
      like: a pytree of arrays, or of their shapes.

    Raises:
      InputError: they have other names, shapes or dtypes; the message names the first ones.
    """
    wanted = {name: _describe(x) for name, x in _leaves(like)}
    names = sorted({*saved, *wanted})
    differing = [name for name in names if saved.get(name) != wanted.get(name)]
    if differing:
        shown = "; ".join(
            f"{name} is {saved.get(name, 'absent')}, not {wanted.get(name, 'absent')}"
            for name in differing[:3]
        )
        raise InputError(
            f"{path} holds another model or optimizer ({len(differing)} arrays differ): {shown}; "
            "use its own config, or another --workdir"
        )


def describe_arrays(tree: PyTree) -> dict[str, dict[str, str]]:
    """Return `{name: {"array": "float32[3, 3]", "sha256": digest of its bytes}}`."""
    return {
        name: {
            "array": _describe(x),
            "sha256": hashlib.sha256(np.asarray(x).tobytes()).hexdigest(),
        }
        for name, x in _leaves(tree)
    }


def digest_of_json(value: Any) -> str:
    """Return the SHA-256 of a JSON value, whatever the order of its keys."""
    return hashlib.sha256(json.dumps(value, sort_keys=True).encode()).hexdigest()


def check_finite(step: int, state: PyTree) -> None:
    """Raise `TrainingError` if a number in the state of a step is not finite."""
    for name, x in _leaves(state):
        if np.issubdtype(x.dtype, np.inexact) and not np.isfinite(x).all():
            raise TrainingError(f"step {step}: {name} is not finite; the step is not saved")


def _leaves(tree):
    """Return `(name, array)` for every array of a pytree."""
    return [
        (jax.tree_util.keystr(path), x) for path, x in jax.tree_util.tree_leaves_with_path(tree)
    ]


def _describe(x):
    """Return the dtype and the shape of an array as text, such as "float32[3, 3]"."""
    return f"{np.dtype(x.dtype).name}{list(x.shape)}"
