"""How a command ends: an error becomes one line on stderr, and the exit status says how it ended.

0: done. 1: training cannot continue, or an unexpected error. 2: input that cannot be used.
143 and 130: ended by SIGTERM and by SIGINT (Ctrl-C).
"""

import signal
import sys
import warnings
from collections.abc import Callable
from types import FrameType

from modest.errors import InputError, TrainingError


def run(main: Callable[..., int | None], *arguments: object) -> int:
    """Call `main(*arguments)` and return the exit status."""
    exit_on_signals()
    ignore_pillow_warnings()
    try:
        return main(*arguments) or 0
    except (InputError, TrainingError) as error:
        return report(error)


def report(error: InputError | TrainingError) -> int:
    """Print the error and return its exit status."""
    print(f"error: {error}", file=sys.stderr)
    return 2 if isinstance(error, InputError) else 1


def exit_on_signals() -> None:
    """Exit with 143 on SIGTERM and 130 on SIGINT. Training installs handlers that save first."""
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, _exit)


def ignore_pillow_warnings() -> None:
    """Silence Pillow's warnings, for this process.

    Some are about large pictures, which `images.py` refuses. Others are about damaged metadata, of
    which only the orientation is used.
    """
    warnings.filterwarnings("ignore", module="PIL")


def _exit(number: int, frame: FrameType | None) -> None:
    sys.exit(128 + number)
