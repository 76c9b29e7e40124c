"""The metrics of single pictures: every picture once, in order, on several devices."""

import jax
import numpy as np

from modest import metrics
from modest.evaluation.details import Collected, DetailedMetrics
from modest.preprocess import to_float
from modest.run import devices


class Examples:
    """Stands for the examples of a split."""

    indices = range(0, 40, 4)

    def __len__(self):
        return 10

    def identities(self, index):
        return f"bg{index}", f"fg{index}"


def test_every_picture_has_its_metrics(rng):
    assert len(devices.all_devices()) == 8
    targets = {
        "mask": rng.integers(0, 2, (16, 12, 12, 1)).astype(np.uint8) * 255,
        "depth": rng.integers(10, 250, (16, 12, 12, 1)).astype(np.uint8),
        "depth_valid": (rng.random((16, 12, 12, 1)) < 0.5).astype(np.uint8) * 255,
    }
    targets["depth_valid"][3] = 0
    outputs = {head: rng.random((16, 12, 12, 1)).astype(np.float32) for head in ("mask", "depth")}
    valid = np.arange(16) < 10  # the last six rows pad the batch
    collected = Collected(DetailedMetrics())
    collected.add(devices.shard(outputs), targets | {"valid": valid, "bg": np.zeros(16)})
    table, above = collected.table(Examples())
    assert table.indices == list(range(0, 40, 4))
    assert table.backgrounds[9] == "bg9" and table.figures[9] == "fg9"
    assert above.shape == (10, 20, 3)
    expected = jax.jit(metrics.detailed)(outputs, to_float(targets))
    for name, values in expected.items():
        np.testing.assert_allclose(table.values[name], values[:10], rtol=1e-4, err_msg=name)
    assert np.isnan(table.values["depth/rmse"]).tolist() == [i == 3 for i in range(10)]
    true, predicted = targets["mask"][:10] > 0, outputs["mask"][:10] >= 0.5
    counted = [table.values[f"mask/{name}pixels"] for name in ("", "predicted_", "common_")]
    for values, which in zip(counted, (true, predicted, true & predicted)):
        assert values.tolist() == which.sum(axis=(1, 2, 3)).tolist()
