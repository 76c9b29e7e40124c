"""The tools that take a config: train, eval, summary and lr-range. `launch.py` calls them too.

python -m modest train --config depthnet --config.batch_size=8
python launch.py --config configs/depthnet.py --mode eval
"""

import argparse
import math
import os
import pathlib
import sys
import traceback

from modest.commands import process
from modest.errors import InputError, TrainingError

MODES = {
    "train": "train, or resume; then evaluate the best checkpoint",
    "eval": "evaluate the best checkpoint of the work directory, or weights (--workdir modest)",
    "summary": "print the layer table of the network",
    "lr-range": "run the learning rate range test",
}


def main(argv: list[str], mode: str | None = None) -> int:
    """Run the tool `mode` (a key of `MODES`); with None, the one that the option `--mode` names.

    Raises:
      InputError, TrainingError: see the functions that do the work.
    """
    arguments, overrides = parse(argv, mode)
    if not arguments.distributed:
        _run(arguments, overrides)
        return 0
    from modest.run import runtime

    try:
        _run(arguments, overrides)
        runtime.leave()
        return 0
    except SystemExit:  # a signal has stopped all processes
        runtime.leave()
        raise
    except (InputError, TrainingError) as error:
        status = process.report(error)
    except Exception:
        traceback.print_exc()
        print(
            "error: this or another process of the run failed; restart all of them to resume",
            file=sys.stderr,
        )
        status = 1
    sys.stderr.flush()
    os._exit(status)  # JAX's own shutdown would wait for the other processes


def parse(argv: list[str], mode: str | None) -> tuple[argparse.Namespace, list[str]]:
    """Return the parsed options, and the config overrides (`--config.key=value`) as they are.

    Raises:
      InputError: options contradict each other, or --config is missing.
    """
    parser = _parser(mode)
    arguments, overrides = parser.parse_known_args(argv)
    if arguments.config is None:
        raise InputError("--config is missing, for example --config depthnet")
    arguments.mode = mode or arguments.mode.replace("_", "-")
    if arguments.distributed and arguments.mode in ("summary", "lr-range"):
        raise InputError(f"{arguments.mode} runs in one process; leave out --distributed")
    for name in ("coordinator", "num_processes", "process_id"):
        if getattr(arguments, name) is not None and not arguments.distributed:
            raise InputError(f"--{name} needs --distributed")
    if arguments.coordinator:
        _check_address(arguments.coordinator)
    number = arguments.process_id
    if number is not None and not 0 <= number < (arguments.num_processes or math.inf):
        raise InputError(f"--process_id={number}: must be at least 0 and below --num_processes")
    return arguments, overrides


def _check_address(address):
    """Raise `InputError` if the address of process 0 is not `host:port`."""
    host, _, port = address.rpartition(":")
    if not (host and port.isdecimal() and 0 < int(port) < 2**16):
        raise InputError(f"--coordinator={address}: must be HOST:PORT, for example 10.0.0.1:5555")


def _parser(mode):
    program = f"python -m modest {mode}" if mode else "python launch.py"
    parser = argparse.ArgumentParser(
        prog=program,
        description=MODES[mode].capitalize() + "." if mode else "Train, evaluate or summarise.",
        epilog="Any key of the config can be overridden: --config.optimizer.learning_rate=0.05",
        allow_abbrev=False,
    )
    parser.add_argument("--config", metavar="NAME[:VARIANT]", help="depthnet, or a path to a file")
    parser.add_argument("--workdir", help="directory of the run (default: runs/NAME)")
    if mode is None:
        choices = [name.replace("-", "_") for name in MODES]
        parser.add_argument("--mode", choices=[*choices, "lr-range"], default="train")
    help_ = "run as one of several processes: by SLURM, on a TPU pod, or with the next options"
    parser.add_argument("--distributed", action="store_true", help=help_)
    parser.add_argument("--coordinator", metavar="HOST:PORT", help="address of process 0")
    parser.add_argument("--num_processes", type=int, help="number of processes")
    parser.add_argument("--process_id", type=int, help="number of this process, from 0")
    return parser


def _run(arguments, overrides):
    """Check everything that can be checked quickly, then call the package that does the work."""
    from modest.run import config_files, runtime, signals

    config = config_files.read(arguments.config, overrides)
    workdir = arguments.workdir or pathlib.Path("runs") / config_files.short_name(arguments.config)
    runtime.prepare()

    from modest.run import validation, workdirs  # imports JAX

    validation.validate(config, reads_data=arguments.mode != "summary")
    if arguments.mode == "train" and not arguments.distributed:
        workdirs.check(config, workdir)
    if arguments.distributed:
        runtime.join(arguments.coordinator, arguments.num_processes, arguments.process_id)
        signals.exit_on_signals()  # again: JAX's coordination service has replaced the handlers
    runtime.check_platforms()
    if arguments.mode == "train":
        from modest.training import loop

        loop.fit(config, workdir)
    elif arguments.mode == "eval":
        from modest.evaluation import evaluate

        evaluate.run(config, workdir)
    elif arguments.mode == "lr-range":
        from modest.training import lr_range

        lr_range.run(config, workdir)
    else:
        from modest.models import summary

        print(summary.table(config.model.to_dict(), config.stages[-1][0]))
