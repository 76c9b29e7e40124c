"""The PyTorch networks of the benchmarks against the original, PairNet against the one in Flax."""

import jax
import numpy as np
import pytest

import golden_inputs
from modest.models import build
from modest.run import config_files

torch = pytest.importorskip(
    "torch", reason="PyTorch is not installed (benchmarks/requirements.txt)"
)

HWIO_TO_OIHW = (3, 2, 0, 1)


def to_torch(state_dict):
    return {key: torch.from_numpy(np.ascontiguousarray(x)) for key, x in state_dict.items()}


def check_outputs(outputs, golden, kind):
    for head, x in outputs.items():
        actual = golden_inputs.nhwc(x.detach().numpy())
        np.testing.assert_allclose(actual, golden[f"{kind}_{head}"], rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize("name", ["masknet", "depthnet"])
def test_outputs_gradients_and_three_steps_match_the_original(name):
    from benchmarks.jobs import twin

    golden = np.load(golden_inputs.GOLDEN / f"{name}.npz")
    network = twin.NETWORKS[name]().double()
    weights = to_torch(golden_inputs.state_dict(name))
    missing, unexpected = network.load_state_dict(weights, strict=False)
    assert not unexpected and all(key.endswith("num_batches_tracked") for key in missing)
    batch = {
        kind: torch.from_numpy(x.transpose(0, 3, 1, 2).copy())
        for kind, x in golden_inputs.batch(64).items()
    }
    named = dict(network.named_parameters())
    parameters = [named[key] for key in golden["param_names"]]

    def norms(tensors):
        return [np.linalg.norm(x.detach().numpy()) for x in tensors]

    check_outputs(network.eval()(batch["bg"], batch["bg_fg"]), golden, "eval")
    network.train()
    optimizer = torch.optim.SGD(network.parameters(), lr=0.1, momentum=0.9, weight_decay=1e-8)
    for step in range(3):
        optimizer.zero_grad()
        outputs = network(batch["bg"], batch["bg_fg"])
        value = twin.loss(outputs, batch["mask"], batch["depth"])
        value.backward()
        np.testing.assert_allclose(value.item(), golden["losses"][step], rtol=1e-9)
        if step == 0:
            check_outputs(outputs, golden, "train")
            gradients = norms(parameter.grad for parameter in parameters)
            np.testing.assert_allclose(gradients, golden["grad_norms"], rtol=1e-9, atol=1e-9)
        optimizer.step()
    after = norms(parameters)
    np.testing.assert_allclose(after, golden["param_norms_after_3_steps"], rtol=1e-9)


def assign(target, value, axes=None):
    target.data = torch.from_numpy(np.ascontiguousarray(np.transpose(value, axes)))


def assign_conv(conv, params):
    assign(conv.weight, params["kernel"], HWIO_TO_OIHW)
    if "bias" in params:
        assign(conv.bias, params["bias"])


def assign_norm(norm, params, statistics):
    assign(norm.weight, params["scale"])
    assign(norm.bias, params["bias"])
    assign(norm.running_mean, statistics["mean"])
    assign(norm.running_var, statistics["var"])


def assign_conv_bn_relu(layers, params, statistics):
    conv, norm = layers[-3:-1]  # max-pooling may come before
    assign_conv(conv, params["conv"] | {"bias": params["bias"]})
    assign_norm(norm, params["norm"], statistics["norm"])


@pytest.mark.parametrize("name", ["pairnet", "pairnet:small"])
def test_pairnet_equals_the_one_in_flax(name, rng, x64, drawn):
    from benchmarks.jobs import twin

    model = build(**config_files.load(name).model)
    pictures = rng.normal(size=(2, 2, 32, 64, 3))
    variables = drawn(jax.eval_shape(model.init, jax.random.key(0), *pictures))
    expected = jax.jit(model.apply)(variables, *pictures)

    network = twin.NETWORKS[name]().double().eval()
    params, statistics = variables["params"], variables["batch_stats"]
    encoder = params["encode"], statistics["encode"]
    assign_conv_bn_relu(network.stem, *(part["stem"] for part in encoder))
    for level, block in enumerate(network.encode, 1):
        own, own_statistics = (part[f"encode{level}"] for part in encoder)
        for conv in ("conv1", "conv2"):
            assign_conv_bn_relu(getattr(block, conv), own[conv], own_statistics[conv])
        assign_conv(block.skip_conn[0], own["skip_conv"])
        assign_norm(block.skip_conn[1], own["skip_norm"], own_statistics["skip_norm"])
    for level, join in enumerate(network.join):
        assign_conv(join, params[f"join{level}"])
    for level, block in enumerate(network.decode):
        own, own_statistics = params[f"decode{level}"], statistics[f"decode{level}"]
        assign_conv(block.layer, own["reduce"])
        for conv in own_statistics:
            assign_conv_bn_relu(getattr(block, conv), own[conv], own_statistics[conv])
    for head in expected:
        assign_conv(getattr(network, f"head_{head}"), params[f"head_{head}"]["conv"])

    outputs = network(*(torch.from_numpy(x.transpose(0, 3, 1, 2).copy()) for x in pictures))
    for head, x in expected.items():
        actual = golden_inputs.nhwc(outputs[head].detach().numpy())
        np.testing.assert_allclose(actual, x, rtol=1e-9, atol=1e-9)
