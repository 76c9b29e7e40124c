"""Settings made before JAX starts."""

import socket

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from modest.errors import InputError
from modest.run import runtime


def test_flags_are_added_once_and_keep_those_of_the_user(monkeypatch):
    monkeypatch.setattr(runtime, "cpu_flags", lambda version: ("--xla_b=1", "--xla_c=1"))
    monkeypatch.delenv("XLA_FLAGS", raising=False)
    runtime.prepare()
    runtime.prepare()
    assert runtime.os.environ["XLA_FLAGS"] == "--xla_b=1 --xla_c=1"
    monkeypatch.setenv("XLA_FLAGS", "--xla_a=1 --xla_b=2")
    runtime.prepare()
    assert runtime.os.environ["XLA_FLAGS"] == "--xla_a=1 --xla_b=2 --xla_c=1"


def test_flags_are_set_only_for_known_series_of_jaxlib():
    assert runtime.cpu_flags("0.10.1")
    assert runtime.cpu_flags("0.11.0") == runtime.cpu_flags("1.0") == ()


@pytest.mark.parametrize("dtype, rows", [(np.float64, 16_385), (np.float32, 32_769)])
def test_xla_sums_squares_of_products_correctly(dtype, rows):
    """jaxlib 0.10.2 does not, with the flag that `cpu_flags` sets for the series 0.10.

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
