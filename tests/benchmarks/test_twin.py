"""The PyTorch networks of the benchmarks against the original: outputs, gradients, three steps."""

import numpy as np
import pytest

import golden_inputs

torch = pytest.importorskip(
    "torch", reason="PyTorch is not installed (benchmarks/requirements.txt)"
)


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
