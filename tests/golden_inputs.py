"""The inputs and weights behind `golden/`, which was made by running the original PyTorch code in float64.

wave(shape, phase)[i] = sin(0.37 i + phase) in C order; everything here is built from it.
"""

import json
import math
import pathlib

import numpy as np

GOLDEN = pathlib.Path(__file__).parent / "golden"


def wave(shape, phase):
    return np.sin(0.37 * np.arange(math.prod(shape)) + phase).reshape(shape)


def nhwc(x):
    return x.transpose(0, 2, 3, 1)


def numbers():
    """`golden.json`."""
    return json.loads((GOLDEN / "golden.json").read_text())


def batch(size):
    """`bg`, `bg_fg`, `mask`, `depth` for a batch of 2, NHWC."""
    picture, target = (2, 3, size, size), (2, 1, size, size)
    return {
        "bg": nhwc(wave(picture, 1)),
        "bg_fg": nhwc(wave(picture, 2)),
        "mask": nhwc((wave(target, 3) > 0.6).astype(np.float64)),
        "depth": nhwc(0.5 + 0.45 * wave(target, 4)),
    }


def state_dict(model):
    """The original's state dict with the golden weights."""
    return {name: _weight(name, **info) for name, info in numbers()["state_dict"][model].items()}


def _weight(name, index, shape):
    x = wave(shape, index)
    if len(shape) == 4:
        return x * math.sqrt(3 / math.prod(shape[1:]))
    if name.endswith("weight"):
        return 1 + 0.2 * x
    if name.endswith("running_var"):
        return 1 + 0.5 * x
    return 0.1 * x  # running_mean, and every other bias
