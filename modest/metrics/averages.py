"""Means over examples that do not depend on how the examples are batched."""

import math
from collections.abc import Mapping
from typing import NamedTuple

import jax.numpy as jnp

from modest.types import Array


class Mean(NamedTuple):
    """A mean that can be merged with others, stored as the total and the number of the values."""

    total: Array | float = 0.0
    number: Array | float = 0.0

    def merge(self, other: "Mean") -> "Mean":
        """Return the mean over the values of both."""
        return Mean(self.total + other.total, self.number + other.number)

    def value(self) -> Array | float:
        """Return the mean, or NaN if there are no values."""
        return self.total / self.number if self.number else math.nan


def means(
    values: Mapping[str, Array], valid: Array, depth_known: Array | None = None
) -> dict[str, Mean]:
    """Return the mean of each metric over the valid rows of a batch.

    Args:
      values: `{name: [B]}`, see `per_example`.
      valid: bool `[B]`, False for rows that only pad the batch.
      depth_known: the `depth_valid` of the batch. Metrics of depth leave out rows without any.
    """
    rows = {"": valid}
    if depth_known is not None:
        rows["depth"] = valid & (depth_known > 0).any(axis=(1, 2, 3))
    result = {}
    for name, value in values.items():
        of_metric = rows.get(name.split("/")[0], valid)
        result[name] = Mean(jnp.where(of_metric, value, 0).sum(), of_metric.sum())
    return result
