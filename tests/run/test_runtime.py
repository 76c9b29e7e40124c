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


@pytest.fixture
def prepared_environment(monkeypatch):
    """Return a function that calls `prepare`, and returns the environment that it made."""
    before = jax.config.jax_compilation_cache_dir

    def prepare(**environment):
        monkeypatch.delenv("JAX_COMPILATION_CACHE_DIR", raising=False)
        jax.config.update("jax_compilation_cache_dir", None)
        for name, value in environment.items():
            monkeypatch.setenv(name, value)
        runtime.prepare()
        return runtime.os.environ

    yield prepare
    jax.config.update("jax_compilation_cache_dir", before)


def test_compiled_programs_are_kept_below_the_users_cache(prepared_environment, tmp_path):
    made = prepared_environment(XDG_CACHE_HOME=str(tmp_path))["JAX_COMPILATION_CACHE_DIR"]
    assert made == str(runtime.compilation_cache()) and made.startswith(f"{tmp_path}/modest/")


def test_users_own_compilation_cache_is_respected(prepared_environment, tmp_path):
    environment = prepared_environment(JAX_COMPILATION_CACHE_DIR=str(tmp_path))
    assert environment["JAX_COMPILATION_CACHE_DIR"] == str(tmp_path)


def test_directory_that_cannot_be_made_is_no_cache(prepared_environment, tmp_path):
    (tmp_path / "file").write_text("")
    environment = prepared_environment(XDG_CACHE_HOME=str(tmp_path / "file"))
    assert "JAX_COMPILATION_CACHE_DIR" not in environment


def test_user_without_home_directory_has_no_cache(prepared_environment, monkeypatch):
    def fail(path):
        raise RuntimeError("Could not determine home directory.")

    monkeypatch.setattr(runtime.pathlib.Path, "expanduser", fail)
    assert "JAX_COMPILATION_CACHE_DIR" not in prepared_environment()


def test_jax_that_is_already_imported_gets_the_cache(prepared_environment, tmp_path):
    made = prepared_environment(XDG_CACHE_HOME=str(tmp_path))["JAX_COMPILATION_CACHE_DIR"]
    assert jax.config.jax_compilation_cache_dir == made


def test_other_processors_have_other_caches(monkeypatch):
    here = runtime.compilation_cache()
    monkeypatch.setattr(runtime, "_processor", lambda: "another")
    assert runtime.compilation_cache() != here


@pytest.mark.parametrize(("before", "after"), [("1", "3"), ("0", "0")])
def test_log_level_of_jax_is_raised_and_that_of_the_user_stands(
    prepared_environment, tmp_path, before, after
):
    """JAX sets level 1 when it is imported, also in the process that starts this one."""
    environment = prepared_environment(XDG_CACHE_HOME=str(tmp_path), TF_CPP_MIN_LOG_LEVEL=before)
    assert environment["TF_CPP_MIN_LOG_LEVEL"] == after
