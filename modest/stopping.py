"""When the program is to end: by SIGTERM or SIGINT, or because nothing goes on any more."""

import contextlib
import faulthandler
import os
import signal
import sys

from modest import parallel
from modest.logbook import say


class StopRequest:
    """Listens for SIGTERM and SIGINT while in the `with` block.

    Where there is nothing to save the first one ends the program at once; inside `held()` it is noted in `signal`, for the loop to
    save and `leave()`. A second one ends the program at once. The exit status is 128 + the signal: 143 or 130.

    Several processes tell each other every so many steps, and stop before the same one.

    With `stall_seconds`, a program that asks for no batch for so long inside `held()`, since another process hangs or a disk does,
    is ended with status 1, and what every thread was doing is told on stderr.
    """

    def __init__(self, stall_seconds=0):
        self.signal = None
        self._stall_seconds = stall_seconds
        self._held = False

    def __enter__(self):
        self._before = {number: signal.signal(number, self._note) for number in (signal.SIGTERM, signal.SIGINT)}
        return self

    def __exit__(self, *exception):
        for number, handler in self._before.items():
            signal.signal(number, handler)

    @contextlib.contextmanager
    def held(self):
        """While in the block, a signal is noted only."""
        self._held = True
        self._lives()
        try:
            yield
        finally:
            self._held = False
            faulthandler.cancel_dump_traceback_later()

    def agreed(self):
        """Whether to stop; of several processes, whether one of them is to. Each must call it at the same place."""
        if not parallel.is_shared():
            return bool(self.signal)
        if not parallel.largest(self.signal or 0):
            return False  # whatever came since this process gave its word: the others do not know of it
        self.signal = self.signal or signal.SIGTERM
        return True

    def before_each(self, step, batches, every):
        """The batches of the steps after `step`, up to the first signal; processes ask each other `every` so many steps."""
        for number, batch in enumerate(batches, step):
            asked = number == step or number % every == 0 or not parallel.is_shared()
            if asked and self.agreed():
                return
            self._lives()
            yield batch

    def until_asked(self, items):
        """The items, up to the first signal; of several processes none leaves before the end, for the others would wait for it."""
        for item in items:
            if self.signal and not parallel.is_shared():
                return
            self._lives()
            yield item

    def leave(self):
        """Ends the program, once what there was to save is saved."""
        say(f"stopped by {signal.Signals(self.signal).name}, saved; the same command goes on from here")
        raise SystemExit(128 + self.signal)

    def _lives(self):
        """Begins to count the seconds anew."""
        if self._stall_seconds:
            faulthandler.dump_traceback_later(self._stall_seconds, exit=True, file=sys.__stderr__)

    def _note(self, number, frame):
        if self.signal:
            os._exit(128 + number)  # at once: on the way out the program would wait for a save in flight
        self.signal = number
        if not self._held:
            raise SystemExit(128 + number)
