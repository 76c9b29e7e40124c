"""The networks: shapes, folding, rematerialisation, precision, and the original's numbers."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from ml_collections import ConfigDict

import golden_inputs
import small_networks
from modest import kernels, losses, models
from modest.models import torch_weights
from modest.state import train_state

WEIGHTS = {
    "masknet": {"mask": {"bce": 1.0}},
    "depthnet": {"mask": {"bce": 1.0}, "depth": {"rmse": 2.0}},
}
PARAMETERS = {"masknet": 76_097, "depthnet": 7_083_874}


def number_of_values(tree):
    return sum(x.size for x in jax.tree.leaves(tree))


def number_of_parameters(name):
    picture = jax.ShapeDtypeStruct((1, 64, 64, 3), jnp.float32)
    variables = jax.eval_shape(models.build(name).init, jax.random.key(0), picture, picture)
    return number_of_values(variables["params"])


@pytest.mark.parametrize("name", PARAMETERS)
def test_parameter_count_equals_original(name):
    assert number_of_parameters(name) == PARAMETERS[name]


def test_unet_has_three_times_the_parameters_of_depthnet():
    assert 2.8 < number_of_parameters("unet") / PARAMETERS["depthnet"] < 3.2


def test_pairnet_sees_both_pictures_with_the_same_weights(rng, x64, drawn):
    model = models.build("pairnet", widths=(8,) * 6)
    bg, bg_fg = rng.random((2, 1, 32, 32, 3))
    variables = drawn(jax.eval_shape(model.init, jax.random.key(0), bg, bg_fg))
    apply = jax.jit(model.apply)
    outputs = apply(variables, bg, bg_fg)
    maps_of_bg_fg = apply(variables, bg_fg)  # as if it were a background
    unchanged = apply(variables, None, bg_fg, bg_map=maps_of_bg_fg)
    jax.tree.map(
        lambda x, y: np.testing.assert_allclose(x, y, rtol=1e-9),
        unchanged,
        apply(variables, bg_fg, bg_fg),
    )
    assert not np.allclose(outputs["mask"], unchanged["mask"])


@pytest.mark.parametrize("name", models.NETWORKS)
def test_stride_and_heads_agree_with_outputs(name):
    network = models.NETWORKS[name]
    size = 2 * network.stride
    picture = jax.ShapeDtypeStruct((1, size, 2 * size, 3), jnp.float32)
    init = models.build(name).init_with_output
    outputs, _ = jax.eval_shape(init, jax.random.key(0), picture, picture)
    shapes = {head: x.shape for head, x in outputs.items()}
    assert shapes == {head: (1, size, 2 * size, 1) for head in network.heads}


@pytest.mark.gpu
@pytest.mark.parametrize("name", PARAMETERS)
def test_outputs_and_three_steps_equal_golden_numbers(name, x64):
    golden = np.load(golden_inputs.GOLDEN / f"{name}.npz")
    model = models.build(name)
    variables = torch_weights.from_torch(golden_inputs.state_dict(name), name)
    batch = golden_inputs.batch(64)
    logits = jax.jit(model.apply)(variables, batch["bg"], batch["bg_fg"])
    assert_outputs_equal_golden(logits, golden, "eval")

    loss_and_gradients = training_step(model, batch, WEIGHTS[name])
    optimizer = golden_optimizer()
    params, batch_stats = variables["params"], variables["batch_stats"]
    opt_state = optimizer.init(params)

    @jax.jit
    def update(gradients, opt_state, params, loss):
        updates, opt_state = optimizer.update(gradients, opt_state, params, value=loss)
        return optax.apply_updates(params, updates), opt_state

    for step in range(3):
        (loss, (logits, batch_stats)), gradients = loss_and_gradients(params, batch_stats)
        np.testing.assert_allclose(loss, golden["losses"][step], rtol=1e-9)
        if step == 0:
            assert_outputs_equal_golden(logits, golden, "train")
            gradient_norms = norms(name, gradients, golden["param_names"])
            np.testing.assert_allclose(gradient_norms, golden["grad_norms"], rtol=1e-9, atol=1e-9)
        params, opt_state = update(gradients, opt_state, params, loss)

    param_norms = norms(name, params, golden["param_names"])
    np.testing.assert_allclose(param_norms, golden["param_norms_after_3_steps"], rtol=1e-9)
    for kind in ("running_mean", "running_var"):
        state_dict = golden_inputs.numbers()["state_dict"][name]
        names = [torch_name for torch_name in state_dict if torch_name.endswith(kind)]
        actual = norms(name, batch_stats, names)
        np.testing.assert_allclose(actual, golden[f"{kind}_norms"], rtol=1e-9)


def assert_outputs_equal_golden(logits, golden, mode):
    """Compare every head that the golden file has for the mode `eval` or `train`."""
    for key in golden.files:
        if key.startswith("eval_"):
            head = key.removeprefix("eval_")
            expected = golden[f"{mode}_{head}"]
            np.testing.assert_allclose(logits[head], expected, rtol=1e-9, atol=1e-9)


def training_step(model, batch, weights):
    """Return `params, batch_stats -> (loss, (logits, new batch_stats)), gradients`."""

    @jax.jit
    def loss_and_gradients(params, batch_stats):
        def loss(params):
            variables = {"params": params, "batch_stats": batch_stats}
            outputs, updated = model.apply(
                variables, batch["bg"], batch["bg_fg"], train=True, mutable=["batch_stats"]
            )
            value, _ = losses.total(outputs, batch, weights)
            return value, (outputs, updated["batch_stats"])

        return jax.value_and_grad(loss, has_aux=True)(params)

    return loss_and_gradients


def golden_optimizer():
    options = ConfigDict(
        dict(
            schedule="constant",
            learning_rate=0.1,
            momentum=0.9,
            weight_decay=1e-8,
            clip_norm=0.0,
            warmup=0.0,
        )
    )
    schedule = train_state.create_schedule(options, 3, 3)
    return train_state.create_optimizer(options, schedule, 3)


def norms(network, collection, torch_names):
    """Return the L2 norm of the variable of each PyTorch name; `collection` holds them all."""
    names = torch_weights.torch_names(network)
    paths = {torch_name: path for path, (torch_name, _) in names.items()}
    values = []
    for torch_name in torch_names:
        node = collection
        for key in paths[torch_name][1:]:
            node = node[key]
        values.append(np.linalg.norm(node))
    return values


@pytest.mark.parametrize("name", models.NETWORKS)
def test_folded_variables_predict_the_same(rng, x64, drawn, name):
    model = small_networks.build(name)
    pictures = rng.random((2, 2, 32, 32, 3))
    variables = drawn(jax.eval_shape(model.init, jax.random.key(0), *pictures))
    folded = jax.jit(functools.partial(models.fold, model))(variables)
    expected = jax.jit(model.apply)(variables, *pictures)
    outputs = jax.jit(model.apply)(folded, *pictures)
    assert outputs.keys() == expected.keys()
    for head in expected:
        np.testing.assert_allclose(outputs[head], expected[head], rtol=1e-9, atol=1e-9)
    paths = [path for path, _ in jax.tree.leaves_with_path(variables["params"])]
    norms = [path for path in paths if path[-2].key == "norm"]
    # A kernel and a bias for each scale and bias of a BatchNorm.
    assert len(jax.tree.leaves(folded["folded"])) == len(norms)


def masknet_loss(batch, batch_stats, **options):
    """Return `params -> (loss, (logits, running statistics))` in training mode."""
    model = models.build("masknet")
    statistics = {"mean": np.full(3, 0.5), "std": np.full(3, 0.25)}
    state = train_state.TrainState(0, None, batch_stats, None, statistics=statistics)

    def loss(params):
        outputs, updated = train_state.forward(model, state, params, batch, train=True, **options)
        return losses.total(outputs, batch, WEIGHTS["masknet"])[0], (outputs, updated)

    return loss


def test_rematerialisation_keeps_gradients_and_fewer_residuals(x64):
    variables = torch_weights.from_torch(golden_inputs.state_dict("masknet"), "masknet")
    params, batch_stats = variables["params"], variables["batch_stats"]
    results, residuals = [], []
    for rematerialise in (False, True):
        loss = masknet_loss(golden_inputs.batch(64), batch_stats, rematerialise=rematerialise)

        def backward(params, loss=loss):
            return jax.vjp(loss, params, has_aux=True)[1]

        results.append(jax.jit(jax.value_and_grad(loss, has_aux=True))(params))
        residuals.append(number_of_values(jax.eval_shape(backward, params)))

    def assert_close(a, b):
        np.testing.assert_allclose(a, b, rtol=1e-9, atol=1e-12)

    jax.tree.map(assert_close, *results)
    assert residuals[1] < 0.5 * residuals[0]


@pytest.mark.gpu
def test_bfloat16_changes_only_feature_maps(monkeypatch):
    batch = {name: x.astype(np.float32) for name, x in golden_inputs.batch(64).items()}
    variables = torch_weights.from_torch(golden_inputs.state_dict("masknet"), "masknet")
    variables = jax.tree.map(np.float32, variables)
    conv, dtypes = kernels.conv, set()

    def recording_conv(x, kernel):
        dtypes.add((str(x.dtype), str(kernel.dtype)))
        return conv(x, kernel)

    monkeypatch.setattr(kernels, "conv", recording_conv)
    results = {}
    for precision in ("float32", "bfloat16"):
        dtypes.clear()
        loss = masknet_loss(batch, variables["batch_stats"], precision=precision)
        compiled = jax.jit(jax.value_and_grad(loss, has_aux=True))
        results[precision] = compiled(variables["params"])
        assert dtypes == {(precision, precision)}
        assert all(x.dtype == np.float32 for x in jax.tree.leaves(results[precision]))
    (exact, _), gradients = results["float32"]
    (rounded, _), rounded_gradients = results["bfloat16"]
    assert 0 < abs(rounded - exact) / exact < 0.01
    error = optax.tree.norm(optax.tree.sub(gradients, rounded_gradients))
    assert error < 0.1 * optax.tree.norm(gradients)
