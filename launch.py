"""The one entry point: trains, evaluates or summarises what a config describes.

    python launch.py --config configs/depthnet.py [--workdir DIR] [--mode train|eval|summary|lr_range] [--config.a.b=value ...]

Short on purpose: `modest/train.py` holds the training, `modest/evaluate.py` the evaluation. What can be checked without a device is
checked before JAX is imported; a mistake is told in one line, with exit status 2.
"""

import os
import pathlib
import signal
import sys
import traceback

from absl import app, flags
from ml_collections import config_flags

from modest import config as configs
from modest import workdirs
from modest.vocabulary import InputError, TrainingError

CONFIG = config_flags.DEFINE_config_file("config", None, "The experiment, such as configs/depthnet.py.", lock_config=True)
WORKDIR = flags.DEFINE_string("workdir", None, "Where everything is written; by default runs/<the config file's name>.")
DISTRIBUTED = flags.DEFINE_bool("distributed", False, "One of several processes, as SLURM, a TPU pod or the next three say.")
COORDINATOR = flags.DEFINE_string("coordinator", None, "host:port of the first process.")
PROCESSES = flags.DEFINE_integer("num_processes", None, "How many there are.")
PROCESS = flags.DEFINE_integer("process_id", None, "Which one this is, from 0.")
MODE = flags.DEFINE_enum("mode", "train", ["train", "eval", "summary", "lr_range"], "What to do.")


def main(argv):
    """Checks what was asked for, then does it."""
    if len(argv) > 1:
        raise InputError(f"{argv[1]!r} is not an option; overrides are written --config.name=value")
    if CONFIG.value is None:
        raise InputError("--config is missing, for example --config configs/depthnet.py")
    config = CONFIG.value
    try:
        configs.validate(config, reads_data=MODE.value != "summary")
    except OSError as error:  # ml_collections tells only now that the file could not be read
        raise InputError(f"--config={flags.FLAGS['config'].config_filename}: {_last_line(error)}") from None
    if DISTRIBUTED.value and MODE.value in ("summary", "lr_range"):
        raise InputError(f"--mode={MODE.value} runs in one process; leave --distributed out")
    for flag in (COORDINATOR, PROCESSES, PROCESS):
        if flag.value is not None and not DISTRIBUTED.value:
            raise InputError(f"--{flag.name} is of use with --distributed only")
    workdir = WORKDIR.value or pathlib.Path("runs") / _name(flags.FLAGS["config"].config_filename)
    if MODE.value == "train" and not DISTRIBUTED.value:
        with workdirs.held(config, workdir):
            pass  # `fit` will hold it; this is for a refusal to come at once

    from modest import runtime  # JAX only from here on

    runtime.prepare()
    if DISTRIBUTED.value:
        runtime.join(COORDINATOR.value, PROCESSES.value, PROCESS.value)
        _listen()  # again: JAX's service for several processes takes SIGTERM for itself
    if MODE.value == "summary":
        from modest import summary

        print(summary.table(config))
    elif MODE.value == "eval":
        from modest import evaluate

        evaluate.run(config, workdir)
    elif MODE.value == "lr_range":
        from modest import lr_range

        lr_range.run(config, workdir)
    else:
        from modest import train

        train.fit(config, workdir)


def _name(config_file):
    """`depthnet` of `configs/depthnet.py`, `depthnet_museum` of `configs/depthnet.py:museum`."""
    path, _, variant = config_file.partition(":")
    return "_".join(part for part in (pathlib.Path(path).stem, variant) if part)


def _last_line(error):
    return str(error).strip().splitlines()[-1].strip()


def _parse_flags(argv):
    """absl's own parsing, with what it raises for a wrong `--config` override turned into one line."""
    try:
        return flags.FLAGS(argv)
    except (flags.Error, AttributeError, KeyError, TypeError, ValueError, OSError, SyntaxError) as error:
        raise InputError(_one_line(error)) from None


def _one_line(error):
    """What is wrong. Of a key that is not there ml_collections raises a KeyError within another, of a config file its traceback."""
    inner = error
    while isinstance(inner, Exception) and inner.args:
        inner = inner.args[0]
    text = " ".join(str(inner).split())
    if inner is not error.args[0] or isinstance(error, KeyError):
        return f"--config.*: no such key: {text}"
    before, traceback_follows, _ = text.partition(": Error whilst parsing config file: Traceback")
    return f"{before}: {_last_line(inner)}" if traceback_follows else text


def run():
    """`main` with the exit status: 0 done, 2 bad input, 1 training failed, 143 or 130 after SIGTERM or SIGINT."""
    _listen()
    try:
        app.run(main, flags_parser=_parse_flags)
    except (InputError, TrainingError) as error:
        print(f"error: {error}", file=sys.stderr)
        _leave(2 if isinstance(error, InputError) else 1)
    except Exception:
        if not _is_distributed():
            raise
        traceback.print_exc()
        print("error: another process of this run has died, or this one; start all of them again to go on", file=sys.stderr)
        _leave(1)


def _listen():
    """SIGTERM and SIGINT end the program with 143 and 130, until training has something to save first."""
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda number, frame: sys.exit(128 + number))


def _leave(status):
    """Ends the program. One of several processes does so without JAX's own way out, which waits for the others."""
    if _is_distributed():
        sys.stderr.flush()
        os._exit(status)
    sys.exit(status)


def _is_distributed():
    return flags.FLAGS.is_parsed() and DISTRIBUTED.value


if __name__ == "__main__":
    run()
