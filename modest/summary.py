"""The layer table of a network: the output of every block, its parameters, its operations. Nothing is computed but shapes.

(Flax's own `tabulate` lowers every module for XLA to count its operations, which takes seconds.)
"""

import flax.linen as nn
import jax

from modest import models
from modest.models.layers import Conv1x1, ConvBNReLU, Decoder, Encoder

SHOWN = (Encoder, Decoder, ConvBNReLU, Conv1x1)


def table(config):
    """The table for one pair at the size of the last stage, as text.

    MFLOP are the multiplications and additions of convolutions in a forward pass, padding included. A block comes after its parts.
    """
    outputs = {}

    def watch(call, arguments, keywords, context):
        result = call(*arguments, **keywords)
        if isinstance(context.module, SHOWN):
            outputs[context.module.path] = result.shape
        return result

    size = config.stages[-1][0]
    picture = jax.ShapeDtypeStruct((1, size, size, 3), "float32")
    with nn.intercept_methods(watch):
        params = jax.eval_shape(models.build(**config.model.to_dict()).init, jax.random.key(0), picture, picture)["params"]
    leaves = {tuple(key.key for key in path): leaf for path, leaf in jax.tree.leaves_with_path(params)}

    def row(name, shape, prefix):
        inside = {path: leaf.size for path, leaf in leaves.items() if path[: len(prefix)] == prefix}
        flops = sum(_flops(count, path, outputs) for path, count in inside.items())
        return f"{name:28}{shape:>18}{sum(inside.values()):>14,}{flops / 1e6:>12,.1f}"

    lines = [f"{config.model.name:28}{'output':>18}{'parameters':>14}{'MFLOP':>12}"]
    lines += [row("/".join(path), " x ".join(map(str, shape[1:])), path) for path, shape in outputs.items()]
    return "\n".join([*lines, row("total", "", ())])


def _flops(count, path, outputs):
    """Of a parameter with so many numbers: two for each of a kernel's, at every pixel of the block that convolves with it."""
    if path[-1] != "kernel":
        return 0
    block = next(path[:end] for end in range(len(path), 0, -1) if path[:end] in outputs)
    return 2 * count * outputs[block][1] * outputs[block][2]
