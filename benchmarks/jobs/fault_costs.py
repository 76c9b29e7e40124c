"""The parts `goodput` and `finite` of `benchmarks/faults.py`: what robustness costs."""

import argparse
import pathlib
import random
import signal
import statistics
import subprocess
import time
from unittest import mock

from benchmarks.jobs.training_runs import start
from modest.run import logbook


def goodput(arguments: argparse.Namespace, work: pathlib.Path, rng: random.Random) -> None:
    """Compare the steps of a run that is killed every minute with those of an undisturbed one.

    The runs alternate: while one runs for a minute, the other is stopped or not started.

    Args:
      arguments: see `faults.py`.
      work: empty directory.
      rng: not used.

    Raises:
      RuntimeError: a run ended by itself.
    """
    depthnet = [
        "--config=configs/depthnet.py",
        "--config.stages=((64, 1000),)",
        f"--config.checkpoint.steps={arguments.steps}",
    ]

    def start_run(name: str) -> subprocess.Popen:
        cache = str(work / f"compiled_{name}")
        return start([*depthnet, f"--workdir={work / name}"], JAX_COMPILATION_CACHE_DIR=cache)

    steady = start_run("steady")
    try:
        for _ in range(arguments.minutes):
            steady.send_signal(signal.SIGCONT)
            _run_for_a_minute(steady)
            steady.send_signal(signal.SIGSTOP)
            killed = start_run("killed")
            _run_for_a_minute(killed)
            killed.kill()
            killed.communicate()
    finally:
        steady.kill()
        steady.communicate()
    whole, kept = (logbook.read_metrics(work / name)[-1] for name in ("steady", "killed"))
    print(
        f"goodput: in {arguments.minutes} minutes each, saved every {arguments.steps} steps, an "
        f"undisturbed run did {whole['step']} steps, and one that was killed every minute "
        f"{kept['step']}, {kept['step'] / whole['step']:.0%}; by its own clock "
        f"{kept['seconds'] / 60 / arguments.minutes:.0%} of its time went into what was kept",
        flush=True,
    )


def _run_for_a_minute(run: subprocess.Popen) -> None:
    """Wait a minute. Raises `RuntimeError` if the run ends."""
    try:
        error = run.communicate(timeout=60)[1]
    except subprocess.TimeoutExpired:
        return
    raise RuntimeError(error)


def finite(arguments: argparse.Namespace, work: pathlib.Path, rng: random.Random) -> None:
    """Time a default step with and without the gradient norm, in turn.

    The norm detects gradients that are not finite.

    Args:
      arguments: not used.
      work: not used.
      rng: not used.
    """
    import numpy as np
    import optax

    from benchmarks.jobs.modest_jobs import modest_job

    def no_norm(gradients):
        return np.float32(0)

    for size, pairs in ((64, 150), (160, 25)):
        with_norm, _ = modest_job("train", "depthnet", size, 4)
        with_norm()  # compiles
        with mock.patch.object(optax.tree, "norm", no_norm):
            without_norm, _ = modest_job("train", "depthnet", size, 4)
            without_norm()  # compiles with the replacement
        ratios = []
        for _ in range(pairs):
            seconds = []
            for call in (with_norm, without_norm):
                began = time.perf_counter()
                call()
                seconds.append(time.perf_counter() - began)
            ratios.append(seconds[0] / seconds[1])
        low, middle, high = statistics.quantiles(ratios, n=4)
        print(
            f"finite: {size} px, batch 4: {middle - 1:+.1%} of a step, "
            f"quartiles {low - 1:+.1%} {high - 1:+.1%}",
            flush=True,
        )
