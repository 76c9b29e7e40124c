"""The persistent compilation cache."""

import os

import jax
import pytest

from modest.backend import compilation_cache
from modest.run import runtime


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
        return os.environ

    yield prepare
    jax.config.update("jax_compilation_cache_dir", before)


def test_compiled_programs_are_kept_below_the_users_cache(prepared_environment, tmp_path):
    made = prepared_environment(XDG_CACHE_HOME=str(tmp_path))["JAX_COMPILATION_CACHE_DIR"]
    assert made == str(compilation_cache.directory()) and made.startswith(f"{tmp_path}/modest/")


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

    monkeypatch.setattr(compilation_cache.pathlib.Path, "expanduser", fail)
    assert "JAX_COMPILATION_CACHE_DIR" not in prepared_environment()


def test_jax_that_is_already_imported_gets_the_cache(prepared_environment, tmp_path):
    made = prepared_environment(XDG_CACHE_HOME=str(tmp_path))["JAX_COMPILATION_CACHE_DIR"]
    assert jax.config.jax_compilation_cache_dir == made


def test_other_processors_have_other_caches(monkeypatch):
    here = compilation_cache.directory()
    monkeypatch.setattr(compilation_cache, "_processor", lambda: "another")
    assert compilation_cache.directory() != here


@pytest.mark.parametrize(("before", "after"), [("1", "3"), ("0", "0")])
def test_log_level_of_jax_is_raised_and_that_of_the_user_stands(
    prepared_environment, tmp_path, before, after
):
    """JAX sets level 1 when it is imported, also in the process that starts this one."""
    environment = prepared_environment(XDG_CACHE_HOME=str(tmp_path), TF_CPP_MIN_LOG_LEVEL=before)
    assert environment["TF_CPP_MIN_LOG_LEVEL"] == after


def test_flags_of_a_gpu_have_their_own_cache(monkeypatch):
    """On a CPU the directory does not depend on the flags, as JAX's keys contain them."""
    directories = {}
    for flags in ("--xla_gpu_deterministic_ops=true", ""):
        monkeypatch.setenv("XLA_FLAGS", flags)
        directories[flags] = [compilation_cache.directory(on_gpu) for on_gpu in (False, True)]
    (cpu, gpu), (other_cpu, other_gpu) = directories.values()
    assert cpu == other_cpu and gpu != other_gpu


def test_jax_keeps_what_xla_chose_by_timing_beside_the_programs():
    kept = jax.config.jax_persistent_cache_enable_xla_caches
    assert "xla_gpu_per_fusion_autotune_cache_dir" in kept
