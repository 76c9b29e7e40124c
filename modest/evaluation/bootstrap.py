"""Intervals of means over pictures; NumPy.

The interval of a mean is a 95 % percentile interval of the cluster bootstrap: backgrounds are drawn
with replacement, each with all of its pictures, because pictures of one background are alike. It
says how much the mean would vary with other backgrounds. It does not contain how much another seed
of the training would change. With few backgrounds such intervals are too narrow.

Cameron, Gelbach and Miller, "Bootstrap-Based Improvements for Inference with Clustered Errors"
(2008), describe it as the pairs cluster bootstrap.
"""

from collections.abc import Mapping, Sequence

import numpy as np

RESAMPLES = 2000
SEED = 0
TAILS = (0.025, 0.975)
FEWEST_CLUSTERS = 2
RESAMPLES_AT_ONCE = 100  # bounds the memory, whatever the number of backgrounds


def intervals(
    values: Mapping[str, np.ndarray], clusters: Sequence[str]
) -> tuple[dict[str, float], dict[str, float]]:
    """Return the lower and the upper end of the 95 % interval of each mean.

    Args:
      values: `{name: [N]}`; NaN is left out of the mean.
      clusters: the cluster of each of the N, its background.

    Returns:
      `{name: end}`; NaN if fewer than two clusters have a value.
    """
    if not values:
        return {}, {}
    _, cluster = np.unique(clusters, return_inverse=True)
    count = int(cluster.max()) + 1
    matrix = np.stack(list(values.values()), axis=1)
    known = ~np.isnan(matrix)
    sums, numbers = (np.zeros((count, matrix.shape[1])) for _ in range(2))
    np.add.at(sums, cluster, np.where(known, matrix, 0))
    np.add.at(numbers, cluster, known)
    rng = np.random.default_rng(SEED)
    means = []
    for _ in range(RESAMPLES // RESAMPLES_AT_ONCE):
        drawn = rng.multinomial(count, np.full(count, 1 / count), RESAMPLES_AT_ONCE)
        total, number = drawn @ sums, drawn @ numbers
        means.append(np.divide(total, number, out=np.full_like(total, np.nan), where=number > 0))
    enough = (numbers > 0).sum(axis=0) >= FEWEST_CLUSTERS
    ends = np.full((2, matrix.shape[1]), np.nan)
    # A resample without any value of a metric, as of depth that few backgrounds have, has no mean.
    ends[:, enough] = np.nanquantile(np.concatenate(means)[:, enough], TAILS, axis=0)
    return dict(zip(values, ends[0].tolist())), dict(zip(values, ends[1].tolist()))
