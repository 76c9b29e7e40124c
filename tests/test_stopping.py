"""When processes stop together: what they told each other counts, not what came to one of them since."""

import signal
import subprocess
import sys

import pytest

from modest import parallel, stopping


@pytest.fixture
def shared(monkeypatch):
    """One of two processes; the value is what comes to it while they ask each other, and what the other one says."""
    happens = {"meanwhile": lambda: None, "other": 0}

    def largest(number):
        happens["meanwhile"]()
        return max(number, happens["other"])

    monkeypatch.setattr(parallel, "is_shared", lambda: True)
    monkeypatch.setattr(parallel, "largest", largest)
    return happens


def test_a_signal_that_comes_while_they_ask_waits_for_the_next_time(shared):
    with stopping.StopRequest() as stop, stop.held():
        shared["meanwhile"] = lambda: signal.raise_signal(signal.SIGTERM)
        assert not stop.agreed()  # the others were told of none, and go on
        shared["meanwhile"] = lambda: None
        assert stop.agreed()


def test_the_others_signal_stops_this_one_too(shared):
    with stopping.StopRequest() as stop, stop.held():
        assert not stop.agreed()
        shared["other"] = signal.SIGINT
        assert list(stop.before_each(0, [1, 2, 3], every=1)) == []


def test_they_ask_each_other_every_so_many_steps(shared):
    with stopping.StopRequest() as stop, stop.held():
        batches = stop.before_each(5, "abcdef", every=4)
        assert [next(batches)] == ["a"]
        shared["other"] = signal.SIGTERM
        assert list(batches) == ["b", "c"]  # steps 6 and 7; 8 is where they ask


def test_a_run_in_which_nothing_goes_on_ends_itself():
    program = """
import time
from modest.stopping import StopRequest
with StopRequest(stall_seconds=2) as stop, stop.held():
    for _ in stop.before_each(0, range(3), every=1):
        time.sleep(1)
    print("three batches", flush=True)
    time.sleep(100)
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=90)
    assert done.returncode == 1 and done.stdout == "three batches\n" and "line 8 in <module>" in done.stderr


def test_a_second_signal_ends_the_program_whatever_it_is_at():
    program = """
import signal, time
from modest.stopping import StopRequest
with StopRequest() as stop, stop.held():
    signal.raise_signal(signal.SIGTERM)
    print("noted", flush=True)
    try:
        signal.raise_signal(signal.SIGINT)
    finally:
        time.sleep(100)  # as a save that hangs
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=90)
    assert (done.returncode, done.stdout) == (130, "noted\n")
