"""How a command begins and ends: an error is one line on stderr; the exit status tells more.

0: done. 1: training cannot continue, an input ended early or is partly unusable, a background shows
another view, or an unexpected error. 2: input that cannot be used. 143, 130, 129: ended by SIGTERM,
SIGINT (Ctrl-C), SIGHUP. 141: nobody read the output any longer.
"""

import argparse
import contextlib
import os
import sys
import warnings
from collections.abc import Callable, Sequence
from typing import NoReturn

from modest.commands import console
from modest.errors import IncompleteError, InputError, MismatchError, TrainingError
from modest.run import signals


def command(main: Callable[..., int | None], *arguments: object) -> NoReturn:
    """Be the program that runs `main(*arguments)`, and end with the status that it returns.

    The program ends without the interpreter's shutdown, during which a signal would be lost and
    threads of JAX may crash.
    """
    signals.exit_on_signals()
    _use_utf8()
    console.survive_closed_output()
    os.environ["MPLBACKEND"] = (
        "agg"  # figures go to files; a notebook's backend may be missing here
    )
    try:
        status: object = main(*arguments)
    except SystemExit as ended:  # of argparse, or of a run that was stopped
        status = ended.code
    for stream in (sys.stdout, sys.stderr):
        with contextlib.suppress(OSError, ValueError, AttributeError):
            stream.flush()
    os._exit(status if isinstance(status, int) else 0 if status is None else 1)


def run(main: Callable[..., int | None], argv: Sequence[str], *more: object) -> int:
    """Call `main(argv, *more)` and return the exit status.

    A path that begins with `~` is completed, also in `--out=~/x`, which a shell leaves as it is.
    """
    ignore_pillow_warnings()
    try:
        return main([_expanded(argument) for argument in argv], *more) or 0
    except (IncompleteError, InputError, MismatchError, TrainingError) as error:
        return report(error)
    except OSError as error:  # a full disk, a directory that may not be read or written ...
        where = f"{error.filename}: " if error.filename else ""
        print(f"error: {where}{error.strerror or error}", file=sys.stderr)
        return 2
    except MemoryError as error:
        reason = f" ({error})" if str(error) else ""
        print(f"error: out of memory{reason}; use smaller pictures or batches", file=sys.stderr)
        return 2


def report(error: IncompleteError | InputError | MismatchError | TrainingError) -> int:
    """Print the error and return its exit status."""
    print(f"error: {error}", file=sys.stderr)
    return 2 if isinstance(error, InputError) else 1


def parser(tool: str, doc: str) -> argparse.ArgumentParser:
    """Return a parser whose help is the docstring of the command's module.

    Args:
      tool: the name after `python -m modest`.
      doc: the docstring: "`python -m modest TOOL`: summary", a blank line, details.
    """
    summary, _, details = doc.partition("\n\n")
    return argparse.ArgumentParser(
        prog=f"python -m modest {tool}",
        description=summary.partition(": ")[2].capitalize(),
        epilog=details,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )


def add_max_pixels(parser: argparse.ArgumentParser) -> None:
    """Add the option --max_pixels to a command that reads pictures."""
    help_ = "largest picture to read, in pixels (default: 178956970; MODEST_MAX_PIXELS)"
    parser.add_argument("--max_pixels", type=int, help=help_)


def set_max_pixels(limit: int | None) -> None:
    """Set the limit of this process and of the worker processes that it starts.

    Raises:
      InputError: the limit is less than 1.
    """
    if limit is not None and limit < 1:
        raise InputError(f"--max_pixels={limit}: must be at least 1")
    if limit is not None:
        os.environ["MODEST_MAX_PIXELS"] = str(limit)


def ignore_pillow_warnings() -> None:
    """Silence Pillow's warnings, for this process.

    Some are about large pictures, which `images.py` refuses. Others are about damaged metadata, of
    which only the orientation is used.
    """
    warnings.filterwarnings("ignore", module="PIL")


def _expanded(argument):
    option, equals, value = argument.partition("=")
    if option.startswith("--") and equals:
        return f"{option}={os.path.expanduser(value)}"
    return os.path.expanduser(argument)


def _use_utf8():
    """Start Python again in its UTF-8 mode, unless file names are UTF-8 here.

    In an ASCII locale, other names could neither be compared with those in a file nor be printed.
    """
    if sys.getfilesystemencoding() != "utf-8":
        os.execve(sys.executable, sys.orig_argv, os.environ | {"PYTHONUTF8": "1"})
