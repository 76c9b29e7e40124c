"""Losses and SSIM against the original's values (`golden/`), and gradients at critical points."""

import importlib
import math
import re
import textwrap

import dm_pix
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from skimage.metrics import structural_similarity

import golden_inputs
from configs.experiments import losses as experiments
from golden_inputs import nhwc, wave
from modest import losses, ssim
from repository import ROOT

SIZE = 192
TARGET = (2, 1, SIZE, SIZE)


@pytest.fixture
def golden(x64):
    """Return targets, logits, and the original's losses for them, in float64."""
    batch = golden_inputs.batch(SIZE)
    logits = {"mask": nhwc(3 * wave(TARGET, 5)), "depth": nhwc(2 * wave(TARGET, 6))}
    return batch, logits, golden_inputs.numbers()["losses"]


@pytest.mark.gpu
@pytest.mark.parametrize("head", ["mask", "depth"])
def test_bce_rmse_and_dice_match_the_original(golden, head):
    targets, logits, values = golden
    target, output = targets[head], jax.nn.sigmoid(logits[head])
    bce = float(losses.bce(logits[head], target))
    assert bce == pytest.approx(values[f"bce({head})"], abs=1e-9)
    assert float(losses.rmse(output, target)) == pytest.approx(values[f"rmse({head})"], abs=1e-9)
    dice = float(losses.dice_loss(output, target))
    assert dice == pytest.approx(values[f"dice({head})"], abs=1e-9)


def mean_ssim(x, y):
    return float(ssim.ssim(x, y).mean())


def mean_ms_ssim(x, y):
    return float(ssim.ms_ssim(x, y).mean())


@pytest.mark.gpu
def test_ssim_and_ms_ssim_match_the_original_at_data_range_1(golden):
    # The original computes its window in float32, which changes the result by up to 3e-7.
    targets, logits, values = golden
    near = 0.9 * targets["depth"] + 0.05 + 0.03 * nhwc(wave(TARGET, 7))
    outputs = {head: jax.nn.sigmoid(x) for head, x in logits.items()}
    for head in ("mask", "depth"):
        expected = pytest.approx(values[f"ssim({head},range=1)"], abs=1e-6)
        assert mean_ssim(outputs[head], targets[head]) == expected
        assert mean_ms_ssim(outputs[head], targets[head]) == values[f"ms_ssim({head},range=1)"]
    expected = pytest.approx(values["ssim(near,range=1)"], abs=1e-6)
    assert mean_ssim(near, targets["depth"]) == expected
    expected = pytest.approx(values["ms_ssim(near,range=1)"], abs=1e-6)
    assert mean_ms_ssim(near, targets["depth"]) == expected


def test_ssim_distinguishes_an_empty_mask_from_a_true_one():
    # With the original's data range of 255 on images in [0, 1], this is 0.99: a loss without a
    # gradient.
    mask = np.zeros((1, 64, 64, 1), np.float32)
    mask[:, 20:50, 25:40] = 1
    assert float(ssim.ssim(jnp.zeros_like(mask), mask)[0]) < 0.9
    noise = np.random.default_rng(0).random(mask.shape, np.float32)
    assert float(ssim.ssim(noise, mask)[0]) < 0.1


def test_ssim_matches_dm_pix_and_scikit_image(rng, x64):
    x = rng.random((2, 40, 50, 1))
    y = np.clip(x + 0.2 * rng.normal(size=x.shape), 0, 1)
    np.testing.assert_allclose(ssim.ssim(x, y), dm_pix.ssim(x, y), atol=1e-9)
    for i in range(2):
        _, values = structural_similarity(
            x[i, ..., 0],
            y[i, ..., 0],
            gaussian_weights=True,
            sigma=1.5,
            use_sample_covariance=False,
            data_range=1.0,
            full=True,
        )
        assert float(ssim.ssim(x, y)[i]) == pytest.approx(values[5:-5, 5:-5].mean(), abs=1e-9)


@pytest.mark.gpu
def test_combinations_match_the_original(golden):
    targets, logits, values = golden
    tables = experiments.COMBINATIONS
    value, terms = losses.total(logits, targets, tables["bce_rmse"])
    assert float(value) == pytest.approx(values["original BCE_RMSE_LOSS"], abs=1e-9)
    assert {name: float(term) for name, term in terms.items()} == {
        "mask/bce": pytest.approx(values["bce(mask)"]),
        "depth/rmse": pytest.approx(values["rmse(depth)"]),
    }
    value, _ = losses.total(logits, targets, tables["rmse_dice"])
    assert float(value) == pytest.approx(values["original RMSE_DICE_LOSS"], abs=1e-9)
    value, _ = losses.total(logits, targets, tables["bce_dice_rmse"])
    expected = values["bce(mask)"] + 2 * values["dice(mask)"] + 2 * values["rmse(depth)"]
    assert float(value) == pytest.approx(expected, abs=1e-9)


def test_dice_uses_smooth():
    x, target = jnp.full((1, 2, 2, 1), 0.5), jnp.ones((1, 2, 2, 1))
    assert float(losses.dice_loss(x, target, smooth=0.0)) == pytest.approx(1 - 4 / 6)
    assert float(losses.dice_loss(x, target, smooth=3.0)) == pytest.approx(1 - 7 / 9)
    assert float(losses.dice_loss(jnp.zeros_like(x), jnp.zeros_like(x))) == 0


