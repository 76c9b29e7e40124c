"""Settings made before JAX starts: the user's own flags stand."""

from modest import runtime


def test_the_flag_is_added_once_and_the_users_own_stands(monkeypatch):
    monkeypatch.delenv("XLA_FLAGS", raising=False)
    runtime.prepare()
    runtime.prepare()
    assert runtime.os.environ["XLA_FLAGS"] == runtime.CPU_FLAGS
    own = "--xla_a=1 --xla_cpu_experimental_ynn_fusion_type=dot"
    monkeypatch.setenv("XLA_FLAGS", own)
    runtime.prepare()
    assert runtime.os.environ["XLA_FLAGS"] == own
