"""Metrics against scikit-learn, SciPy and known values, and against the original's mistakes."""

import math

import jax.numpy as jnp
import numpy as np
import pytest
from scipy import ndimage
from sklearn.metrics import f1_score, jaccard_score, precision_score, recall_score

from modest import metrics


def logits(probability):
    return np.log(probability) - np.log1p(-probability)


@pytest.fixture
def masks(rng):
    """Return random blobs: probabilities and targets, `[6,40,40,1]`."""

    def smooth_noise():
        return ndimage.gaussian_filter(rng.normal(size=(6, 40, 40, 1)), (0, 3, 3, 0))

    a, b = smooth_noise(), smooth_noise()
    output = 1 / (1 + np.exp(-40 * (a + 0.5 * b)))
    return output.clip(0.01, 0.99).astype(np.float32), (a > 0.02).astype(np.float32)


def test_mask_metrics_match_scikit_learn(masks):
    output, target = masks
    values = metrics.mask_metrics(output, target)
    for i in range(len(output)):
        true, predicted = target[i].ravel() >= 0.5, output[i].ravel() >= 0.5
        iou, f1 = jaccard_score(true, predicted), f1_score(true, predicted)
        precision, recall = precision_score(true, predicted), recall_score(true, predicted)
        assert float(values["iou"][i]) == pytest.approx(iou, abs=1e-6)
        assert float(values["dice"][i]) == pytest.approx(f1, abs=1e-6)
        assert float(values["precision"][i]) == pytest.approx(precision, abs=1e-6)
        assert float(values["recall"][i]) == pytest.approx(recall, abs=1e-6)


@pytest.mark.parametrize("size", [40, 224])
def test_boundary_f1_matches_distance_transform(rng, size):
    a, b = (ndimage.gaussian_filter(rng.normal(size=(size, size)), size / 15) > 0 for _ in range(2))
    if size == 40:
        b = np.where(rng.random((size, size)) < 0.5, a, b)
    else:
        b = a ^ (ndimage.gaussian_filter(b.astype(float), 3) > 0.9)

    def contour(mask):
        return mask & ~ndimage.binary_erosion(mask)  # outside the picture counts as background

    def distance_to_contour(mask):
        return ndimage.distance_transform_edt(~contour(mask))

    tolerance = max(1, round(0.0075 * math.hypot(size, size)))
    precision = (distance_to_contour(b)[contour(a)] <= tolerance).mean()
    recall = (distance_to_contour(a)[contour(b)] <= tolerance).mean()
    batch_a, batch_b = (mask[None, ..., None].astype(np.float32) for mask in (a, b))
    value = metrics.mask_metrics(batch_a, batch_b)["boundary_f1"][0]
    expected = 2 * precision * recall / (precision + recall)
    assert float(value) == pytest.approx(expected, abs=1e-6)


def test_empty_masks():
    empty, full = jnp.zeros((1, 8, 8, 1)), jnp.ones((1, 8, 8, 1))
    values = {name: float(value[0]) for name, value in metrics.mask_metrics(empty, empty).items()}
    assert values == dict.fromkeys(
        ("iou", "iou_soft", "dice", "precision", "recall", "boundary_f1"), 1.0
    )
    for output, target in ((empty, full), (full, empty)):
        values = metrics.mask_metrics(output, target)
        assert float(values["iou"][0]) == 0
        assert float(values["dice"][0]) == 0
        assert float(values["boundary_f1"][0]) == 0
    assert float(metrics.mask_metrics(empty, full)["precision"][0]) == 0
    assert float(metrics.mask_metrics(full, empty)["precision"][0]) == 0


def test_depth_metrics_of_known_values():
    output = jnp.asarray([0.2, 0.48, 0.9, 0.4]).reshape(1, 2, 2, 1)
    target = jnp.asarray([0.2, 0.4, 0.5, 0.8]).reshape(1, 2, 2, 1)
    values = {
        name: float(value[0]) for name, value in metrics.depth_metrics(output, target).items()
    }
    logs = [0, math.log(0.48 / 0.4), math.log(0.9 / 0.5), math.log(0.4 / 0.8)]
    assert values == {
        "rmse": pytest.approx(math.sqrt((0 + 0.0064 + 0.16 + 0.16) / 4)),
        "mae": pytest.approx((0 + 0.08 + 0.4 + 0.4) / 4),
        "abs_rel": pytest.approx((0 + 0.08 / 0.4 + 0.4 / 0.5 + 0.4 / 0.8) / 4),
        "rmse_log": pytest.approx(math.sqrt(sum(x * x for x in logs) / 4)),
        "delta1": 0.5,  # 0.48 / 0.4 is 1.2
        "delta2": 0.5,  # 1.8 and 2 are above 1.5625
        "delta3": 0.75,  # 1.8 is below 1.953, 2 is not
    }


