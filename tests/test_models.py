"""The networks against the original's numbers (`golden/`), in float64."""

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from ml_collections import ConfigDict

import golden_inputs
from modest import config as configs
from modest import interop, losses, models, state
from modest.models import layers

WEIGHTS = {
    "masknet": {"mask": {"bce": 1.0}},
    "depthnet": {"mask": {"bce": 1.0}, "depth": {"rmse": 2.0}},
}
PARAMETERS = {"masknet": 76_097, "depthnet": 7_083_874}


def count(params):
    return sum(x.size for x in jax.tree.leaves(params))


@pytest.mark.parametrize("name", PARAMETERS)
def test_parameters_as_in_the_original_table(name):
    picture = jax.ShapeDtypeStruct((1, 64, 64, 3), jnp.float32)
    variables = jax.eval_shape(models.build(name).init, jax.random.key(0), picture, picture)
    assert count(variables["params"]) == PARAMETERS[name]


def test_unet_has_three_times_depthnets_parameters():
    picture = jax.ShapeDtypeStruct((1, 64, 64, 3), jnp.float32)
    variables = jax.eval_shape(models.build("unet").init, jax.random.key(0), picture, picture)
    assert 2.8 < count(variables["params"]) / PARAMETERS["depthnet"] < 3.2


@pytest.mark.parametrize("name", configs.STRIDES)
def test_heads_and_sizes_are_those_the_config_knows(name):
    size = 2 * configs.STRIDES[name]
    picture = jax.ShapeDtypeStruct((1, size, 2 * size, 3), jnp.float32)
    outputs, _ = jax.eval_shape(models.build(name).init_with_output, jax.random.key(0), picture, picture)
    assert {head: x.shape for head, x in outputs.items()} == {head: (1, size, 2 * size, 1) for head in configs.HEADS[name]}


@pytest.mark.parametrize("name", PARAMETERS)
def test_golden_outputs_gradients_and_three_steps(name, x64):
    golden = np.load(golden_inputs.GOLDEN / f"{name}.npz")
    model = models.build(name)
    variables = interop.from_torch(golden_inputs.state_dict(name), name)
    batch = golden_inputs.batch(64)
    heads = [key.removeprefix("eval_") for key in golden.files if key.startswith("eval_")]

    outputs = jax.jit(model.apply)(variables, batch["bg"], batch["bg_fg"])
    for head in heads:
        np.testing.assert_allclose(outputs[head], golden[f"eval_{head}"], rtol=1e-9, atol=1e-9)

    @jax.jit
    def loss_and_gradients(params, batch_stats):
        def loss(params):
            outputs, updated = model.apply(
                {"params": params, "batch_stats": batch_stats}, batch["bg"], batch["bg_fg"], train=True, mutable=["batch_stats"]
            )
            value, _ = losses.total(outputs, batch, WEIGHTS[name])
            return value, (outputs, updated["batch_stats"])

        return jax.value_and_grad(loss, has_aux=True)(params)

    options = ConfigDict(dict(schedule="constant", learning_rate=0.1, momentum=0.9, weight_decay=1e-8, clip_norm=0.0, warmup=0.0))
    optimizer = state.create_optimizer(options, state.create_schedule(options, 3, 3), 3)
    params, batch_stats = variables["params"], variables["batch_stats"]
    opt_state = optimizer.init(params)
    names = interop.torch_names(name)
    path_of = {torch: path for path, (torch, _) in names.items()}

    def norms(tree, torch_names):
        leaves = [tree]
        values = []
        for torch in torch_names:
            leaves = tree
            for key in path_of[torch][1:]:
                leaves = leaves[key]
            values.append(np.linalg.norm(leaves))
        return values

    for step in range(3):
        (value, (outputs, batch_stats)), gradients = loss_and_gradients(params, batch_stats)
        np.testing.assert_allclose(value, golden["losses"][step], rtol=1e-9)
        if step == 0:
            for head in heads:
                np.testing.assert_allclose(outputs[head], golden[f"train_{head}"], rtol=1e-9, atol=1e-9)
            np.testing.assert_allclose(norms(gradients, golden["param_names"]), golden["grad_norms"], rtol=1e-9, atol=1e-9)
        updates, opt_state = optimizer.update(gradients, opt_state, params, value=value)
        params = optax.apply_updates(params, updates)

    np.testing.assert_allclose(norms(params, golden["param_names"]), golden["param_norms_after_3_steps"], rtol=1e-9)
    for kind in ("running_mean", "running_var"):
        torch_names = [n for n in golden_inputs.numbers()["state_dict"][name] if n.endswith(kind)]
        np.testing.assert_allclose(norms(batch_stats, torch_names), golden[f"{kind}_norms"], rtol=1e-9)


def test_from_torch_refuses_another_networks_weights():
    with pytest.raises(ValueError, match="not a state dict of masknet: unknown"):
        interop.from_torch(golden_inputs.state_dict("depthnet"), "masknet")
    incomplete = golden_inputs.state_dict("masknet")
    del incomplete["layer3.6.bias"]
    with pytest.raises(KeyError, match="layer3.6.bias"):
        interop.from_torch(incomplete, "masknet")


