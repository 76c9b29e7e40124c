"""Measure the seconds from the start of a program to its first training step.

    python -m benchmarks.startup [--rounds 3] [--config configs/depthnet.py] [--size 64]
        [--out FILE.json]

The data set is prepared before. Each round starts the program twice: with an empty compilation
cache, and again with the cache that the first start has filled. `--out` names a file to which the
seconds are written after each start, with those of the compilation among them.
"""

import argparse
import json
import os
import pathlib
import platform
import statistics
import tempfile
import time

from benchmarks.jobs import training_runs
from modest.run import logbook

POLL_SECONDS = 0.02


def seconds_to_first_step(config: str, size: int, cache: pathlib.Path) -> tuple[float, float]:
    """Start a training, wait until it has logged its first step, and kill it.

    Returns:
      The seconds from the start to that line, and those of them that JAX compiled.

    Raises:
      RuntimeError: the training ended before; the message is its stderr.
    """
    options = [f"--config={config}", f"--config.stages=(({size}, 1),)", "--config.log_every=1"]
    with tempfile.TemporaryDirectory() as directory:
        began = time.monotonic()
        run = training_runs.start(
            [*options, f"--workdir={directory}/run"], JAX_COMPILATION_CACHE_DIR=str(cache)
        )
        while not (lines := logbook.read_metrics(f"{directory}/run")):
            if run.poll() is not None:
                raise RuntimeError(run.communicate()[1])
            time.sleep(POLL_SECONDS)
        seconds = time.monotonic() - began
        run.kill()
        run.communicate()
    return seconds, lines[0].get("compile_seconds", 0.0)


def main() -> None:
    """Run the command; see the module."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.startup", description=__doc__.partition("\n")[0]
    )
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--config", default="configs/depthnet.py")
    parser.add_argument("--size", type=int, default=64, help="px")
    parser.add_argument("--out", type=pathlib.Path, help="file.json to write")
    arguments = parser.parse_args()
    kinds: dict[str, list[tuple[float, float]]] = {"empty cache": [], "filled cache": []}
    for _ in range(arguments.rounds):
        with tempfile.TemporaryDirectory() as cache:
            for times in kinds.values():
                seconds = seconds_to_first_step(
                    arguments.config, arguments.size, pathlib.Path(cache)
                )
                times.append(seconds)
                if arguments.out:
                    arguments.out.write_text(json.dumps(kinds))
    print(f"{platform.machine()}, {os.cpu_count()} cores")
    for name, times in kinds.items():
        median, compiled = (statistics.median(values) for values in zip(*times))
        listed = " ".join(f"{seconds:.1f}" for seconds, _ in times)
        print(
            f"{name:12} {median:5.1f} s to the first step ({listed}), "
            f"of which {compiled:.1f} s compilation"
        )


if __name__ == "__main__":
    main()
