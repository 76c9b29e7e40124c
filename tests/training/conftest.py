"""Fixtures of the tests that train."""

import os
import signal

import jax
import pytest

from modest.run import devices
from modest.training import loop


@pytest.fixture(autouse=True)
def one_device(monkeypatch):
    """Train on one device, which is quicker; `run/test_devices.py` trains on eight."""
    monkeypatch.setattr(devices, "all_devices", lambda: jax.local_devices()[:1])


@pytest.fixture
def stop_at(monkeypatch):
    """Return a function that arranges for a signal to be sent to this process.

    The signal arrives when the values of a training step are fetched; or, with step None, when
    another function is called for the first time.
    """

    def arrange(step, number=signal.SIGTERM, owner=loop, name="_fetch_finite"):
        function = getattr(owner, name)

        def stop_first(*arguments, **options):
            if step is None or arguments[1] == step:
                monkeypatch.setattr(owner, name, function)
                os.kill(os.getpid(), number)
            return function(*arguments, **options)

        monkeypatch.setattr(owner, name, stop_first)

    return arrange
