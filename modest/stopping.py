"""SIGTERM and SIGINT: what is done when somebody wants the program to end."""

import contextlib
import signal

from modest import parallel
from modest.logbook import say


class StopRequest:
    """Listens for SIGTERM and SIGINT while in the `with` block.

    Where there is nothing to save the first one ends the program at once; inside `held()` it is noted in `signal`, for the loop to
    save and `leave()`. A second one ends the program at once. The exit status is 128 + the signal: 143 or 130.

    Several processes tell each other every so many steps, and stop before the same one.
    """

    def __init__(self):
        self.signal = None
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
        try:
            yield
        finally:
            self._held = False

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
            yield batch

    def until_asked(self, items):
        """The items, up to the first signal; of several processes none leaves before the end, for the others would wait for it."""
        for item in items:
            if self.signal and not parallel.is_shared():
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
