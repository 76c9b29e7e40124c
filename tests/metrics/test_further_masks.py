"""The mask metrics of the final evaluation, against SciPy and scikit-learn."""

import jax
import numpy as np
import pytest
from scipy import ndimage
from sklearn.calibration import calibration_curve
from sklearn.metrics import brier_score_loss, jaccard_score, mean_absolute_error

from modest.metrics import masks, thresholds

further_mask_metrics = jax.jit(masks.further_mask_metrics)


@pytest.fixture
def pair(rng):
    """Return probabilities and targets, `[3,64,80,1]`, of figures that reach the edge."""
    noise = ndimage.gaussian_filter(rng.normal(size=(3, 64, 80, 1)), (0, 4, 4, 0))
    other = ndimage.gaussian_filter(rng.normal(size=(3, 64, 80, 1)), (0, 4, 4, 0))
    output = 1 / (1 + np.exp(-60 * (noise + 0.4 * other)))
    return output.astype(np.float32), (noise > 0.02).astype(np.float32)


def test_boundary_iou_matches_repeated_erosion(pair):
    values = further_mask_metrics(*pair)["boundary_iou"]
    width = round(0.02 * np.hypot(64, 80))
    assert width == 2

    def edge(mask):  # as in the authors' code: the picture's edge is a boundary too
        return mask & ~ndimage.binary_erosion(mask, np.ones((3, 3)), width, border_value=0)

    for i, (output, target) in enumerate(zip(*pair)):
        a, b = (edge(x[..., 0] >= 0.5) for x in (output, target))
        assert float(values[i]) == pytest.approx(jaccard_score(b.ravel(), a.ravel()), abs=1e-6)


def test_gradient_error_matches_gaussian_derivatives(pair):
    values = further_mask_metrics(*pair)["gradient"]

    def derivative(x, order):
        return ndimage.gaussian_filter(x, 1.4, order, mode="nearest", radius=4)

    impulse = np.zeros((31, 31))
    impulse[15, 15] = 1
    norm = np.linalg.norm(derivative(impulse, (1, 0)))

    def steepness(x):
        x = x[..., 0].astype(float)
        return np.hypot(derivative(x, (1, 0)), derivative(x, (0, 1))) / norm

    expected = [((steepness(x) - steepness(y)) ** 2).sum() / 1000 for x, y in zip(*pair)]
    np.testing.assert_allclose(values, expected, rtol=1e-4)


def test_mean_errors_match_scikit_learn(pair):
    values = further_mask_metrics(*pair)
    for i, (x, y) in enumerate(zip(*(part.reshape(3, -1) for part in pair))):
        assert float(values["mad"][i]) == pytest.approx(mean_absolute_error(y, x), rel=1e-5)
        assert float(values["mse"][i]) == pytest.approx(brier_score_loss(y, x), rel=1e-5)


def test_empty_masks_have_perfect_boundaries():
    empty, full = np.zeros((1, 16, 16, 1), np.float32), np.ones((1, 16, 16, 1), np.float32)
    assert float(further_mask_metrics(empty, empty)["boundary_iou"][0]) == 1
    assert float(further_mask_metrics(full, empty)["boundary_iou"][0]) == 0


def test_iou_of_every_threshold_matches_scikit_learn(pair):
    output, target = pair
    output[0, 0, :20, 0] = np.arange(20, dtype=np.float32) / 20  # exactly on the thresholds
    ious = thresholds.ious(np.asarray(masks.above_thresholds(output, target)))
    for k, threshold in enumerate(np.arange(20, dtype=np.float32) / 20):
        for i in range(3):
            expected = jaccard_score(target[i].ravel(), output[i].ravel() >= threshold)
            assert ious[i, k] == pytest.approx(expected, abs=1e-12)
    whole = masks.mask_metrics(output, target)["iou"]
    np.testing.assert_allclose(ious[:, 10], whole, rtol=1e-6)
    nothing = np.zeros((20, 3))
    assert (thresholds.ious(nothing) == 1).all()


def test_calibration_matches_scikit_learn(pair):
    output, target = pair
    above = np.asarray(masks.above_thresholds(output, target))
    bins = thresholds.calibration(above.sum(axis=0))
    foreground, probability = calibration_curve(target.ravel(), output.ravel(), n_bins=20)
    number, _ = np.histogram(output, bins=np.arange(21) / 20)
    filled = bins.number > 0
    np.testing.assert_array_equal(bins.number, number)
    np.testing.assert_allclose(bins.foreground[filled], foreground, rtol=1e-5)
    np.testing.assert_allclose(bins.probability[filled], probability, rtol=1e-4)
    expected = np.average(np.abs(foreground - probability), weights=number[filled])
    error = thresholds.expected_calibration_error(above.sum(axis=0))
    assert error == pytest.approx(expected, rel=1e-3)
    assert thresholds.expected_calibration_error(above).shape == (3,)
