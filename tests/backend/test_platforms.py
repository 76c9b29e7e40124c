"""The platform that JAX will use, found out without starting it."""

import os
import subprocess
import sys

import pytest

from modest.backend import platforms
from repository import ROOT


@pytest.fixture
def machine(monkeypatch, tmp_path):
    """Return a function that makes this machine one with or without a plugin and a driver."""

    def make(plugin=True, driver=True, **environment):
        # Packages and files that exist here stand for those of CUDA.
        monkeypatch.setattr(platforms, "PLUGINS", ("no-such-package", "jax" if plugin else "no"))
        (tmp_path / "nvidiactl").touch()
        files = (str(tmp_path / "missing"), str(tmp_path / ("nvidiactl" if driver else "missing")))
        monkeypatch.setattr(platforms, "DRIVER_FILES", files)
        for name in ("JAX_PLATFORMS", "CUDA_VISIBLE_DEVICES"):
            monkeypatch.delenv(name, raising=False)
        for name, value in environment.items():
            monkeypatch.setenv(name, value)

    return make


@pytest.mark.parametrize(
    ("situation", "expected"),
    [
        ({}, True),
        ({"plugin": False}, False),
        ({"driver": False}, False),
        ({"JAX_PLATFORMS": "cpu"}, False),
        ({"JAX_PLATFORMS": "tpu,cuda"}, False),
        ({"JAX_PLATFORMS": "cuda,cpu"}, True),
        ({"JAX_PLATFORMS": "gpu", "driver": False}, False),
        ({"CUDA_VISIBLE_DEVICES": ""}, False),
        ({"CUDA_VISIBLE_DEVICES": "-1"}, False),
        ({"CUDA_VISIBLE_DEVICES": "3,1"}, True),
    ],
)
def test_gpu_is_expected(machine, situation, expected):
    machine(**situation)
    assert platforms.expects_gpu() is expected


@pytest.mark.parametrize(
    ("visible", "expected"), [("3", True), ("GPU-8932f937", True), ("0,1", False), ("-1", False)]
)
def test_one_gpu_is_seen(machine, visible, expected):
    machine(CUDA_VISIBLE_DEVICES=visible)
    assert platforms.sees_one_gpu() is expected
    machine()
    assert not platforms.sees_one_gpu()


def test_gpu_that_does_not_start_is_an_error():
    """JAX alone would warn, and compute on the CPU."""
    code = """
from modest.backend import platforms
from modest.errors import InputError
from modest.run import runtime

platforms._plugin_is_installed = platforms._driver_is_loaded = lambda: True
{first}
runtime.prepare()
try:
    runtime.check_platforms()
except InputError as error:
    print("refused:", error)
import jax
print(jax.config.jax_platforms)
"""
    environment = os.environ | {"XLA_FLAGS": "--xla_force_host_platform_device_count=1"}
    environment |= {"CUDA_VISIBLE_DEVICES": "0"}
    for first, asked, words in (
        ("", "", ["refused:", "cuda,cpu"]),
        ("import jax", "", ["refused:", "cuda,cpu"]),
        ("", "cpu", ["cpu"]),
    ):
        command = [sys.executable, "-c", code.format(first=first)]
        given = environment | {"JAX_PLATFORMS": asked}
        ended = subprocess.run(command, env=given, capture_output=True, text=True)
        assert not ended.returncode, ended.stderr
        assert [line.split()[0] for line in ended.stdout.splitlines()] == words


def test_settings_are_chosen_without_importing_jax():
    code = """
import sys
from modest.backend import compilation_cache, platforms, xla_flags
on_gpu = platforms.expects_gpu()
xla_flags.add(on_gpu)
compilation_cache.turn_on(on_gpu)
sys.exit("jax" in sys.modules)
"""
    assert subprocess.run([sys.executable, "-c", code], cwd=ROOT).returncode == 0
