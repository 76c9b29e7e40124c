"""XLA's flags by platform and series of jaxlib."""

import importlib.metadata
import os
import subprocess
import sys

import pytest

from modest.backend import xla_flags

SERIES = ("0.10", "0.11", "0.12")  # those that pyproject.toml allows


def test_flags_are_added_once_and_keep_those_of_the_user(monkeypatch):
    ours = ("--xla_b=1", "--xla_c=1")
    monkeypatch.setattr(xla_flags, "flags", lambda version, on_gpu: ours if on_gpu else ours[:1])
    monkeypatch.delenv("XLA_FLAGS", raising=False)
    xla_flags.add(on_gpu=True)
    xla_flags.add(on_gpu=True)
    assert os.environ["XLA_FLAGS"] == "--xla_b=1 --xla_c=1"
    monkeypatch.setenv("XLA_FLAGS", "--xla_a=1 --xla_b=2")
    xla_flags.add(on_gpu=False)
    assert os.environ["XLA_FLAGS"] == "--xla_a=1 --xla_b=2"
    xla_flags.add(on_gpu=True)
    assert os.environ["XLA_FLAGS"] == "--xla_a=1 --xla_b=2 --xla_c=1"
    monkeypatch.setenv("XLA_FLAGS", "flags.txt")  # XLA reads a file of flags
    xla_flags.add(on_gpu=True)
    assert os.environ["XLA_FLAGS"] == "flags.txt"


@pytest.mark.parametrize("series", SERIES)
def test_flags_of_a_series(series):
    on_cpu = xla_flags.flags(f"{series}.1", on_gpu=False)
    assert all(flag.startswith("--xla_cpu") for flag in on_cpu)
    assert bool(on_cpu) == (series == "0.10")
    on_gpu = xla_flags.flags(f"{series}.0.1", on_gpu=True)
    assert "--xla_gpu_deterministic_ops=true" in on_gpu
    assert set(on_cpu) < set(on_gpu)


@pytest.mark.parametrize("version", ["0.9.2", "0.13.0", "1.0"])
def test_unknown_series_gets_no_flag(version):
    assert xla_flags.flags(version, on_gpu=True) == ()


def test_installed_jaxlib_accepts_its_flags():
    """XLA ends the process for an unknown one, whatever its platform; so this needs no GPU."""
    flags = xla_flags.flags(importlib.metadata.version("jaxlib"), on_gpu=True)
    for more, accepted in (("", True), (" --xla_gpu_there_is_no_such_flag=true", False)):
        environment = os.environ | {"JAX_PLATFORMS": "cpu", "XLA_FLAGS": " ".join(flags) + more}
        command = [sys.executable, "-c", "import jax; jax.devices()"]
        ended = subprocess.run(command, env=environment, capture_output=True)
        assert (ended.returncode == 0) == accepted