def test_max_pool_is_flaxs_and_so_is_its_gradient(rng):
    import flax.linen as nn

    x, g = rng.normal(size=(2, 6, 8, 3)).astype(np.float32), rng.normal(size=(2, 3, 4, 3)).astype(np.float32)
    library = lambda x: nn.max_pool(x, (2, 2), (2, 2))
    (y, backward), (expected, expected_backward) = jax.vjp(layers.max_pool, x), jax.vjp(library, x)
    np.testing.assert_array_equal(y, expected)
    np.testing.assert_array_equal(backward(g)[0], expected_backward(g)[0])


def test_max_pool_shares_a_gradient_among_equal_values():
    np.testing.assert_array_equal(jax.grad(lambda x: layers.max_pool(x).sum())(np.ones((1, 2, 2, 1), np.float32)), 0.25)


def test_upsample_is_jax_images_and_so_is_its_gradient(rng, x64):
    x = rng.normal(size=(2, 3, 5, 4))
    g = rng.normal(size=(2, 6, 10, 4))
    reference = lambda x: jax.image.resize(x, (2, 6, 10, 4), "bilinear")
    (y, backward), (y_reference, backward_reference) = jax.vjp(layers.upsample, x), jax.vjp(reference, x)
    np.testing.assert_allclose(y, y_reference, atol=1e-12)
    np.testing.assert_allclose(backward(g)[0], backward_reference(g)[0], atol=1e-12)


def test_batch_norm_offset_is_a_bias_added_before(rng, x64):
    x, bias = rng.normal(size=(4, 3, 3, 2)), rng.normal(size=2)
    norm = layers.BatchNorm()
    variables = norm.init(jax.random.key(0), x, True)
    for train in (True, False):
        inside, stats = norm.apply(variables, x, train, offset=bias, mutable=["batch_stats"])
        biased = x + layers.per_channel(bias)
        added, expected_stats = norm.apply(variables, biased, train, mutable=["batch_stats"])
        np.testing.assert_allclose(layers.affine(x, *inside), layers.affine(biased, *added), atol=1e-12)
        jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, atol=1e-12), stats, expected_stats)


@pytest.mark.parametrize("name", ["masknet", "depthnet", "unet"])
def test_folded_variables_predict_the_same_without_batch_norm(rng, x64, drawn, name):
    model = models.build(name, **({} if name == "masknet" else {"width": 2}))
    pictures = rng.random((2, 2, 32, 32, 3))
    variables = drawn(jax.eval_shape(model.init, jax.random.key(0), *pictures))
    folded = models.fold(model, variables)
    expected = jax.jit(model.apply)(variables, *pictures)
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-9, atol=1e-9), model.apply(folded, *pictures), expected)
    norms = [path for path, _ in jax.tree.leaves_with_path(variables["params"]) if path[-2].key == "norm"]
    assert len(jax.tree.leaves(folded["folded"])) == len(norms)  # a kernel and a bias in place of a scale and a bias


def training_loss(batch, batch_stats, **options):
    """The function `params -> (loss, (outputs, running statistics))` of MaskNet's training forward pass on one device."""
    model = models.build("masknet")
    start = state.TrainState(0, None, batch_stats, None, statistics={"mean": np.full(3, 0.5), "std": np.full(3, 0.25)})

    def loss(params):
        outputs, updated = state.forward(model, start, params, batch, train=True, **options)
        return losses.total(outputs, batch, WEIGHTS["masknet"])[0], (outputs, updated)

    return loss


def test_rematerialised_gradients_are_the_same_and_less_is_kept(x64):
    variables = interop.from_torch(golden_inputs.state_dict("masknet"), "masknet")
    results, kept = [], []
    for choice in (False, True):
        loss = training_loss(golden_inputs.batch(64), variables["batch_stats"], rematerialise=choice)
        results.append(jax.jit(jax.value_and_grad(loss, has_aux=True))(variables["params"]))
        backward = jax.eval_shape(lambda params, loss=loss: jax.vjp(loss, params, has_aux=True)[1], variables["params"])
        kept.append(count(backward))
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-9, atol=1e-12), *results)
    assert kept[1] < 0.5 * kept[0]


def test_bfloat16_is_for_maps_only(monkeypatch):
    batch = {name: values.astype(np.float32) for name, values in golden_inputs.batch(64).items()}
    variables = jax.tree.map(np.float32, interop.from_torch(golden_inputs.state_dict("masknet"), "masknet"))
    conv, types = layers.conv, []
    monkeypatch.setattr(layers, "conv", lambda x, kernel: types.append((str(x.dtype), str(kernel.dtype))) or conv(x, kernel))
    results = {}
    for precision in ("float32", "bfloat16"):
        types.clear()
        loss = training_loss(batch, variables["batch_stats"], precision=precision)
        results[precision] = jax.jit(jax.value_and_grad(loss, has_aux=True))(variables["params"])
        assert set(types) == {(precision, precision)}
        assert all(x.dtype == np.float32 for x in jax.tree.leaves(results[precision]))
    (exact, _), gradients = results["float32"]
    (rough, _), rough_gradients = results["bfloat16"]
    assert 0 < abs(rough - exact) / exact < 0.01
    norm = optax.tree.norm
    assert norm(optax.tree.sub(gradients, rough_gradients)) < 0.1 * norm(gradients)
