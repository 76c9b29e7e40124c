"""Settings made before JAX starts."""

import socket

import pytest

from modest.errors import InputError
from modest.run import runtime


def test_flags_are_added_once_and_keep_those_of_the_user(monkeypatch):
    monkeypatch.delenv("XLA_FLAGS", raising=False)
    runtime.prepare()
    runtime.prepare()
    assert runtime.os.environ["XLA_FLAGS"] == " ".join(runtime.CPU_FLAGS)
    own = "--xla_a=1 --xla_cpu_experimental_ynn_fusion_type=dot"
    monkeypatch.setenv("XLA_FLAGS", own)
    runtime.prepare()
    assert runtime.os.environ["XLA_FLAGS"] == f"{own} {runtime.CPU_FLAGS[1]}"


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
