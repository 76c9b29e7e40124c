"""From a batch as loaded to what the network takes, and back. Shared by training, evaluation and prediction.

Pure functions on arrays `[B,H,W,C]`, jitted with the step that calls them.
"""

import jax.numpy as jnp

from modest.vocabulary import DEPTH_METRES, MASK_THRESHOLD, MIN_DEPTH, PICTURES

# Channel statistics of the composites of the MODEST museum data set, RGB, for where no data set says its own. (That data set's page
# gives them in BGR order, and the original applied them to RGB pictures as they stood.)
STATISTICS = {"mean": (0.53431, 0.47368, 0.41221), "std": (0.24217, 0.24577, 0.25699)}


def to_float(batch):
    """The uint8 pictures and targets in [0, 1]; `mask` is 0 or 1, `depth` at least `MIN_DEPTH`. `valid` stays as it is."""
    dtype = jnp.result_type(float)  # float32, or float64 where `jax_enable_x64` is on
    floats = {key: value if value.dtype == bool else value.astype(dtype) / 255 for key, value in batch.items()}
    if "mask" in floats:
        floats["mask"] = (floats["mask"] >= MASK_THRESHOLD).astype(dtype)
    if "depth" in floats:
        floats["depth"] = jnp.maximum(floats["depth"], MIN_DEPTH)
    return floats


def standardise(batch, statistics):
    """`bg` and `bg_fg`, or the one that is there, from [0, 1] to about zero mean and unit deviation a channel; the rest as it is.

    Both pictures by the same `statistics`, `{"mean": [3], "std": [3]}` of the training composites, so that equal pixels stay equal.
    """
    shown = {key: batch[key] for key in PICTURES if key in batch}
    dtype = jnp.result_type(*shown.values())
    mean, std = (jnp.asarray(statistics[name], dtype).reshape(1, 1, 1, 3) for name in ("mean", "std"))
    return batch | {key: (picture - mean) / std for key, picture in shown.items()}


def to_metres(depth):
    """Depth in [0, 1] -> metres."""
    return DEPTH_METRES * depth
