"""Settings made before JAX starts."""

import socket

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from modest.errors import InputError
from modest.run import runtime


@pytest.mark.parametrize("dtype, rows", [(np.float64, 16_385), (np.float32, 32_769)])
def test_xla_sums_squares_of_products_correctly(dtype, rows):
    """jaxlib 0.10.2 does not, with the flag that `xla_flags` has for the series 0.10.

    The program is that of github.com/jax-ml/jax/issues/39103.
    """

    @jax.jit
    @jax.vmap
    def sum_of_squares(row):
        return jnp.sum((jnp.eye(3, dtype=dtype) @ row) ** 2)

    with jax.enable_x64(dtype == np.float64):
        x = np.stack([np.arange(rows), np.zeros(rows), np.zeros(rows)], axis=1).astype(dtype)
        np.testing.assert_allclose(sum_of_squares(x), np.square(x[:, 0]), rtol=1e-6)


def test_missing_coordinator_is_reported(monkeypatch):
    monkeypatch.setattr(runtime, "JOIN_SECONDS", 0.3)
    with socket.socket() as server:
        server.bind(("127.0.0.1", 0))
        address = f"127.0.0.1:{server.getsockname()[1]}"
        with pytest.raises(InputError, match=f"--coordinator={address}: no process answers there"):
            runtime.join(address, 2, 1)
        server.listen()
        runtime._wait_for(address)
    with pytest.raises(InputError, match="--coordinator=5901: must be host:port"):
        runtime.join("5901", 2, 1)


@pytest.mark.parametrize(("visible", "ids"), [("5", [0]), ("0,1", None)])
def test_process_with_a_gpu_of_its_own_takes_it(monkeypatch, visible, ids):
    given = {}
    monkeypatch.setattr(jax.distributed, "initialize", lambda *_, **options: given.update(options))
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", visible)
    runtime.join()
    assert given["local_device_ids"] == ids
