"""Commands with a time limit, within the time that is left for all of them."""

import contextlib
import os
import pathlib
import select
import signal
import subprocess
import sys
import time
from collections.abc import Sequence

from benchmarks import ROOT
from benchmarks.jobs import processes

LEAST_SECONDS = 15  # a command is left out if less time is left
LOG_LINES = 3  # of a failed command, which the report shows


class LeftOut(Exception):
    """There is no time left for the command."""


class Failed(Exception):
    """The command failed, or was ended at its limit; the message is the end of its output."""


class Jobs:
    """Runs commands in the clone, one after another, until the time is over.

    Attributes:
      out: directory for the files of the commands; `log.txt` in it has their output.
      last_output: what the last command printed, also if it failed.
    """

    def __init__(self, out: pathlib.Path, minutes: float) -> None:
        self.out, self.last_output = out, ""
        self._end = time.monotonic() + 60 * minutes

    def seconds_left(self) -> float:
        """Return the seconds that are left for all commands."""
        return self._end - time.monotonic()

    def run(self, command: Sequence[str], limit: float, **environment: str) -> str:
        """Run `python COMMAND`.

        Args:
          command: arguments of Python.
          limit: its limit in seconds, unless less time is left.
          environment: environment variables to add.

        Returns:
          What it printed.

        Raises:
          LeftOut: too little time is left.
          Failed: it ended with another status than 0, or reached its limit. All its processes have
            ended.
        """
        if self.seconds_left() < LEAST_SECONDS:
            raise LeftOut
        limit = min(limit, self.seconds_left())
        process = subprocess.Popen(
            [sys.executable, *command],
            cwd=ROOT,
            env=os.environ | environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
        )
        try:
            output, _ = process.communicate(timeout=limit)
            reason = f"status {process.returncode}"
        except subprocess.TimeoutExpired:
            end([process.pid, *processes.below(process.pid)])
            output, _ = process.communicate()
            reason = f"ended at its limit of {limit:.0f} s"
        with (self.out / "log.txt").open("ab") as log:
            log.write(f"\n$ python {' '.join(command)}\n".encode() + output)
        self.last_output = output.decode(errors="replace")
        if process.returncode:
            lines = [line.strip() for line in self.last_output.splitlines() if line.strip()]
            raise Failed(" | ".join([reason, *lines[-LOG_LINES:]]))
        return self.last_output


def end(ids: Sequence[int]) -> None:
    """Kill the processes with these ids, and wait until they have ended."""
    with contextlib.ExitStack() as stack:
        killed = []
        for process in ids:
            with contextlib.suppress(ProcessLookupError):  # it has ended
                killed.append(os.pidfd_open(process))
                stack.callback(os.close, killed[-1])
        for each in killed:
            with contextlib.suppress(ProcessLookupError):
                signal.pidfd_send_signal(each, signal.SIGKILL)
        for each in killed:
            select.select([each], [], [])  # readable when its process has ended
