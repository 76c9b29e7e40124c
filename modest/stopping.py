"""SIGTERM and SIGINT: what is done when somebody wants the program to end."""

import contextlib
import os
import signal

from modest import parallel
from modest.logbook import say


class StopRequest:
    """Listens for SIGTERM and SIGINT while in the `with` block.

    Where there is nothing to save the first one ends the program at once; inside `held()` it is noted in `signal`, for the loop to
    save and `leave()`. A second one ends the program at once. The exit status is 128 + the signal: 143 or 130.

    Of several processes each is told of a SIGTERM that one of them got, and all stop before the same step: JAX's preemption
    service listens and finds the step. (A SIGINT is passed on to it as a SIGTERM.)
    """

    def __init__(self):
        self.signal = None
        self._held = False
        self._passed_on = None

    def __enter__(self):
        handlers = {signal.SIGTERM: self._note, signal.SIGINT: self._note}
        if parallel.is_shared():
            handlers = {signal.SIGINT: self._pass_on}
        self._before = {number: signal.signal(number, handler) for number, handler in handlers.items()}
        return self

    def __exit__(self, *exception):
        for number, handler in self._before.items():
            signal.signal(number, handler)

    @contextlib.contextmanager
    def held(self):
        """While in the block, a signal is noted only."""
        self._held = True
        try:
            yield
        finally:
            self._held = False

    def before_each(self, step, batches):
        """The batches of the steps after `step`, up to the first signal."""
        for number, batch in enumerate(batches, step):
            if parallel.is_shared() and parallel.asked_to_stop(number):
                self.signal = self._passed_on or signal.SIGTERM
            if self.signal:
                return
            yield batch

    def until_asked(self, items):
        """The items, up to the first signal. (Of several processes none may leave a reduction alone: they see to the end of it.)"""
        for item in items:
            if self.signal:
                return
            yield item

    def leave(self):
        """Ends the program, once what there was to save is saved."""
        say(f"stopped by {signal.Signals(self.signal).name}, saved; the same command goes on from here")
        raise SystemExit(128 + self.signal)

    def _note(self, number, frame):
        if self.signal or not self._held:
            raise SystemExit(128 + number)
        self.signal = number

    def _pass_on(self, number, frame):
        self._passed_on = number
        os.kill(os.getpid(), signal.SIGTERM)
