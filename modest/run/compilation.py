"""Announces what JAX compiles, and measures how long that takes."""

import contextlib
import functools
from collections.abc import Iterator
from typing import Any

import jax

from modest.run.logbook import say

EVENTS = "/jax/core/compile/"  # JAX's names of the durations of tracing, lowering and compiling


class Compilation:
    """Announces each program once, and adds up the seconds that JAX needed for them."""

    def __init__(self) -> None:
        self._announced: set[tuple[str, int]] = set()
        self._seconds = 0.0

    @contextlib.contextmanager
    def of(self, program: str, size: int) -> Iterator[None]:
        """Run a block that compiles a program if it has not run before.

        Args:
          program: what the program does, such as `the training step`.
          size: the picture size in px that it is compiled for.
        """
        if (program, size) in self._announced:
            yield
            return
        self._announced.add((program, size))
        say(f"compiling {program} for {size} px")
        before = _seconds().total
        yield
        seconds = _seconds().total - before
        self._seconds += seconds
        say(f"compiled {program} for {size} px in {seconds:.1f} s")

    def reset(self) -> dict[str, float]:
        """Return `{"compile_seconds"}` since the last call, or nothing if there were none."""
        seconds, self._seconds = self._seconds, 0.0
        return {"compile_seconds": round(seconds, 3)} if seconds else {}


class _Seconds:
    """The sum of the durations that JAX has reported in this process."""

    total = 0.0

    def add(self, event: str, duration: float, **_: Any) -> None:
        """Add a duration, if it is one of a compilation."""
        if event.startswith(EVENTS):
            self.total += duration


@functools.cache
def _seconds():
    seconds = _Seconds()
    jax.monitoring.register_event_duration_secs_listener(seconds.add)
    return seconds
