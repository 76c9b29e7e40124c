"""Stop a run after a signal, once it is saved; and a watchdog that ends a run that stalls."""

import concurrent.futures
import contextlib
import faulthandler
import signal
import sys
from collections.abc import Callable, Iterable, Iterator
from typing import NoReturn, TypeVar

from modest.run import devices, signals
from modest.run.logbook import say

T = TypeVar("T")

POLL_SECONDS = 0.05


class StopRequest:
    """Records a signal inside `deferred()`, so that the run can be saved before it ends.

    The first signal is recorded in the attribute `signal`; then the training loop saves and calls
    `exit()`. A second one ends the program at once. Outside of `deferred()` there is nothing to
    save: see `signals.exit_on_signals`.

    The processes of a distributed run compare their signals every few steps, and stop before the
    same step.

    With `stall_seconds`, the watchdog prints the stack of every thread and ends the program with
    status 1 if `deferred()` code requests no batch for that long.

    Attributes:
      signal: the number of the first signal, or None.
      has_progress: whether there is something to save. While there is not, the first signal ends a
        program at once. Set it to True after a step.
    """

    def __init__(self, stall_seconds: int = 0) -> None:
        self.signal: int | None = None
        self.has_progress = False
        self._stall_seconds = stall_seconds

    @contextlib.contextmanager
    def deferred(self) -> Iterator[None]:
        """Inside the block, record the first signal instead of ending the program."""
        self.has_progress |= devices.is_distributed()  # the processes must stop together
        self._reset_watchdog()
        with signals.recorded(self._record):
            try:
                yield
            finally:
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

    def unless_signalled(self, function: Callable[[], T]) -> T | None:
        """Return `function()`, or None as soon as a signal arrives, also while XLA compiles.

        The function is called in a thread, where it goes on after a signal. It must not change
        anything that is saved. In a distributed run it is always waited for.
        """
        if devices.is_distributed():
            return function()
        thread = concurrent.futures.ThreadPoolExecutor(1)
        running = thread.submit(function)
        thread.shutdown(wait=False)
        while not self.signal:
            if concurrent.futures.wait([running], timeout=POLL_SECONDS).done:
                return running.result()
        return None

    def exit(self) -> NoReturn:
        """Raise `SystemExit` with status 128 + the signal, after everything has been saved."""
        number = self.signal or signal.SIGTERM
        name = signal.Signals(number).name
        say(f"stopped by {name}, saved; run the same command again to resume")
        raise SystemExit(128 + number)

    def _reset_watchdog(self):
        if self._stall_seconds:
            faulthandler.dump_traceback_later(self._stall_seconds, exit=True, file=sys.__stderr__)

    def _record(self, number):
        # A closed output is no request to be quick: a run then does one step, and saves it.
        can_wait = self.has_progress or signals.is_library() or number == signal.SIGPIPE
        if self.signal or not can_wait:
            signals.end(number)  # at once: a normal exit would wait for a save in flight
        self.signal = number
