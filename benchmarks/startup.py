"""Measure the seconds from the start of a program to its first training step.

    python -m benchmarks.startup [--rounds 3] [--config configs/depthnet.py] [--size 64]

The data set is prepared before. Each round starts the program twice: with an empty compilation
cache, and again with the cache that the first start has filled.
"""

import argparse
import os
import pathlib
import platform
import statistics
import tempfile
import time

from benchmarks.jobs import training_runs
from modest.run import logbook

POLL_SECONDS = 0.02


def seconds_to_first_step(config: str, size: int, cache: pathlib.Path) -> float:
    """Start a training, wait until it has logged its first step, and kill it.

    Raises:
      RuntimeError: the training ended before; the message is its stderr.
    """
    options = [f"--config={config}", f"--config.stages=(({size}, 1),)", "--config.log_every=1"]
    with tempfile.TemporaryDirectory() as directory:
        began = time.monotonic()
        run = training_runs.start(
            [*options, f"--workdir={directory}/run"], JAX_COMPILATION_CACHE_DIR=str(cache)
        )
        while not logbook.read_metrics(f"{directory}/run"):
            if run.poll() is not None:
                raise RuntimeError(run.communicate()[1])
            time.sleep(POLL_SECONDS)
        seconds = time.monotonic() - began
        run.kill()
        run.communicate()
    return seconds


def main() -> None:
    """Run the command; see the module."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.startup", description=__doc__.partition("\n")[0]
    )
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--config", default="configs/depthnet.py")
    parser.add_argument("--size", type=int, default=64, help="px")
    arguments = parser.parse_args()
    cold, warm = [], []
    for _ in range(arguments.rounds):
        with tempfile.TemporaryDirectory() as cache:
            for times in (cold, warm):
                seconds = seconds_to_first_step(
                    arguments.config, arguments.size, pathlib.Path(cache)
                )
                times.append(seconds)
    print(f"{platform.machine()}, {os.cpu_count()} cores")
    for name, times in (("empty cache", cold), ("filled cache", warm)):
        listed = " ".join(f"{seconds:.1f}" for seconds in times)
        print(f"{name:12} {statistics.median(times):5.1f} s to the first step ({listed})")


if __name__ == "__main__":
    main()
