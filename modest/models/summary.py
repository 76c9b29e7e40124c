"""The layer table of a network: each block's output shape, parameters and operations.

Only shapes are computed. Flax's own `tabulate` takes seconds, because it lowers every module for
XLA to count its operations.
"""

import collections
from collections.abc import Mapping
from typing import Any

import flax.linen as nn
import jax

from modest import models
from modest.models.layers import Conv1x1, ConvBNReLU, Decoder, Encoder

SHOWN = (Encoder, Decoder, ConvBNReLU, Conv1x1)


def table(model: Mapping[str, Any], size: int) -> str:
    """Return the layer table for one pair of pictures, as text.

    MFLOP are the multiplications and additions of convolutions in a forward pass, padding included.
    The line of a block comes after the lines of its parts.

    Args:
      model: name and options of the network, such as `{"name": "depthnet", "width": 16}`.
      size: height and width of the pictures, in px.
    """
    sizes, shapes, calls = _traced(model, size)

    def row(name, shape, prefix):
        inside = {path: count for path, count in sizes.items() if path[: len(prefix)] == prefix}
        operations = sum(_flops(path, count, shapes, calls) for path, count in inside.items())
        values = f"{sum(inside.values()):>14,}{operations / 1e6:>12,.1f}"
        return f"{name:28}{shape:>18}{values}"

    lines = [f"{model['name']:28}{'output':>18}{'parameters':>14}{'MFLOP':>12}"]
    for path, shape in shapes.items():
        lines.append(row("/".join(path), " x ".join(map(str, shape[1:])), path))
    return "\n".join([*lines, row("total", "", ())])


def flops(model: Mapping[str, Any], size: int) -> int:
    """Return the operations of the convolutions in a forward pass of one pair; see `table`."""
    sizes, shapes, calls = _traced(model, size)
    return sum(_flops(path, count, shapes, calls) for path, count in sizes.items())


def _traced(model, size):
    """Return the sizes of the parameters, and the blocks' output shapes and numbers of calls."""
    shapes = {}  # path of a block -> shape of its output
    calls: collections.Counter = collections.Counter()  # path of a block -> number of its calls

    def record_shape(call, arguments, keywords, context):
        result = call(*arguments, **keywords)
        if isinstance(context.module, SHOWN):
            shapes[context.module.path] = result.shape
            calls[context.module.path] += 1
        return result

    picture = jax.ShapeDtypeStruct((1, size, size, 3), "float32")
    init = models.build(**model).init
    with nn.intercept_methods(record_shape):
        params = jax.eval_shape(init, jax.random.key(0), picture, picture)["params"]
    sizes = {  # path of a parameter -> number of its values
        tuple(key.key for key in path): leaf.size
        for path, leaf in jax.tree.leaves_with_path(params)
    }

    return sizes, shapes, calls


def _flops(path, count, shapes, calls):
    """Return the operations of a parameter.

    For a kernel: 2 x its values x pixels of the output, for each call of its block.
    """
    if path[-1] != "kernel":
        return 0
    block = next(path[:end] for end in range(len(path), 0, -1) if path[:end] in shapes)
    return 2 * count * shapes[block][1] * shapes[block][2] * calls[block]
