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


def time_first_step(config: str, size: int, cache: pathlib.Path) -> dict[str, float]:
    """Start a training, wait until it has logged its first step, and kill it.

    Returns:
      `seconds` from the start to that line; those of them in the training loop, `loop_seconds`, and
      in compilation, `compile_seconds`.

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
    compiled = lines[0].get("compile_seconds", 0.0)
    return {"seconds": seconds, "loop_seconds": lines[0]["seconds"], "compile_seconds": compiled}


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
    kinds: dict[str, list[dict[str, float]]] = {"empty cache": [], "filled cache": []}
    for _ in range(arguments.rounds):
        with tempfile.TemporaryDirectory() as cache:
            for times in kinds.values():
                times.append(time_first_step(arguments.config, arguments.size, pathlib.Path(cache)))
                if arguments.out:
                    arguments.out.write_text(json.dumps(kinds))
    print(f"{platform.machine()}, {os.cpu_count()} cores")
    for name, times in kinds.items():
        median = {key: statistics.median(row[key] for row in times) for key in times[0]}
        listed = " ".join(f"{row['seconds']:.1f}" for row in times)
        print(
            f"{name:12} {median['seconds']:5.1f} s to the first step ({listed}), of which "
            f"{median['loop_seconds']:.1f} s in the loop and {median['compile_seconds']:.1f} s "
            "compilation"
        )


if __name__ == "__main__":
    main()
