"""The jobs of modest that `benchmarks/speed.py` measures."""

import jax
import pytest

from benchmarks.jobs import modest_jobs
from modest.models import summary


@pytest.fixture
def one_device(monkeypatch):
    monkeypatch.setattr(jax, "devices", lambda *_: jax.local_devices()[:1])


def test_operations_are_counted_where_jax_analyses_nothing(monkeypatch, one_device):
    case = "infer", "masknet", 32, 2
    counted = modest_jobs.modest_job(*case)[1]
    monkeypatch.setattr(jax.stages.Lowered, "cost_analysis", lambda self: None)
    fallback = modest_jobs.modest_job(*case)[1]
    assert fallback == 2 * summary.flops({"name": "masknet"}, 32)
    assert fallback == pytest.approx(counted, rel=0.1)  # JAX counts additions and sigmoids too


def test_several_steps_are_one_call(one_device):
    train, _ = modest_jobs.modest_job("train", "masknet", 8, 2, steps=3)
    assert [int(train()[0].step[0]) for _ in range(2)] == [3, 6]
