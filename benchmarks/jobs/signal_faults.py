"""Signals at random moments of every command."""

import argparse
import collections
import os
import pathlib
import random
import shutil
import signal
import subprocess
import sys
import time
from typing import NamedTuple

from benchmarks import ROOT
from benchmarks.jobs import processes
from benchmarks.jobs.training_runs import LAUNCH

MODEST = [sys.executable, "-m", "modest"]
COMPOSE = "compose --depth=scene --rooms=6 --people=6 --places=1 --workers=2".split()
CONFIG = "--config=configs/masknet.py --config.batch_size=8 --config.eval.batch_size=8".split()
TRAIN = ["--config.stages=((32,24),(64,8))", "--config.data.source=records"]
SIGNALS = (signal.SIGTERM, signal.SIGINT)
AT_ONCE_SECONDS = 2  # limit for a program that has nothing to save
SAVED_SECONDS = 10  # limit for a run that does: the step or the compilation, and the save
EXIT_SECONDS = 0.5  # a command that is done may need as long to give its memory back
EARLIEST = 0.15  # s; before, Python itself is starting and ends by the signal as it likes


class Command(NamedTuple):
    """A command to disturb.

    Attributes:
      arguments: the command.
      made: what it makes, removed before every second try, or before each.
      resumes: whether every second try goes on with what is there.
    """

    arguments: list[str]
    made: pathlib.Path | None = None
    resumes: bool = False


def signals(arguments: argparse.Namespace, work: pathlib.Path, rng: random.Random) -> None:
    """Send one SIGTERM or SIGINT to every command, at moments spread over its whole duration.

    Every second SIGINT goes to the whole process group, as Ctrl-C does in a terminal.

    Args:
      arguments: see `faults.py`.
      work: empty directory.
      rng: draws the moments.

    Raises:
      RuntimeError: a command did not end with 143 or 130 in time, said more than one line, or left
        a process behind.
    """
    commands = _commands(work)
    seconds = {name: _undisturbed(command) for name, command in commands.items()}
    seen: collections.Counter[str] = collections.Counter()
    slowest, slowest_save, unclean, ended = 0.0, 0.0, [], 0
    for number in range(arguments.signals):
        name = list(commands)[number % len(commands)]
        command, turn = commands[name], number // len(commands)
        what = None
        while what is None:  # again if the command ended before the signal, or as it came
            if command.made and not (command.resumes and turn % 2):
                shutil.rmtree(command.made, ignore_errors=True)
            moment = rng.uniform(EARLIEST, max(seconds[name], 2 * EARLIEST))
            what = _disturb(command, moment, SIGNALS[turn % 2], to_group=turn % 4 == 3)
            if what is not None and what[0] == 0 and what[1] < EXIT_SECONDS:
                what, ended = None, ended + 1
        status, took, error, left = what
        saved = "saved; run the same command again" in error
        slowest, slowest_save = (
            (slowest, max(slowest_save, took)) if saved else (max(slowest, took), slowest_save)
        )
        limit = SAVED_SECONDS if saved else AT_ONCE_SECONDS
        expected = 128 + SIGNALS[turn % 2]
        if status != expected or took > limit or error.count("\n") > 1 + saved or left:
            unclean.append(f"{name} after {moment:.2f} s: {status} in {took:.1f} s {error} {left}")
            print(f"signals: {unclean[-1]}", flush=True)
        seen[name] += 1
    print(
        f"signals: {arguments.signals - len(unclean)} of {arguments.signals} clean "
        f"({', '.join(f'{name} {count}' for name, count in seen.items())}); the slowest end took "
        f"{slowest:.2f} s, and {slowest_save:.2f} s with a save; {ended} more signals came within "
        f"{EXIT_SECONDS} s of the end, with status 0",
        flush=True,
    )
    if unclean:
        raise RuntimeError(f"signals: {len(unclean)} were not clean")


def _commands(work: pathlib.Path) -> dict[str, Command]:
    """Make what the commands need, and return them."""
    data, run, prepared = work / "set", work / "run", work / "prepared"
    folder = [
        *CONFIG,
        "--config.data.name=folder",
        f"--config.data.dir={data}",
        f"--config.data.prepared_dir={prepared}",
    ]
    _check(subprocess.run([*MODEST, *COMPOSE, f"--out={data}"], **_options()))
    train = [*LAUNCH, *folder, *TRAIN]
    _check(subprocess.run([*train, f"--workdir={run}"], **_options()))
    composites = sorted((data / "bg_fg").iterdir())
    bg = next((data / "bg").glob(f"{composites[0].name.partition('_')[0]}.*"))
    pair = [f"--bg={bg}", f"--bg_fg={composites[0]}", "--on_mismatch=continue"]
    directory = [f"--bg={bg}", f"--bg_fg={data / 'bg_fg'}", "--on_mismatch=continue"]
    predict = [*MODEST, "predict", f"--workdir={run}", f"--out={work / 'out'}"]
    prepare = [*MODEST, "prepare", "--name=folder", f"--dir={data}"]
    made, prepared = work / "made", work / "prepared_again"
    return {
        "train": Command([*train, f"--workdir={made}"], made, resumes=True),
        "train, finished before": Command([*train, f"--workdir={run}"]),
        "eval": Command([*LAUNCH, "--mode=eval", *folder, f"--workdir={run}"]),
        "predict": Command([*predict, *pair]),
        "predict, directory": Command([*predict, *directory]),
        "compose": Command([*MODEST, *COMPOSE, f"--out={made}"], made, resumes=True),
        "prepare": Command([*prepare, f"--prepared_dir={prepared}"], prepared, resumes=True),
    }


def _options():
    return {"cwd": ROOT, "stdout": subprocess.PIPE, "stderr": subprocess.STDOUT, "text": True}


def _undisturbed(command):
    """Run a command and return its duration."""
    if command.made:
        shutil.rmtree(command.made, ignore_errors=True)
    began = time.monotonic()
    _check(subprocess.run(command.arguments, **_options()))
    return time.monotonic() - began


def _check(done):
    if done.returncode:
        raise RuntimeError(f"{done.args}: {done.stdout}")


def _disturb(command, moment, number, to_group):
    """Run a command and send it a signal. Return None if it ended before.

    Otherwise return its status, the seconds until its end, the error lines, and the processes that
    it left behind.
    """
    run = subprocess.Popen(command.arguments, **_options(), start_new_session=True)
    try:
        run.communicate(timeout=moment)
        return None
    except subprocess.TimeoutExpired:
        began = time.monotonic()
    if to_group:
        os.killpg(run.pid, number)
    else:
        run.send_signal(number)
    try:
        output = run.communicate(timeout=60)[0]
    except subprocess.TimeoutExpired:
        run.kill()
        return "hangs", time.monotonic() - began, run.communicate()[0], []
    took = time.monotonic() - began
    time.sleep(0.2)
    says = [line for line in output.splitlines() if "stopped" in line or "Traceback" in line]
    says += [output] * ("Traceback" in output or "Error" in output)
    return run.returncode, took, "\n".join(says), processes.in_session(run.pid)
