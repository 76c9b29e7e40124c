"""What SIGTERM, SIGINT, SIGHUP and a closed output do to this process.

A signal handler of Python runs only between two bytecodes of the main thread, not while XLA
compiles. And an exception that it raises is lost if the main thread is in a callback of the garbage
collector at that moment; JAX has one. So nothing here raises an exception. Python's C code writes
the number of each signal into a pipe at once, and a thread reads it there.
"""

import contextlib
import os
import select
import signal
import threading
from collections.abc import Callable, Iterator
from types import FrameType
from typing import NoReturn

NUMBERS = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)
# Exit statuses of a program that one of them, or a closed output, has stopped.
STOPPED = tuple(128 + number for number in (*NUMBERS, signal.SIGPIPE))


class _Signals:
    """The state of this process."""

    def __init__(self) -> None:
        self.lock = threading.RLock()  # a handler may interrupt another one
        self.pipe: int | None = None  # where the numbers of signals are read
        self.writing = -1  # where Python writes them
        self.is_installed = False
        self.record: Callable[[int], None] | None = None
        self.advice = b""


_signals = _Signals()


def exit_on_signals() -> None:
    """End the program at once on a signal, with status 128 + its number, except in `recorded()`.

    Nothing is cleaned up, as if the process were killed, so this is for programs and not for
    libraries. What other programs read must be written under another name and renamed. A SIGHUP
    that the parent process ignores (`nohup`) stays ignored.
    """
    _install()
    _signals.is_installed = True


def is_library() -> bool:
    """Return whether `exit_on_signals` was not called: another program calls this package."""
    return not _signals.is_installed


def advise(text: str) -> None:
    """Print a line on stderr when a signal ends the program at once. An empty text prints none."""
    _signals.advice = f"{text}\n".encode() if text else b""


@contextlib.contextmanager
def recorded(record: Callable[[int], None]) -> Iterator[None]:
    """Inside the block, call `record(number)` for each signal instead of ending the program.

    It is called in the main thread between two bytecodes, or sooner in another thread.
    """
    if _signals.is_installed:
        before, wakeup = {}, -1
    else:
        before, wakeup = _install()
    outer, _signals.record = _signals.record, record
    try:
        yield
    finally:
        _signals.record = outer
        for number, handler in before.items():
            signal.signal(number, handler)
        if not _signals.is_installed:
            signal.set_wakeup_fd(wakeup)


def received(number: int) -> None:
    """Act on a signal. Call it with SIGPIPE when nobody reads the output any longer."""
    with _signals.lock:
        if _signals.record:
            _signals.record(number)
        elif _signals.is_installed:
            end(number)


def end(number: int) -> NoReturn:
    """End the program at once, with status 128 + `number`."""
    with contextlib.suppress(OSError):
        if _signals.advice and select.select([], [2], [], 0)[1]:  # does not wait for a full pipe
            os.write(2, _signals.advice)
    os._exit(128 + number)


def _install():
    """Handle the signals from now on; return their handlers and the wakeup descriptor until now."""
    if _signals.pipe is None:
        _signals.pipe, _signals.writing = os.pipe()
        os.set_blocking(_signals.pipe, False)
        os.set_blocking(_signals.writing, False)
        threading.Thread(target=_watch, name="signals", daemon=True).start()
    wakeup = signal.set_wakeup_fd(_signals.writing, warn_on_full_buffer=False)
    ignored = signal.getsignal(signal.SIGHUP) == signal.SIG_IGN
    numbers = [number for number in NUMBERS if not (ignored and number == signal.SIGHUP)]
    return {number: signal.signal(number, _handle) for number in numbers}, wakeup


def _watch():
    while True:
        select.select([_signals.pipe], [], [])
        _read()


def _handle(number: int, frame: FrameType | None) -> None:
    _read()  # here, too, so that a signal has been recorded when the next line is executed


def _read():
    """Act on the signals in the pipe. Each byte is read, and acted on, once."""
    with _signals.lock:
        try:
            numbers = os.read(_signals.pipe, 64)
        except BlockingIOError:
            return
        for number in numbers:
            if number in NUMBERS:
                received(number)
