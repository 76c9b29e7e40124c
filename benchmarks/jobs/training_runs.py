"""Training runs in processes of their own, and what is compared between two of them."""

import os
import pathlib
import subprocess
import sys
import time
from typing import Any

from benchmarks import ROOT
from modest.run import logbook, workdirs

LAUNCH = [sys.executable, str(ROOT / "launch.py")]
SMALL = [  # MaskNet at 32 px on the embedded data set, with the real config
    "--config=configs/masknet.py",
    "--config.stages=((32, 4),)",
    "--config.data.library.composites=64",
    "--config.log_every=1",
    "--config.eval.splits=test",
]


def start(options: list[str], **environment: str) -> subprocess.Popen:
    """Start a training run in a session of its own.

    Args:
      options: arguments of `launch.py`.
      environment: environment variables to add.
    """
    return subprocess.Popen(
        [*LAUNCH, *options],
        cwd=ROOT,
        env=os.environ | environment,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )


def outcome(workdir: pathlib.Path) -> dict[str, Any]:
    """Return what must be the same in two runs of the same config.

    This is the names of all files, the logged lines without what a clock measured, the results, and
    the metadata of each checkpoint with the hash of every array.
    """
    names = sorted(
        str(path.relative_to(workdir)) for pattern in ("*", "*/*") for path in workdir.glob(pattern)
    )
    lines = logbook.read_metrics(workdir)
    metadata = sorted((workdir / workdirs.CHECKPOINTS).glob("*/meta/metadata"))
    return {
        "names": [name for name in names if "tfevents" not in name],
        "lines": [
            {name: value for name, value in line.items() if name not in logbook.CLOCK_VALUES}
            for line in lines
        ],
        "eval": (workdir / workdirs.EVAL).read_text(),
        "checkpoints": [path.read_text() for path in metadata],
    }


def run_undisturbed(options: list[str], workdir: pathlib.Path) -> tuple[dict[str, Any], float]:
    """Run a training to its end.

    Returns:
      Its outcome, and the seconds that it took.

    Raises:
      RuntimeError: the run failed; the message is its stderr.
    """
    began = time.monotonic()
    run = start([*options, f"--workdir={workdir}"])
    error = run.communicate()[1]
    if run.returncode:
        raise RuntimeError(error)
    return outcome(workdir), time.monotonic() - began
