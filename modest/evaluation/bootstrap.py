"""Intervals of means over pictures, and of values of all their pixels together; NumPy.

The interval of a mean is a 95 % percentile interval of the cluster bootstrap: backgrounds are drawn
with replacement, each with all of its pictures, because pictures of one background are alike. It
says how much the value would vary with other backgrounds. It leaves out the variation between seeds
of the training. With few backgrounds such intervals are too narrow.

The calibration error has the basic interval instead: the percentiles of the resamples, mirrored at
the value (Davison and Hinkley, "Bootstrap Methods and their Application", 1997, section 5.2). It is
a sum of absolute values, which noise makes larger, and resampling adds noise: the percentiles would
lie above a small error.

Cameron, Gelbach and Miller, "Bootstrap-Based Improvements for Inference with Clustered Errors"
(2008), describe it as the pairs cluster bootstrap.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence

import numpy as np

RESAMPLES = 2000
SEED = 0
TAILS = (0.025, 0.975)
FEWEST_CLUSTERS = 2
RESAMPLES_AT_ONCE = 100  # bounds the memory, whatever the number of backgrounds

Ends = tuple[dict[str, float], dict[str, float]]


def intervals(values: Mapping[str, np.ndarray], clusters: Sequence[str]) -> Ends:
    """Return the lower and the upper end of the 95 % interval of each mean.

    Args:
      values: `{name: [N]}`; NaN is left out of the mean.
      clusters: the cluster of each of the N, its background.

    Returns:
      `{name: end}`; NaN if fewer than two clusters have a value.
    """
    known = {name: ~np.isnan(x) for name, x in values.items()}
    sums = {name: (np.where(known[name], x, 0), known[name]) for name, x in values.items()}
    return intervals_of_ratios(sums, clusters)


def intervals_of_ratios(
    sums: Mapping[str, tuple[np.ndarray, np.ndarray]], clusters: Sequence[str]
) -> Ends:
    """Return the lower and the upper end of the 95 % interval of each ratio of two sums.

    Args:
      sums: `{name: (numerators [N], denominators [N])}`, no NaN; the ratio is that of their sums.
      clusters: the cluster of each of the N, its background.

    Returns:
      `{name: end}`; NaN if the denominators of fewer than two clusters are above 0.
    """
    if not sums:
        return {}, {}
    numerators, denominators = (
        _sums_of_clusters(np.stack(columns, axis=1), clusters) for columns in zip(*sums.values())
    )
    ratios = []
    for drawn in _resamples(len(numerators)):
        above, below = drawn @ numerators, drawn @ denominators
        ratios.append(np.divide(above, below, out=np.full_like(above, np.nan), where=below > 0))
    enough = (denominators > 0).sum(axis=0) >= FEWEST_CLUSTERS
    ends = np.full((2, len(sums)), np.nan)
    # A resample without any value of a metric, as of depth that few backgrounds have, has no ratio.
    ends[:, enough] = np.nanquantile(np.concatenate(ratios)[:, enough], TAILS, axis=0)
    return dict(zip(sums, ends[0].tolist())), dict(zip(sums, ends[1].tolist()))


def basic_interval(
    function: Callable[[np.ndarray], np.ndarray], counts: np.ndarray, clusters: Sequence[str]
) -> tuple[float, float]:
    """Return the ends of the basic 95 % interval of a function of the pictures' sums.

    Args:
      function: maps sums, float64 `[R,...]`, to a value for each of R resamples, `[R]`, at least 0.
      counts: what is summed, for each picture, `[N,...]`.
      clusters: the cluster of each of the N, its background.

    Returns:
      the lower and the upper end; NaN with fewer than two clusters.
    """
    sums = _sums_of_clusters(counts.reshape(len(counts), -1), clusters)
    if len(sums) < FEWEST_CLUSTERS:
        return np.nan, np.nan
    values = [
        function((drawn @ sums).reshape(-1, *counts.shape[1:])) for drawn in _resamples(len(sums))
    ]
    low, high = np.quantile(np.concatenate(values), TAILS)
    (value,) = function(sums.sum(axis=0).reshape(1, *counts.shape[1:]))
    return max(0.0, float(2 * value - high)), max(0.0, float(2 * value - low))


def _resamples(count: int) -> Iterator[np.ndarray]:
    """Yield how often each of `count` clusters is drawn, a row per resample."""
    rng = np.random.default_rng(SEED)
    for _ in range(RESAMPLES // RESAMPLES_AT_ONCE):
        yield rng.multinomial(count, np.full(count, 1 / count), RESAMPLES_AT_ONCE)


def _sums_of_clusters(matrix, clusters):
    """Return the sums over the rows of each cluster, one row per cluster."""
    names, cluster = np.unique(clusters, return_inverse=True)
    sums = np.zeros((len(names), matrix.shape[1]))
    np.add.at(sums, cluster, matrix)
    return sums
