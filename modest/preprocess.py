"""From a batch as loaded to what the network takes, and back. Shared by training, evaluation and prediction.

Pure functions on arrays `[B,H,W,C]`, jitted with the step that calls them.
"""

import jax.numpy as jnp

from modest.vocabulary import DEPTH_METRES, MASK_THRESHOLD, MIN_DEPTH, PICTURES

# Of the composites of the MODEST museum data set, RGB; the same for both pictures, so that equal pixels stay equal.
# (The data set's page gives them in BGR order, and the original applied them to RGB pictures as they stood.)
MEAN = (0.53431, 0.47368, 0.41221)
STD = (0.24217, 0.24577, 0.25699)


def to_float(batch):
    """The uint8 pictures and targets in [0, 1]; `mask` is 0 or 1, `depth` at least `MIN_DEPTH`. `valid` stays as it is."""
    dtype = jnp.result_type(float)  # float32, or float64 where `jax_enable_x64` is on
    floats = {key: value if value.dtype == bool else value.astype(dtype) / 255 for key, value in batch.items()}
    if "mask" in floats:
        floats["mask"] = (floats["mask"] >= MASK_THRESHOLD).astype(dtype)
    if "depth" in floats:
        floats["depth"] = jnp.maximum(floats["depth"], MIN_DEPTH)
    return floats


def standardise(batch):
    """`bg` and `bg_fg` from [0, 1] to about zero mean and unit deviation for each channel; the rest as it is."""
    mean, std = (jnp.asarray(values, batch["bg"].dtype).reshape(1, 1, 1, 3) for values in (MEAN, STD))
    return batch | {key: (batch[key] - mean) / std for key in PICTURES}


def to_metres(depth):
    """Depth in [0, 1] -> metres."""
    return DEPTH_METRES * depth
