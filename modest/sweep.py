"""Several runs of one config that differ in a few values, one after another, and a table of what came of them.

    python -m modest.sweep --config configs/depthnet.py --vary loss=bce_rmse,ssim_rmse --vary seed=0,1,2 -- --config.batch_size=8

trains every combination by `launch.py`, each in a directory of its own (`runs/sweep_depthnet/loss=bce_rmse,seed=0`, ...). Into
`runs/sweep_depthnet` it writes mean and spread over the seeds, `sweep.json` and `sweep.md`, and validation by epoch,
`figures/sweep.png`.

`--vary KEY=V1,V2,...` takes what `--config.KEY=VALUE` takes; a comma within brackets or quotes is part of its value. Two keys are
different: `loss` takes rows of `configs/experiments/losses.py`, whatever the config; `config` takes config files, in place of
`--config`. What stands after `--` is common to all runs.

All combinations are checked before the first run. The same command again goes on: a run that is done is not run again, one that was
stopped is resumed. `--list` prints the commands instead, for a scheduler.

Exit status: 0 all done; 1 a run failed, and the others went on; 2 bad input, told of before anything runs or by the first run; 143
or 130 after SIGTERM or SIGINT, once the run has saved.
"""

import argparse
import contextlib
import hashlib
import itertools
import pathlib
import re
import shlex
import signal
import subprocess
import sys
import time
from typing import NamedTuple

from absl import flags
from ml_collections import config_flags

from modest import config as configs
from modest import files, workdirs
from modest.logbook import say
from modest.sweep_report import results_of, write
from modest.vocabulary import InputError

LAUNCH = pathlib.Path(__file__).parents[1] / "launch.py"
SIGNALS = (signal.SIGTERM, signal.SIGINT)
STOPPED = tuple(128 + number for number in SIGNALS)


class Run(NamedTuple):
    """One combination of the values."""

    values: dict  # of what varies, {key: text}
    config: str  # the config file, with its variant
    overrides: list  # for launch.py, those common to all first
    workdir: pathlib.Path

    @property
    def setting(self):
        """What a row of the table is: the values but for the seed."""
        return tuple(value for key, value in self.values.items() if key != "seed")

    @property
    def command(self):
        return [sys.executable, str(LAUNCH), f"--config={self.config}", f"--workdir={self.workdir}", *self.overrides]


def plan(config, vary, common, workdir):
    """The runs: the product of all values, those of the last key changing fastest.

    Args:
      config: the config file; None where the key `config` varies.
      vary: texts `key=value,value,...`; a comma within brackets or quotes is part of its value.
      common: `--config.key=value`, for every run.
      workdir: the sweep's.

    Raises:
      InputError: one of them cannot be read, or a key or a value is there twice.
    """
    varied = {}
    for text in vary:
        key, equals, values = text.partition("=")
        if not (equals and re.fullmatch(r"[\w.]+", key)):
            raise InputError(f"--vary {text}: must be key=value,value,...")
        values = split(values)
        if key in varied or len(set(values)) < len(values):
            raise InputError(f"--vary {text}: the key or a value is there twice")
        varied[key] = values
    if (config is None) != ("config" in varied):
        raise InputError("give the config file, by --config or by --vary config=...")
    for override in common:
        if not re.match(r"--config\.[\w.]+=", override):
            raise InputError(f"{override!r}: what is common to all runs is written --config.key=value, after --")
    runs = []
    for combination in itertools.product(*varied.values()):
        values = dict(zip(varied, combination))
        overrides = [*common, *(override for item in values.items() for override in _overrides(*item))]
        runs.append(Run(values, values.get("config", config), overrides, pathlib.Path(workdir) / run_name(values)))
    return runs


def split(text):
    """The values of a list with commas. One within brackets or quotes does not separate; quotes around a value are taken off."""
    parts, depth, quote = [""], 0, ""
    for c in text:
        if c == "," and not depth and not quote:
            parts.append("")
            continue
        parts[-1] += c
        if quote:
            quote = "" if c == quote else quote
        elif c in "'\"":
            quote = c
        else:
            depth += (c in "([{") - (c in ")]}")
    parts = [part.strip() for part in parts]
    if depth or quote or not all(parts):
        raise InputError(f"--vary ...={text}: a value is empty, or a bracket or a quote is not closed")
    return [part[1:-1] if part[0] in "'\"" and part[0] == part[-1] else part for part in parts]


def run_name(values):
    """`loss=bce_rmse,seed=0`: a directory's name. A value with other characters, or a long one, gets a hash that tells it apart."""
    parts = []
    for key, value in values.items():
        safe = re.sub(r"[^A-Za-z0-9_.+-]+", "-", value)[:40]
        parts.append(f"{key}={safe}" if safe == value else f"{key}={safe}-{hashlib.sha256(value.encode()).hexdigest()[:6]}")
    return ",".join(parts)


