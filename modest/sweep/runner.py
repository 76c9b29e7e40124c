"""Run the runs of a sweep one after another, each in a process of its own."""

import pathlib
import signal
import subprocess
import sys
import time
from collections.abc import Sequence

from modest.run import files, signals, workdirs
from modest.run.logbook import say
from modest.sweep import report, results
from modest.sweep.plan import Run


def run_sweep(workdir: pathlib.Path, runs: Sequence[Run]) -> int:
    """Run everything that is not finished, write the table, and return the exit status.

    Raises:
      InputError: another process runs this sweep, or a directory belongs to another run.
    """
    with files.lock(workdir / workdirs.LOCK, "running a sweep in"):
        for run in runs:
            if run.workdir.exists():
                workdirs.check(run.settings, run.workdir)
        failed, status = _run_all(runs)
        if status is not None:
            return status
        report.write(workdir, runs, failed)
    return 1 if failed else 0


def _run_all(runs):
    """Run what is not finished.

    Returns:
      failed: `{name: exit status}` of the runs that failed.
      status: the exit status if the sweep must end now, or None.
    """
    failed, is_first = {}, True
    received: list[int] = []
    with signals.recorded(received.append):
        for number, run in enumerate(runs, 1):
            name = run.workdir.name
            finished = results.is_finished(run.settings, run.workdir)
            say(f"[{number}/{len(runs)}] {name}" + (": finished before" if finished else ""))
            status = 0 if finished or received else _run_process(run.command, received)
            if received or status in signals.STOPPED:
                return failed, 128 + received[0] if received else status
            if status:
                failed[name] = status
                print(f"error: {name}: exited with status {status}", file=sys.stderr, flush=True)
                if status == 2 and is_first:
                    return failed, status
            is_first = is_first and finished
    return failed, None


def _run_process(command, received):
    """Run a command and return its exit status; pass each received signal on to it once.

    The command gets a process group of its own. Otherwise it would get Ctrl-C twice, from the
    terminal and from here, and a second signal ends a run without saving.
    """
    process = subprocess.Popen(command, stdin=subprocess.DEVNULL, process_group=0)
    passed_on = 0
    while process.poll() is None:
        for number in received[passed_on:]:
            # A run does not notice that the output of the sweep is closed until it writes there.
            process.send_signal(signal.SIGTERM if number == signal.SIGPIPE else number)
            passed_on += 1
        time.sleep(0.05)
    return process.returncode
