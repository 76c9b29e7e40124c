"""Settings made before JAX starts."""

import socket

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
    assert "--xla_cpu_use_fusion_emitters=false" in runtime.cpu_flags("0.10.2")
    assert runtime.cpu_flags("0.11.0") == runtime.cpu_flags("1.0") == ()


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
