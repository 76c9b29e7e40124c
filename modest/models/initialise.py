"""Initial variables of a network, drawn by NumPy on the host.

The distributions are those of the modules' own initialisers (`layers.py`), which `model.init` uses.
But `model.init` draws with JAX, and XLA needs seconds to compile a program for that. NumPy compiles
nothing, and its numbers are the same on every platform and with every version of JAX.
"""

import zlib
from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np

from modest.models.layers import uniform_bound
from modest.types import PyTree


def initialise(model: nn.Module, seed: int, size: int) -> PyTree:
    """Return the initial variables of a network, as NumPy arrays.

    Kernels and biases of convolutions are uniform in +-1/sqrt(fan in), PyTorch's default; BatchNorm
    begins as the identity. The numbers of an array depend only on the seed and on its own path and
    shape, so they stay the same if another layer is added.

    Args:
      model: a network that is made of the blocks in `layers.py`.
      seed: any integer that is not negative.
      size: a picture size in px that the network accepts.
    """
    picture = jax.ShapeDtypeStruct((1, size, size, 3), jnp.result_type(float))
    shapes = jax.eval_shape(model.init, jax.random.key(0), picture, picture)
    params = _draw(shapes["params"], seed, ())
    batch_stats = jax.tree_util.tree_map_with_path(_running_statistic, shapes["batch_stats"])
    return {"params": params, "batch_stats": batch_stats}


def _draw(shapes: dict[str, Any], seed: int, path: tuple[str, ...]) -> dict[str, Any]:
    """Draw the parameters of a module and of the modules in it."""
    drawn: dict[str, Any] = {}
    for name, shape in shapes.items():
        at = (*path, name)
        if isinstance(shape, dict):
            drawn[name] = _draw(shape, seed, at)
        elif "scale" in shapes:  # a BatchNorm
            drawn[name] = np.full(shape.shape, name == "scale", shape.dtype)
        else:
            kernel = shapes["kernel"] if "kernel" in shapes else shapes["conv"]["kernel"]
            bound = uniform_bound(kernel.shape)
            rng = np.random.default_rng((seed, zlib.crc32("/".join(at).encode())))
            drawn[name] = rng.uniform(-bound, bound, shape.shape).astype(shape.dtype)
    return drawn


def _running_statistic(path, shape):
    return np.full(shape.shape, path[-1].key == "var", shape.dtype)
