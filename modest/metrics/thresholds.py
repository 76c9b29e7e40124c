"""Thresholds of the mask, and the calibration of its probabilities, from counted pixels; NumPy.

`above` is what `masks.above_thresholds` returns, `[..., 20, 3]`: the number of foreground pixels
and of background pixels whose probability is at least each of `THRESHOLDS`, and the sum of their
probabilities. Counts of several pictures may be added up first.
"""

from typing import NamedTuple

import numpy as np

from modest.metrics.masks import BINS

THRESHOLDS = np.arange(BINS) / BINS  # 0, 0.05, ..., 0.95


class Calibration(NamedTuple):
    """Pixels by their predicted probability, in 20 bins of equal width; arrays `[..., 20]`.

    Attributes:
      number: the number of pixels.
      probability: their mean probability; NaN if there are none.
      foreground: the share of them that is foreground; NaN if there are none.
    """

    number: np.ndarray
    probability: np.ndarray
    foreground: np.ndarray


def ious(above: np.ndarray) -> np.ndarray:
    """Return the IoU at each threshold, `[..., 20]`; 1 if both masks are empty."""
    hits, false_alarms = above[..., 0].astype(np.float64), above[..., 1]
    union = hits[..., :1] + false_alarms  # every foreground pixel is above 0
    return np.where(union > 0, hits / np.maximum(union, 1), 1)


def calibration(above: np.ndarray) -> Calibration:
    """Return how probable the pixels of each bin should be and how many of them are foreground."""
    above = above.astype(np.float64)
    bins = above - np.append(above[..., 1:, :], np.zeros_like(above[..., :1, :]), axis=-2)
    number = bins[..., 0] + bins[..., 1]
    divisor = np.where(number > 0, number, np.nan)
    return Calibration(number, bins[..., 2] / divisor, bins[..., 0] / divisor)


def expected_calibration_error(above: np.ndarray) -> np.ndarray:
    """Return the mean over pixels of |probability - share of foreground| of their bin, `[...]`.

    Guo et al., "On Calibration of Modern Neural Networks" (2017), for the probability of one class.
    """
    number, probability, foreground = calibration(above)
    gaps = np.where(number > 0, number * np.abs(probability - foreground), 0)
    return np.nansum(gaps, axis=-1) / number.sum(axis=-1)
