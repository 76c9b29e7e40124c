"""Composing and preparing a data set, as jobs of `benchmarks/data.py` in processes of their own.

    python -m benchmarks.jobs.data_jobs compose OUT BACKGROUNDS FIGURES PLACES
    python -m benchmarks.jobs.data_jobs prepare DIRECTORY PREPARED_DIR

Prints JSON: the result of the job, its seconds, and the peak memory in MiB of the largest process.
"""

import json
import os
import resource
import subprocess
import sys
import time
from collections.abc import Callable
from typing import Any, NamedTuple

from benchmarks import ROOT


class Measured(NamedTuple):
    """What a job returned and needed."""

    result: Any
    seconds: float
    peak_mib: float  # peak memory of the largest process of the job


def compose(out: str, backgrounds: str, figures: str, places: str) -> int:
    """Compose a data set in the MODEST layout, and return the number of composites.

    Rooms and people are drawn, and depth is exact.
    """
    from modest.data.recipe import build, settings

    recipe = settings.Recipe(
        out=out, depth="scene", rooms=int(backgrounds), people=int(figures), places=int(places)
    )
    return build.make(recipe, os.cpu_count() or 1)


def prepare(directory: str, prepared_dir: str) -> tuple[int, int]:
    """Prepare a directory in the MODEST layout; return the number of composites and their bytes."""
    from modest.data.museum import preparation, records

    builder = preparation.prepare("folder", directory, prepared_dir)
    infos = [
        info
        for name, info in builder.info.splits.items()
        if name not in records.NON_COMPOSITE_SPLITS
    ]
    return sum(info.num_examples for info in infos), sum(info.num_bytes for info in infos)


JOBS: dict[str, Callable[..., Any]] = {"compose": compose, "prepare": prepare}


def measure(job: str, *arguments: object) -> Measured:
    """Run a job in a process of its own.

    Args:
      job: key of `JOBS`.
      arguments: its arguments.

    Raises:
      RuntimeError: the job failed; the message is its stderr.
    """
    command = [sys.executable, "-m", "benchmarks.jobs.data_jobs", job, *map(str, arguments)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    if done.returncode:
        raise RuntimeError(done.stderr)
    return Measured(*json.loads(done.stdout.splitlines()[-1]))


def main() -> None:
    """Run the command; see the module."""
    job, *arguments = sys.argv[1:]
    if job in ("-h", "--help"):
        print(__doc__)
        return
    began = time.perf_counter()
    result = JOBS[job](*arguments)
    seconds = time.perf_counter() - began
    who = (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)
    peak_kib = max(resource.getrusage(processes).ru_maxrss for processes in who)
    print(json.dumps([result, seconds, peak_kib / 1024]))


if __name__ == "__main__":
    main()
