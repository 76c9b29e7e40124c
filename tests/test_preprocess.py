"""Conversion of uint8 batches to the input of a network."""

import jax.numpy as jnp
import numpy as np

from modest import preprocess


def test_to_float_thresholds_the_mask_and_clamps_depth():
    batch = {
        "bg": np.full((1, 1, 1, 3), 51, np.uint8),
        "mask": np.asarray([0, 127, 128, 255], np.uint8).reshape(1, 2, 2, 1),
        "depth": np.asarray([0, 2, 128, 255], np.uint8).reshape(1, 2, 2, 1),
        "valid": np.asarray([True]),
    }
    out = preprocess.to_float(batch)
    np.testing.assert_allclose(out["bg"], 0.2, rtol=1e-6)
    np.testing.assert_array_equal(out["mask"].ravel(), [0, 0, 1, 1])
    np.testing.assert_allclose(out["depth"].ravel(), [0.01, 0.01, 128 / 255, 1], rtol=1e-6)
    assert out["valid"].dtype == bool


def test_standardise_maps_the_mean_to_zero_and_keeps_equal_pixels_equal():
    statistics = preprocess.STATISTICS
    picture = jnp.asarray(statistics["mean"]).reshape(1, 1, 1, 3)
    batch = {"bg": picture, "bg_fg": picture, "mask": picture}
    out = preprocess.standardise(batch, statistics)
    np.testing.assert_allclose(out["bg"], 0, atol=1e-6)
    np.testing.assert_array_equal(out["bg"], out["bg_fg"])
    np.testing.assert_array_equal(out["mask"], picture)


def test_to_metres_scales_by_ten():
    assert preprocess.to_metres(0.25) == 2.5