def test_loss_with_weight_0_is_not_computed():
    weights = {
        "mask": {"bce": 1.0, "ssim": 0.0, "ms_ssim": 0.0, "dice": 0.0},
        "depth": {"rmse": 0.0},
    }
    outputs = {"mask": jnp.zeros((1, 8, 8, 1))}  # too small for SSIM, and there is no depth
    targets = {"mask": jnp.ones((1, 8, 8, 1))}

    def program(weights):
        def total(outputs):
            return losses.total(outputs, targets, weights)

        return str(jax.make_jaxpr(total)(outputs))

    assert program(weights) == program({"mask": {"bce": 1.0}})


@pytest.mark.parametrize("name", losses.LOSSES)
@pytest.mark.parametrize("case", ["flat", "empty", "perfect", "wrong"])
def test_gradients_are_finite_at_critical_points(name, case):
    shape = (2, 161, 161, 1)
    target = {"flat": jnp.full(shape, 0.5), "empty": jnp.zeros(shape)}.get(case)
    if target is None:
        target = jnp.zeros(shape).at[:, 40:100, 50:90].set(1)
    output = 1 - target if case == "wrong" else target
    value, gradient = jax.value_and_grad(losses.LOSSES[name])(output, target)
    assert math.isfinite(value)
    assert bool(jnp.isfinite(gradient).all())


def test_ms_ssim_error_names_the_smallest_size():
    x = jnp.zeros((1, 160, 200, 1))
    with pytest.raises(ValueError, match="160 x 200 px; five scales need 161"):
        ssim.ms_ssim(x, x)
    ones = jnp.ones((1, 161, 161, 1))
    assert float(ssim.ms_ssim(ones, ones)[0]) == pytest.approx(1, abs=1e-5)


def test_smallest_sizes_are_those_of_the_windows():
    assert losses.MIN_SIZES == {"ssim": 11, "ms_ssim": 161}


def test_config_of_each_combination_has_its_weights():
    depthnet = importlib.import_module("configs.depthnet")
    assert set(depthnet.get_config().loss.mask) == set(losses.LOSSES)
    for variant, table in experiments.COMBINATIONS.items():
        config = experiments.get_config(variant)
        for head, weights in config.loss.items():
            assert {name: weight for name, weight in weights.items() if weight} == table[head]


@pytest.mark.parametrize("name", ["bce", "rmse", "dice", "ssim"])
def test_unknown_pixels_do_not_change_a_loss(rng, name):
    output, target = (rng.uniform(0.1, 0.9, (2, 16, 16, 1)).astype(np.float32) for _ in range(2))
    known = np.ones_like(target)
    function = losses.LOSSES[name]
    whole = function(output, target, valid=known)
    np.testing.assert_allclose(whole, function(output, target), rtol=1e-6)
    known[:, :, -12:] = 0
    spoilt = np.where(known > 0, target, 77)
    value, gradient = jax.value_and_grad(lambda x: function(x, spoilt, valid=known))(output)
    np.testing.assert_allclose(value, function(output, target, valid=known), rtol=1e-6)
    assert np.isfinite(gradient).all() and np.abs(gradient).max() > 0
    if name in ("bce", "rmse"):
        kept = function(output[:, :, :-12], target[:, :, :-12])
        np.testing.assert_allclose(value, kept, rtol=1e-6)
        assert not gradient[:, :, -12:].any()


def test_total_leaves_out_unknown_depth(rng):
    logits, target = (rng.uniform(0.1, 0.9, (2, 8, 8, 1)).astype(np.float32) for _ in range(2))
    known = (rng.uniform(size=target.shape) > 0.5).astype(np.float32)
    weights = {"depth": {"rmse": 1.0}}
    spoilt = {"depth": np.where(known > 0, target, 5), "depth_valid": known}
    loss, _ = losses.total({"depth": logits}, spoilt, weights)
    error = ((np.asarray(jax.nn.sigmoid(logits)) - target) ** 2)[known > 0].mean()
    np.testing.assert_allclose(loss, np.sqrt(error + losses.RMSE_EPSILON), rtol=1e-5)


def test_total_takes_the_loss_of_the_contributors_guide(rng, monkeypatch):
    guide = (ROOT / "CONTRIBUTING.md").read_text()
    code = re.search(r"```python\n( *def l1\(.*?)```", guide, re.DOTALL)[1]
    module = dict(vars(losses))  # the names that the code can use
    exec(textwrap.dedent(code), module)
    monkeypatch.setitem(losses.LOSSES, "l1", module["l1"])
    logits, target = (rng.uniform(0.1, 0.9, (2, 8, 8, 1)).astype(np.float32) for _ in range(2))
    known = (rng.uniform(size=target.shape) > 0.5).astype(np.float32)
    spoilt = {"depth": np.where(known > 0, target, 5), "depth_valid": known}
    loss, terms = losses.total({"depth": logits}, spoilt, {"depth": {"l1": 2.0}})
    expected = np.abs(1 / (1 + np.exp(-logits)) - target)[known > 0].mean()
    np.testing.assert_allclose(terms["depth/l1"], expected, rtol=1e-5)
    np.testing.assert_allclose(loss, 2 * expected, rtol=1e-5)
