"""Conversion of a loaded batch to the input of a network, for training, evaluation and inference.

The functions are pure and work on arrays `[B,H,W,C]`. They are compiled as part of the step that
calls them.
"""

from collections.abc import Mapping

import jax.numpy as jnp
from jax.typing import ArrayLike

from modest.constants import DEPTH_METRES, MASK_THRESHOLD, MIN_DEPTH, PICTURES
from modest.types import Array, Batch

# RGB channel statistics of the composites of the MODEST museum data set, used for data without
# statistics of its own. The page of that data set lists them in BGR order. The original applied
# them in that order to RGB pictures; here they are in RGB order.
STATISTICS = {"mean": (0.53431, 0.47368, 0.41221), "std": (0.24217, 0.24577, 0.25699)}


def to_float(batch: Batch) -> dict[str, Array]:
    """Scale a uint8 batch to floats in [0, 1].

    Args:
      batch: any of `bg`, `bg_fg`, `mask`, `depth` and `depth_valid`, uint8 in [0, 255], and
        `valid`, bool.

    Returns:
      The same keys. Arrays are float32, or float64 if `jax_enable_x64` is set. `mask` is 0 or 1,
      `depth` is at least `MIN_DEPTH`, and `valid` is unchanged.
    """
    dtype = jnp.result_type(float)  # float32, or float64 with `jax_enable_x64`
    floats = {
        key: value if value.dtype == bool else value.astype(dtype) / 255
        for key, value in batch.items()
    }
    if "mask" in floats:
        floats["mask"] = (floats["mask"] >= MASK_THRESHOLD).astype(dtype)
    if "depth" in floats:
        floats["depth"] = jnp.maximum(floats["depth"], MIN_DEPTH)
    return floats


def standardise(batch: Batch, statistics: Mapping[str, ArrayLike]) -> dict[str, Array]:
    """Standardise the pictures to about zero mean and unit standard deviation per channel.

    Both pictures are standardised with the same statistics, so that equal pixels stay equal.

    Args:
      batch: `bg`, `bg_fg` or both, `[B,H,W,3]` in [0, 1], and any other arrays.
      statistics: `{"mean": [3], "std": [3]}` of the training composites, in [0, 1].

    Returns:
      The batch with standardised pictures; the other arrays are unchanged.
    """
    pictures = {key: batch[key] for key in PICTURES if key in batch}
    dtype = jnp.result_type(*pictures.values())
    mean, std = (
        jnp.asarray(statistics[name], dtype).reshape(1, 1, 1, 3) for name in ("mean", "std")
    )
    standardised = {key: (picture - mean) / std for key, picture in pictures.items()}
    return {**batch, **standardised}


def to_metres(depth: Array) -> Array:
    """Convert depth in [0, 1] to metres."""
    return DEPTH_METRES * depth