def test_rmse_is_not_the_originals_inverse():
    # The original reports N / sum(rmse * n), which decreases as predictions get worse.
    target = jnp.full((2, 4, 4, 1), 0.5)

    def mean_rmse(error):
        return float(metrics.depth_metrics(target + error, target)["rmse"].mean())

    assert mean_rmse(0.4) == pytest.approx(0.4)
    assert mean_rmse(0.2) == pytest.approx(0.2)


def test_iou_is_thresholded_unlike_the_originals():
    # The prediction is perfect after the threshold. The original's formula on these probabilities
    # gives 0.74.
    target = jnp.zeros((1, 10, 10, 1)).at[:, :3, :].set(1)
    output = jnp.where(target > 0, 0.9, 0.1)
    values = metrics.mask_metrics(output, target)
    assert float(values["iou"][0]) == 1
    assert float(values["iou_soft"][0]) == pytest.approx(27 / (27 + 7 + 30 - 27))


def test_heads_have_separate_metrics():
    # In the original, one running mean accumulates the values of both heads, and both names return
    # the mixture.
    mask, depth = jnp.zeros((1, 16, 16, 1)).at[:, :8].set(1), jnp.full((1, 16, 16, 1), 0.3)
    targets = {"mask": mask, "depth": depth}
    outputs = {"mask": 100 * (mask - 0.5), "depth": jnp.full((1, 16, 16, 1), 5.0)}
    values = metrics.per_example(outputs, targets)
    wrong_mask = metrics.per_example(outputs | {"mask": -outputs["mask"]}, targets)
    assert float(values["mask/iou"][0]) == 1 and float(wrong_mask["mask/iou"][0]) == 0
    assert float(values["depth/rmse"][0]) == float(wrong_mask["depth/rmse"][0]) > 0.6


def test_mean_is_exact_with_a_padded_last_batch(masks):
    output, target = masks
    expected = float(metrics.mask_metrics(output, target)["iou"].mean())
    mean = metrics.Mean()
    for rows, valid in ((slice(0, 4), [True] * 4), ([4, 5, 5, 5], [True, True, False, False])):
        values = {"iou": metrics.mask_metrics(output[rows], target[rows])["iou"]}
        mean = mean.merge(metrics.means(values, jnp.asarray(valid))["iou"])
    assert int(mean.number) == 6
    assert float(mean.value()) == pytest.approx(expected, abs=1e-6)


def test_mean_of_no_values_is_nan():
    assert math.isnan(metrics.Mean().value())


def test_score_is_higher_for_better():
    values = {"mask/iou": 0.9, "depth/rmse": 0.1, "loss": 2.0}
    assert metrics.score("mask/iou", values) == 0.9
    assert metrics.score("depth/rmse", values) == -0.1
    assert metrics.score("loss", values) == -2.0


def test_table_names_every_metric(masks):
    output, target = masks
    outputs = {"mask": logits(output), "depth": logits(output)}
    names = set(metrics.per_example(outputs, {"mask": target, "depth": target}))
    assert names == {f"{head}/{name}" for head, group in metrics.METRICS.items() for name in group}


def test_unknown_depth_is_left_out(rng):
    logits, target = (rng.uniform(0.1, 0.9, (3, 16, 16, 1)).astype(np.float32) for _ in range(2))
    known = np.ones_like(target)
    known[:, :, 8:], known[2] = 0, 0
    spoilt = {"depth": np.where(known > 0, target, 9), "depth_valid": known}
    values = metrics.per_example({"depth": logits}, spoilt)
    cropped = metrics.per_example({"depth": logits[:, :, :8]}, {"depth": target[:, :, :8]})
    for name in set(values) - {"depth/ssim"}:
        np.testing.assert_allclose(values[name][:2], cropped[name][:2], rtol=1e-5)
    means = metrics.means(values, np.array([True, True, True]), known)
    assert means["depth/rmse"].number == 2  # the third picture has no known depth
    np.testing.assert_allclose(means["depth/rmse"].value(), values["depth/rmse"][:2].mean(), 1e-6)