def _overrides(key, value):
    """What launch.py is given for a value of a key."""
    if key == "config":
        return []
    if key != "loss":
        return [f"--config.{key}={value}"]
    from configs.experiments import losses

    try:
        table = losses.get_config(value).loss
    except ValueError as error:
        raise InputError(f"--vary loss={value}: {error}") from None
    return [f"--config.loss.{head}.{name}={weight}" for head, weights in table.items() for name, weight in weights.items()]


def load(run):
    """The run's config, checked as launch.py does, without JAX; raises `InputError` with the run's name and the reason."""
    argv = ["launch.py", f"--config={run.config}", *run.overrides]
    values = flags.FlagValues()
    config_flags.DEFINE_config_file("config", flag_values=values, sys_argv=argv)
    try:
        values(argv)
        configs.validate(values.config)
    except (flags.Error, AttributeError, KeyError, TypeError, ValueError, OSError, SyntaxError, InputError) as error:
        raise InputError(f"{run.workdir.name}: {str(error).strip().splitlines()[-1].strip()}") from None
    return values.config


def run_all(planned):
    """Runs what is not done, one after another; `planned` is a list of `(Run, its config)`.

    Returns:
      (`{run's name: exit status}` of those that failed, the status to leave with at once or None)
    """
    failed, first = {}, True
    with _noted_signals() as asked:
        for number, (run, config) in enumerate(planned, 1):
            name, done = run.workdir.name, results_of(config, run.workdir) is not None
            say(f"[{number}/{len(planned)}] {name}" + (": done before" if done else ""))
            status = 0 if done or asked else _run(run.command, asked)
            if asked or status in STOPPED:
                return failed, 128 + asked[0] if asked else status
            if status:
                failed[name] = status
                print(f"error: {name}: left with status {status}", file=sys.stderr, flush=True)
                if status == 2 and first:
                    return failed, status
            first = first and done
    return failed, None


@contextlib.contextmanager
def _noted_signals():
    """A list to which SIGTERM and SIGINT are added while in the block."""
    asked = []
    before = {number: signal.signal(number, lambda number, _: asked.append(number)) for number in SIGNALS}
    try:
        yield asked
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _run(command, asked):
    """The exit status of a command, to which each signal that is asked for is passed on once.

    In a process group of its own: a terminal's Ctrl-C would reach it beside ours, and a second one ends a run unsaved.
    """
    process, passed_on = subprocess.Popen(command, stdin=subprocess.DEVNULL, process_group=0), 0
    while process.poll() is None:
        for number in asked[passed_on:]:
            process.send_signal(number)
            passed_on += 1
        time.sleep(0.05)
    return process.returncode


def main(argv=None):
    """The command; see the module."""
    parser = argparse.ArgumentParser(
        prog="python -m modest.sweep",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    parser.add_argument("--config", help="the config file, such as configs/depthnet.py or configs/depthnet.py:museum")
    parser.add_argument("--vary", action="append", required=True, metavar="KEY=V1,V2,...", help="what varies, given once a key")
    parser.add_argument("--workdir", type=pathlib.Path, help="of the sweep; by default runs/sweep_<config file's name>")
    only = parser.add_mutually_exclusive_group()
    only.add_argument("--list", action="store_true", help="print the command of every run, a line each, and run nothing")
    only.add_argument("--report", action="store_true", help="make the table of what is done so far, and run nothing")
    parser.add_argument("common", nargs="*", metavar="--config.KEY=VALUE", help="after --: for every run")
    arguments = parser.parse_args(argv)
    path, _, variant = (arguments.config or "").partition(":")
    workdir = arguments.workdir or pathlib.Path("runs") / "_".join(filter(None, ("sweep", pathlib.Path(path).stem, variant)))
    sys.path.append(str(LAUNCH.parent))  # config files import each other, as launch.py lets them
    failed, status = {}, None
    try:
        planned = [(run, load(run)) for run in plan(arguments.config, arguments.vary, arguments.common, workdir)]
        if arguments.list:
            print("\n".join(shlex.join(run.command) for run, _ in planned))
        elif arguments.report:
            write(workdir, planned, {})
        else:
            with files.lock(workdir / workdirs.LOCK, "running a sweep in"):
                for run, config in planned:
                    with workdirs.held(config, run.workdir) if run.workdir.exists() else contextlib.nullcontext():
                        pass  # for a refusal to come before the first run
                failed, status = run_all(planned)
                if status is None:
                    write(workdir, planned, failed)
    except InputError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    return status or (1 if failed else 0)


if __name__ == "__main__":
    for number in SIGNALS:
        signal.signal(number, lambda number, _: sys.exit(128 + number))
    sys.exit(main())
