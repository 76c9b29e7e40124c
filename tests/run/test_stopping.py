"""Graceful shutdown: processes stop together, and only for signals that all have heard of."""

import re
import signal
import subprocess
import sys
import threading
import time

import pytest

from modest.run import devices, stopping


@pytest.fixture
def peers(monkeypatch):
    """Simulate a run of two processes.

    `peers["during_gather"]` is called while the processes exchange their signals;
    `peers["signal"]` is the signal of the other process.
    """
    peers = {"during_gather": lambda: None, "signal": 0}

    def gather(number):
        peers["during_gather"]()
        return max(number, peers["signal"])

    monkeypatch.setattr(devices, "is_distributed", lambda: True)
    monkeypatch.setattr(devices, "max_over_processes", gather)
    return peers


def test_signal_during_the_gather_counts_at_the_next_one(peers):
    stop = stopping.StopRequest()
    with stop.deferred():
        peers["during_gather"] = lambda: signal.raise_signal(signal.SIGTERM)
        assert not stop.agreed()  # the other process has seen no signal, and continues
        peers["during_gather"] = lambda: None
        assert stop.agreed()


def test_signal_of_the_peer_stops_this_process_too(peers):
    stop = stopping.StopRequest()
    with stop.deferred():
        assert not stop.agreed()
        peers["signal"] = signal.SIGINT
        assert list(stop.until_agreed(0, [1, 2, 3], every=1)) == []


def test_processes_compare_every_few_steps(peers):
    stop = stopping.StopRequest()
    with stop.deferred():
        batches = stop.until_agreed(5, "abcdef", every=4)
        assert [next(batches)] == ["a"]
        peers["signal"] = signal.SIGTERM
        assert list(batches) == ["b", "c"]  # steps 6 and 7; they compare at step 8


def test_watchdog_ends_a_stalled_run():
    program = """
import time
from modest.run.stopping import StopRequest
stop = StopRequest(stall_seconds=2)
with stop.deferred():
    for _ in stop.until_agreed(0, range(6), every=1):
        time.sleep(0.5)  # 3 s together
    print("six batches", flush=True)
    time.sleep(100)
"""
    command = [sys.executable, "-c", program]
    done = subprocess.run(command, capture_output=True, text=True, timeout=90)
    assert done.returncode == 1 and done.stdout == "six batches\n"
    assert re.search(r"line 9\b", done.stderr)  # of the program


def test_second_signal_ends_the_program_at_once():
    program = """
import signal, time
from modest.run.stopping import StopRequest
stop = StopRequest()
with stop.deferred():
    signal.raise_signal(signal.SIGTERM)
    print("recorded", flush=True)
    try:
        signal.raise_signal(signal.SIGINT)
    finally:
        time.sleep(100)  # as a save that hangs
"""
    command = [sys.executable, "-c", program]
    done = subprocess.run(command, capture_output=True, text=True, timeout=90)
    assert (done.returncode, done.stdout) == (130, "recorded\n")


def test_signal_interrupts_what_only_computes():
    stop = stopping.StopRequest()
    with stop.deferred():
        assert stop.unless_signalled(lambda: "done") == "done"
        began = time.monotonic()
        threading.Timer(0.2, signal.raise_signal, [signal.SIGTERM]).start()
        ended = threading.Event()
        assert stop.unless_signalled(lambda: ended.wait(30)) is None  # as XLA compiles
        assert time.monotonic() - began < 20
        ended.set()


@pytest.mark.parametrize(("progress", "output"), [(True, "recorded\n"), (False, "")])
def test_program_ends_at_once_while_there_is_nothing_to_save(progress, output):
    program = f"""
import signal
from modest.run import signals
from modest.run.stopping import StopRequest
signals.exit_on_signals()
stop = StopRequest()
with stop.deferred():
    stop.has_progress = {progress}
    signal.raise_signal(signal.SIGTERM)
    print("recorded", flush=True)
stop.exit()
"""
    command = [sys.executable, "-c", program]
    done = subprocess.run(command, capture_output=True, text=True, timeout=90)
    assert done.returncode == 143 and done.stdout.startswith(output)
