"""Graceful shutdown on SIGTERM and SIGINT, and a watchdog that ends a run that stalls."""

import contextlib
import faulthandler
import os
import signal
import sys
from collections.abc import Iterable, Iterator
from types import FrameType
from typing import NoReturn, Self, TypeVar

from modest.run import devices
from modest.run.logbook import say

T = TypeVar("T")


class StopRequest:
    """Records SIGTERM and SIGINT inside its `with` block. The exit status is 128 + the signal.

    Outside of `deferred()` there is nothing to save, and the first signal ends the program at once.
    Inside, the first signal is only recorded, in the attribute `signal`; then the training loop
    saves and calls `exit()`. A second signal always ends the program at once.

    The processes of a distributed run compare their signals every few steps, and stop before the
    same step.

    With `stall_seconds`, the watchdog prints the stack of every thread and ends the program with
    status 1 if `deferred()` code requests no batch for that long.
    """

    def __init__(self, stall_seconds: int = 0) -> None:
        self.signal: int | None = None
        self._stall_seconds = stall_seconds
        self._is_deferred = False

    def __enter__(self) -> Self:
        numbers = (signal.SIGTERM, signal.SIGINT)
        self._before = {number: signal.signal(number, self._receive) for number in numbers}
        return self

    def __exit__(self, *exception: object) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)

    @contextlib.contextmanager
    def deferred(self) -> Iterator[None]:
        """Inside the block, record the first signal instead of ending the program."""
        self._is_deferred = True
        self._reset_watchdog()
        try:
            yield
        finally:
            self._is_deferred = False
            faulthandler.cancel_dump_traceback_later()

    def agreed(self) -> bool:
        """Return whether to stop: this process, or any process of a distributed run, has a signal.

        Every process must call it at the same point.
        """
        if not devices.is_distributed():
            return bool(self.signal)
        if not devices.max_over_processes(self.signal or 0):
            return False  # even if a signal has just arrived: the other processes have not seen it
        self.signal = self.signal or signal.SIGTERM
        return True

    def until_agreed(self, step: int, batches: Iterable[T], every: int) -> Iterator[T]:
        """Yield the batches of the steps after `step`, until the processes agree to stop.

        A distributed run compares signals before the first batch and then every `every` steps.
        """
        for number, batch in enumerate(batches, step):
            compares = number == step or number % every == 0 or not devices.is_distributed()
            if compares and self.agreed():
                return
            self._reset_watchdog()
            yield batch

    def until_signalled(self, items: Iterable[T]) -> Iterator[T]:
        """Yield the items until a signal arrives.

        In a distributed run it yields all items; otherwise the other processes would wait for ever.
        """
        for item in items:
            if self.signal and not devices.is_distributed():
                return
            self._reset_watchdog()
            yield item

    def exit(self) -> NoReturn:
        """End the program after everything has been saved."""
        number = self.signal or signal.SIGTERM
        name = signal.Signals(number).name
        say(f"stopped by {name}, saved; run the same command again to resume")
        raise SystemExit(128 + number)

    def _reset_watchdog(self):
        if self._stall_seconds:
            faulthandler.dump_traceback_later(self._stall_seconds, exit=True, file=sys.__stderr__)

    def _receive(self, number: int, frame: FrameType | None) -> None:
        if self.signal:
            os._exit(128 + number)  # at once: a normal exit would wait for a save in flight
        self.signal = number
        if not self._is_deferred:
            raise SystemExit(128 + number)
