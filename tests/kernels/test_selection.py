"""The choice between XLA and oneDNN."""

import pytest

from modest.errors import InputError
from modest.kernels import selection
from modest.kernels.onednn import c_api, ffi, primitives


@pytest.fixture
def chosen(monkeypatch):
    """Return a function that returns whether oneDNN is used with a value of `MODEST_KERNELS`."""

    def uses_onednn(value):
        monkeypatch.setenv(selection.VARIABLE, value)
        return selection.uses_onednn.__wrapped__()

    selection.log_fallback.cache_clear()
    return uses_onednn


@pytest.fixture
def unavailable(monkeypatch):
    def fail():
        raise c_api.Unavailable("oneDNN is not installed")

    monkeypatch.setattr(ffi, "register", fail)


def test_xla_is_used_if_it_is_chosen(chosen):
    assert not chosen("xla")


def test_missing_onednn_is_logged_once(chosen, unavailable, caplog):
    assert not chosen("auto") and not chosen("auto")
    (record,) = caplog.records
    assert "oneDNN is not installed" in record.getMessage()


def test_missing_onednn_is_refused_if_it_was_chosen(chosen, unavailable):
    with pytest.raises(InputError, match="MODEST_KERNELS=onednn: oneDNN is not installed"):
        chosen("onednn")


def test_unknown_choice_is_refused(chosen):
    with pytest.raises(InputError, match="MODEST_KERNELS=mkl: must be one of auto, xla, onednn"):
        chosen("mkl")


def test_training_backend_names_version_and_instructions(monkeypatch):
    monkeypatch.setattr(selection, "uses_onednn_within_xla", lambda: False)
    assert selection.training_backend() == "xla"
    monkeypatch.setattr(selection, "uses_onednn_within_xla", lambda: True)
    monkeypatch.setattr(c_api, "description", lambda: "3.1 avx512")
    assert selection.training_backend() == "onednn 3.1 avx512"


def test_other_devices_need_no_onednn(chosen, unavailable, monkeypatch):
    monkeypatch.setattr(selection.jax, "default_backend", lambda: "gpu")
    assert not chosen("onednn")


@pytest.mark.parametrize(
    ("choice", "has_winograd", "expected"),
    [("auto", True, True), ("auto", False, False), ("onednn", False, True), ("xla", True, False)],
)
def test_xla_calls_onednn_for_winograd_or_if_it_was_chosen(
    chosen, monkeypatch, choice, has_winograd, expected
):
    monkeypatch.setattr(ffi, "register", lambda: None)
    monkeypatch.setattr(primitives, "has_winograd", lambda: has_winograd)
    uses_onednn = chosen(choice)
    monkeypatch.setattr(selection, "uses_onednn", lambda: uses_onednn)
    assert selection.uses_onednn_within_xla.__wrapped__() == expected
