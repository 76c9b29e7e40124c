"""The depth metrics of the final evaluation, against NumPy and SciPy."""

import itertools

import jax
import numpy as np
import pytest
from scipy import ndimage

from modest import metrics
from modest.metrics import depths

further_depth_metrics = jax.jit(depths.further_depth_metrics)
detailed, per_example = jax.jit(metrics.detailed), jax.jit(metrics.per_example)


@pytest.fixture
def scene(rng):
    """Return output, target, mask and known, `[3,40,40,1]`; a quarter of the depth is unknown."""
    output, target = (rng.uniform(0.05, 1, (3, 40, 40, 1)).astype(np.float32) for _ in range(2))
    mask = ndimage.gaussian_filter(rng.normal(size=(3, 40, 40, 1)), (0, 4, 4, 0)) > 0.02
    known = (rng.random((3, 40, 40, 1)) < 0.75).astype(np.float32)
    return output, target, mask.astype(np.float32), known


def regions(mask):
    def distance_to(where):
        return ndimage.distance_transform_edt(~where)

    width = round(0.01 * np.hypot(40, 40))
    band = (distance_to(mask) <= width) & (distance_to(~mask) <= width)
    everywhere = np.ones_like(mask)
    return {"": everywhere, "foreground": mask, "background": ~mask, "contour": band}


def alignments(x, y):
    """Yield the name of each alignment, and how it changes a prediction."""
    yield "", lambda z: z
    yield "median", lambda z: z * np.median(y) / np.median(x)
    (a, b), *_ = np.linalg.lstsq(np.stack([x, np.ones_like(x)], axis=1), y)
    yield "scale_and_shift", lambda z: a * z + b


def expected_values(x, y):
    error = x - y
    x, y = np.maximum(x, 0.01), np.maximum(y, 0.01)
    ratio = np.exp(np.abs(np.log(x / y)))
    return {
        "rmse": np.linalg.norm(error) / np.sqrt(len(error)),
        "mae": np.abs(error).mean(),
        "abs_rel": np.abs(x / y - 1).mean(),
        "sq_rel": ((x - y) ** 2 / y).mean(),
        "log10": np.abs(np.log10(x / y)).mean(),
        "rmse_log": np.sqrt((np.log(x / y) ** 2).mean()),
        "silog": 100 * np.std(np.log(x / y)),
        "delta1": (ratio < 1.25).mean(),
        "delta2": (ratio < 1.25**2).mean(),
        "delta3": (ratio < 1.25**3).mean(),
    }


def test_every_region_and_alignment_matches_numpy(scene):
    values = further_depth_metrics(*scene)
    checked = set()
    for i, (output, target, mask, known) in enumerate(zip(*(x[..., 0] for x in scene))):
        known = known > 0
        output, target = output.astype(float), target.astype(float)
        aligned = alignments(output[known], target[known])
        for (alignment, align), (region, part) in itertools.product(
            aligned, regions(mask > 0).items()
        ):
            pixels = known & part
            path = "".join(f"{name}/" for name in (region, alignment) if name)
            for name, value in expected_values(align(output[pixels]), target[pixels]).items():
                np.testing.assert_allclose(values[path + name][i], value, rtol=2e-4)
                checked.add(path + name)
            number = f"{region}/pixels" if region else "pixels"
            assert values[number][i] == pixels.sum()
            checked.add(number)
    assert checked == set(values)


def test_alignments_undo_what_they_fit(rng):
    target = rng.uniform(0.1, 0.5, (3, 40, 40, 1)).astype(np.float32)
    mask, known = np.zeros_like(target), np.ones_like(target)
    scaled = further_depth_metrics(1.5 * target, target, mask, known)
    assert float(scaled["rmse"][0]) > 0.1 and float(scaled["median/rmse"][0]) < 1e-6
    assert float(scaled["silog"][0]) < 1e-3
    shifted = further_depth_metrics(0.5 * target + 0.2, target, mask, known)
    assert float(shifted["median/rmse"][0]) > 0.01
    assert float(shifted["scale_and_shift/rmse"][0]) < 1e-6
    constant = further_depth_metrics(np.full_like(target, 0.3), target, mask, known)
    assert float(constant["scale_and_shift/rmse"][0]) == pytest.approx(target[0].std(), rel=1e-4)


def test_picture_without_such_pixels_has_no_value(scene):
    output, target, mask, known = scene
    mask[1], known[2] = 0, 0
    targets = {"mask": mask, "depth": target, "depth_valid": known}
    values = detailed({"mask": output, "depth": output}, targets)
    for name, value in values.items():
        if name.startswith("depth/") and not name.endswith("pixels"):
            of_mask = "foreground" in name or "contour" in name
            assert np.isnan(value).tolist() == [False, of_mask, True], name
    assert not np.isnan(values["mask/mad"]).any()


def test_detailed_metrics_contain_those_of_every_evaluation(scene):
    output, target, mask, _ = scene
    targets = {"mask": mask, "depth": target}
    logits = np.log(output / (1.001 - output))
    predictions = {"mask": 1 / (1 + np.exp(-logits)), "depth": 1 / (1 + np.exp(-logits))}
    every = per_example({"mask": logits, "depth": logits}, targets)
    values = detailed(predictions, targets)
    assert every.keys() < values.keys()
    for name, value in every.items():
        np.testing.assert_allclose(values[name], value, rtol=1e-4, err_msg=name)
