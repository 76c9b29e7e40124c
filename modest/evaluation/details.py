"""The metrics of every single picture, which the final evaluation computes beside the means."""

from typing import Any

import jax
import numpy as np

from modest import metrics
from modest.data.batches import loader
from modest.evaluation.tables import Table
from modest.metrics import thresholds
from modest.preprocess import to_float
from modest.run import devices
from modest.types import Batch, PyTree

COMPARED = ("mask", "depth", "depth_valid")  # what of a batch the metrics need


class DetailedMetrics:
    """The compiled step that computes the metrics of single pictures. It compiles when first used.

    It is a step of its own, so that validation neither computes nor compiles it. It also computes
    the metrics of `eval_step` again: if that step returned those of single pictures, XLA would fuse
    it differently, and the means of `eval.json` would be rounded differently.
    """

    def __init__(self) -> None:
        self._step = devices.pmap(detailed_step)

    def __call__(self, outputs: PyTree, batch: Batch) -> dict[str, np.ndarray]:
        """Return `{name: [B]}` of the valid rows of a batch, those of all processes.

        Args:
          outputs: the predictions of the evaluation's step, as it returns them.
          batch: this process's rows of the batch.
        """
        targets = {kind: batch[kind] for kind in (*COMPARED, "valid") if kind in batch}
        values = devices.unreplicate(self._step(outputs, devices.shard(targets)))
        valid = values.pop("valid")
        return {name: value[valid] for name, value in values.items()}


class Collected:
    """The metrics of the single pictures of a split, batch by batch."""

    def __init__(self, detailed: DetailedMetrics) -> None:
        self._detailed = detailed
        self._batches: list[dict[str, np.ndarray]] = []

    def add(self, outputs: PyTree, batch: Batch) -> None:
        """Add a batch; the arguments are those of `DetailedMetrics`."""
        self._batches.append(self._detailed(outputs, batch))

    def table(self, examples: loader.Examples) -> tuple[Table, np.ndarray | None]:
        """Return the table of all pictures; and `metrics.above_thresholds` of each, or None.

        Args:
          examples: the examples that were evaluated.
        """
        names = self._batches[0]
        values = {name: np.concatenate([part[name] for part in self._batches]) for name in names}
        above = values.pop("above", None)
        columns = {name: x.astype(np.float64) for name, x in values.items()}
        if above is not None:
            columns["mask/ece"] = thresholds.expected_calibration_error(above)
            half = above[:, thresholds.BINS // 2]
            columns["mask/pixels"] = above[:, 0, 0].astype(np.float64)
            columns["mask/predicted_pixels"] = half[:, 0].astype(np.float64) + half[:, 1]
            columns["mask/common_pixels"] = half[:, 0].astype(np.float64)
        ids = [examples.identities(i) for i in range(len(examples))]
        backgrounds, figures = (list(part) for part in zip(*ids))
        return Table(list(examples.indices), backgrounds, figures, columns), above


def detailed_step(outputs: PyTree, batch: Batch) -> dict[str, Any]:
    """Compute the metrics of the pictures of one batch. Runs under `devices.AXIS`.

    Args:
      outputs: this device's predictions, after the sigmoid.
      batch: its targets, uint8, and `valid`.

    Returns:
      `{name: [B]}` for the rows of all devices: the metrics; `above`, `[B,20,3]`, if there is a
      mask; and `valid`.
    """
    targets = to_float(batch)
    values: dict[str, jax.Array] = dict(metrics.detailed(outputs, targets))
    if "mask" in outputs:
        values["above"] = metrics.above_thresholds(outputs["mask"], targets["mask"])
    return devices.gather(values | {"valid": batch["valid"]})
