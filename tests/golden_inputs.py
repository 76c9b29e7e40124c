"""Inputs and weights from which the numbers in `golden/` were computed.

They were computed by the original PyTorch code in float64. Everything is built from `wave`.
"""

import json
import math
import pathlib

import numpy as np

GOLDEN = pathlib.Path(__file__).parent / "golden"


def wave(shape, phase):
    """Return sin(0.37 i + phase) of the index i in C order, in the given shape."""
    return np.sin(0.37 * np.arange(math.prod(shape)) + phase).reshape(shape)


def nhwc(x):
    """Transpose NCHW to NHWC."""
    return x.transpose(0, 2, 3, 1)


def numbers():
    """Return the content of `golden.json`."""
    return json.loads((GOLDEN / "golden.json").read_text())


def batch(size):
    """Return a batch of two, `bg`, `bg_fg`, `mask` and `depth`, float64 `[2,size,size,C]`."""
    picture, target = (2, 3, size, size), (2, 1, size, size)
    return {
        "bg": nhwc(wave(picture, 1)),
        "bg_fg": nhwc(wave(picture, 2)),
        "mask": nhwc((wave(target, 3) > 0.6).astype(np.float64)),
        "depth": nhwc(0.5 + 0.45 * wave(target, 4)),
    }


def state_dict(network):
    """Return the PyTorch state dict of `masknet` or `depthnet` with the golden weights."""
    entries = numbers()["state_dict"][network]
    return {name: _weight(name, **entry) for name, entry in entries.items()}


def _weight(name, index, shape):
    x = wave(shape, index)
    if len(shape) == 4:  # the kernel of a convolution
        return x * math.sqrt(3 / math.prod(shape[1:]))
    if name.endswith("weight"):  # the scale of a BatchNorm
        return 1 + 0.2 * x
    if name.endswith("running_var"):
        return 1 + 0.5 * x
    return 0.1 * x  # a running mean or a bias
