"""The PyTorch twin that our speed is measured against is the original: the golden outputs, gradients and three steps."""

import numpy as np
import pytest

import golden_inputs

torch = pytest.importorskip("torch", reason="PyTorch is not installed (benchmarks/requirements.txt)")


@pytest.mark.parametrize("name", ["masknet", "depthnet"])
def test_golden_outputs_gradients_and_three_steps(name):
    from benchmarks import twin

    golden = np.load(golden_inputs.GOLDEN / f"{name}.npz")
    network = twin.NETWORKS[name]().double()
    weights = {key: torch.from_numpy(np.ascontiguousarray(x)) for key, x in golden_inputs.state_dict(name).items()}
    missing, unexpected = network.load_state_dict(weights, strict=False)
    assert not unexpected and all(key.endswith("num_batches_tracked") for key in missing)
    batch = {kind: torch.from_numpy(x.transpose(0, 3, 1, 2).copy()) for kind, x in golden_inputs.batch(64).items()}
    parameters = dict(network.named_parameters())
    norms = lambda of: [np.linalg.norm(of(parameters[key]).detach().numpy()) for key in golden["param_names"]]

    def check(outputs, kind):
        for head, x in outputs.items():
            ours = golden_inputs.nhwc(x.detach().numpy())
            np.testing.assert_allclose(ours, golden[f"{kind}_{head}"], rtol=1e-9, atol=1e-9)

    check(network.eval()(batch["bg"], batch["bg_fg"]), "eval")
    network.train()
    optimizer = torch.optim.SGD(network.parameters(), lr=0.1, momentum=0.9, weight_decay=1e-8)
    for step in range(3):
        optimizer.zero_grad()
        outputs = network(batch["bg"], batch["bg_fg"])
        value = twin.loss(outputs, batch["mask"], batch["depth"])
        value.backward()
        np.testing.assert_allclose(value.item(), golden["losses"][step], rtol=1e-9)
        if step == 0:
            check(outputs, "train")
            np.testing.assert_allclose(norms(lambda x: x.grad), golden["grad_norms"], rtol=1e-9, atol=1e-9)
        optimizer.step()
    np.testing.assert_allclose(norms(lambda x: x), golden["param_norms_after_3_steps"], rtol=1e-9)
