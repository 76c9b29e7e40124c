"""How a command ends: an error becomes one line on stderr, and the exit status says how it ended.

0: done. 1: training cannot continue, an input ended early, a background shows another view, or an
unexpected error. 2: input that cannot be used. 143 and 130: ended by SIGTERM and by SIGINT (Ctrl-C).
"""

import argparse
import os
import signal
import sys
import warnings
from collections.abc import Callable
from types import FrameType

from modest.errors import IncompleteError, InputError, MismatchError, TrainingError


def run(main: Callable[..., int | None], *arguments: object) -> int:
    """Call `main(*arguments)` and return the exit status."""
    exit_on_signals()
    ignore_pillow_warnings()
    try:
        return main(*arguments) or 0
    except (IncompleteError, InputError, MismatchError, TrainingError) as error:
        return report(error)


def report(error: IncompleteError | InputError | MismatchError | TrainingError) -> int:
    """Print the error and return its exit status."""
    print(f"error: {error}", file=sys.stderr)
    return 2 if isinstance(error, InputError) else 1


def exit_on_signals() -> None:
    """Exit with 143 on SIGTERM and 130 on SIGINT. Training installs handlers that save first."""
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, _exit)


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


def _exit(number: int, frame: FrameType | None) -> None:
    sys.exit(128 + number)
