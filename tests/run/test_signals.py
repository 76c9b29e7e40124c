"""A program ends at once, wherever a signal meets it."""

import signal
import subprocess
import sys
import time

import pytest

# Undoes what `nohup` has done to the tests, which is inherited.
RESTORE_HANGUP = "import signal; signal.signal(signal.SIGHUP, signal.SIG_DFL)"
BEGIN = """
import gc, hashlib, os, signal, sys, threading, time
from modest.run import signals
signals.exit_on_signals()
"""


def program(code, *signal_numbers, prefix=()):
    """Run a program; send the signals once it has printed a line. Return status, output, time."""
    begin = BEGIN if prefix else RESTORE_HANGUP + BEGIN
    command = [*prefix, sys.executable, "-c", begin + code]
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.STDOUT, "text": True}
    process = subprocess.Popen(command, **pipes)
    line, began = process.stdout.readline(), time.monotonic()
    for number in signal_numbers:
        process.send_signal(number)
    rest = process.communicate(timeout=60)[0]
    return process.returncode, line + rest, time.monotonic() - began


@pytest.mark.parametrize(
    ("number", "status"), [(signal.SIGTERM, 143), (signal.SIGINT, 130), (signal.SIGHUP, 129)]
)
def test_signal_ends_a_program_that_never_returns_to_python(number, status):
    code = "print('ready', flush=True); hashlib.pbkdf2_hmac('sha256', b'', b'', 2**31 - 1)"
    found, output, seconds = program(code, number)
    assert (found, output) == (status, "ready\n") and seconds < 10


def test_signal_in_a_callback_of_the_garbage_collector_is_not_lost():
    code = """
sent = []
def send(phase, info):
    if not sent:
        sent.append(os.kill(os.getpid(), signal.SIGTERM))
        sum(range(10_000))
gc.callbacks.append(send)
gc.collect()
time.sleep(60)
"""
    assert program(code)[:2] == (143, "")


def test_signal_is_recorded_before_the_next_line_and_only_inside_the_block():
    code = """
numbers = []
with signals.recorded(numbers.append):
    for _ in range(100):
        os.kill(os.getpid(), signal.SIGINT)
        assert numbers.pop() == signal.SIGINT and not numbers
print("out", flush=True)
os.kill(os.getpid(), signal.SIGTERM)
print("lost", flush=True)
"""
    assert program(code)[:2] == (143, "out\n")


def test_advice_is_printed_without_waiting_for_a_lock():
    code = "signals.advise('again'); print('ready', flush=True); time.sleep(60)"
    assert program(code, signal.SIGTERM)[:2] == (143, "ready\nagain\n")


def test_hangup_stays_ignored():
    code = """
os.kill(os.getpid(), signal.SIGHUP)
print("goes on", flush=True)
"""
    assert program(code, prefix=["nohup"])[:2] == (0, "goes on\n")


def test_handlers_of_another_program_are_restored():
    code = """
from modest.run import signals
import signal
def mine(*_): print("mine")
signal.signal(signal.SIGTERM, mine)
with signals.recorded(print):
    signal.raise_signal(signal.SIGTERM)
signal.raise_signal(signal.SIGTERM)
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert (done.returncode, done.stdout) == (0, "15\nmine\n")


def test_signal_handlers_of_asyncio_still_work_after_the_block():
    code = """
import asyncio, os, signal
from modest.run import signals
async def main():
    called = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGUSR1, called.set)
    with signals.recorded(print):
        pass
    os.kill(os.getpid(), signal.SIGUSR1)
    await asyncio.wait_for(called.wait(), 30)
    print("called")
asyncio.run(main())
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert (done.returncode, done.stdout) == (0, "called\n")
