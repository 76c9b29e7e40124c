"""Break training runs in many ways, and compare the results to those of an undisturbed run.

    python -m benchmarks.faults
        [--only kills points flips full configs signals inputs goodput finite]
        [--kills 200] [--flips 500] [--signals 200] [--inputs 10000] [--minutes 20]
        [-- --config.KEY=VALUE ...]

kills     SIGKILL at random moments, every third one during a save; the run is restarted each time
points    SIGKILL at every k-th system call of a save that changes the disk (by strace)
flips     flipped bits and truncated files in the newer of two checkpoints
full      a disk (a tmpfs) without room for the third checkpoint
signals   SIGTERM or SIGINT at random moments of train, eval, predict, compose and prepare
inputs    mutated pictures, masks, depth maps, cut-outs, map lines, zips, videos, prepared shards,
          weights, configs
configs   invalid configs: exit status 2, one line, in less than 3 s
goodput   steps of a run that is killed every minute, compared with those of an undisturbed run; the
          runs alternate, a minute each
finite    seconds of a step with and without the check that its gradient is finite

The run is MaskNet at 32 px with the real config, on the embedded data set; `goodput` uses DepthNet
at 64 px. A part raises `RuntimeError` if a result is not as expected.
"""

import argparse
import pathlib
import random
import shutil
import signal
import subprocess
import tempfile
import time

from benchmarks import ROOT
from benchmarks.jobs import processes
from benchmarks.jobs.checkpoint_faults import flips, points
from benchmarks.jobs.fault_costs import finite, goodput
from benchmarks.jobs.input_faults import inputs
from benchmarks.jobs.signal_faults import signals
from benchmarks.jobs.training_runs import LAUNCH, SMALL, outcome, run_undisturbed, start
from modest.run import runtime, workdirs

INVALID = """
    optimizer.learning_rte=0.1  optimizer.learning_rate=nan  optimizer.learning_rate=-0.1
    optimizer.learning_rate=0  optimizer.learning_rate=inf  optimizer.learning_rate=fast
    optimizer.momentum=1  optimizer.momentum=-0.5  optimizer.weight_decay=-1
    optimizer.weight_decay=nan  optimizer.schedule=linear  optimizer.warmup=1
    optimizer.warmup=-0.1  optimizer.step.epochs=0  optimizer.step.factor=1.5
    optimizer.plateau.epochs=0  optimizer.plateau.factor=0  optimizer.trapezoid.epochs=0
    batch_size=0  batch_size=-4  batch_size=1.5  batch_size=many  seed=-1  seed=4294967296
    seed=1.5  stages=()  stages=((0,1),)  stages=((64,),)  stages=((48,2),)  stages=64
    loss.mask.bce=-1  loss.mask.bce=nan  loss.mask.ms_ssim=1  loss.mask.focal=1  log_every=0
    checkpoint.every=0  checkpoint.keep=1  checkpoint.best=mask/iuo  checkpoint.best=normals/iou
    data.name=kitti  data.source=internet  data.threads=0  data.library.scale=1
    data.library.noise=-1  model.name=resnet  model.width=0  model.depth=3  eval.batch_size=0
    eval.pictures=0  augment.flip=2  stall_seconds=-1  augment.hue_saturation_value.hue=-1
""".split()
INVALID_SECONDS = 3  # time limit for refusing an invalid config


def kills(arguments: argparse.Namespace, work: pathlib.Path, rng: random.Random) -> None:
    """Kill runs at random moments and resume them, until the number of kills is reached.

    Args:
      arguments: see `main`.
      work: empty directory.
      rng: draws the moments.

    Raises:
      RuntimeError: a run failed, or its outcome differs from that of the undisturbed run.
    """
    small = [*SMALL, *arguments.overrides]
    expected, seconds = run_undisturbed(small, work / "whole")
    workdir = work / "killed"
    killed = during_save = finished = orphans = 0
    while killed < arguments.kills or not finished:
        shutil.rmtree(workdir, ignore_errors=True)
        while True:
            run = start([*small, f"--workdir={workdir}"])
            if killed < arguments.kills:
                _wait_for_a_moment(run, workdir, rng, seconds, during_save=killed % 3 == 0)
            if run.poll() is None and killed < arguments.kills:
                during_save += _is_saving(workdir)
                run.send_signal(signal.SIGKILL)
                run.communicate()
                killed += 1
                time.sleep(0.2)
                orphans += len(processes.in_session(run.pid))
                continue
            error = run.communicate()[1]
            if run.returncode:
                raise RuntimeError(f"exit {run.returncode}: {error}")
            break
        finished += 1
        if outcome(workdir) != expected:
            raise RuntimeError(f"{workdir}: the outcome differs from that of the undisturbed run")
    print(
        f"kills: {killed} by SIGKILL, {during_save} of them during a save; {finished} runs "
        f"finished, each with identical bits, lines and files; {orphans} processes left behind; "
        f"undisturbed {seconds:.1f} s",
        flush=True,
    )


def _wait_for_a_moment(run, workdir, rng, seconds, during_save):
    """Wait until a random moment of a save, or of the whole run, or until the run ends."""
    if during_save:
        while run.poll() is None and not _is_saving(workdir):
            time.sleep(0.0005)
        time.sleep(rng.uniform(0, 0.03))
        return
    try:
        run.wait(rng.uniform(0, seconds))
    except subprocess.TimeoutExpired:
        pass


def _is_saving(workdir):
    """Return whether a checkpoint is being written."""
    return bool(list((workdir / workdirs.CHECKPOINTS).glob("*.orbax-checkpoint-tmp*")))


def full(arguments: argparse.Namespace, work: pathlib.Path, rng: random.Random) -> None:
    """Train on a disk without room for the third checkpoint; then make room, and resume.

    Args:
      arguments: see `main`.
      work: empty directory.
      rng: not used.

    Raises:
      RuntimeError: a run did not end as expected, or the outcome differs from that of the
        undisturbed run.
    """
    small = [*SMALL, *arguments.overrides]
    expected, _ = run_undisturbed(small, work / "room")
    disk = work / "disk"
    disk.mkdir()
    command = " ".join(f"'{part}'" for part in [*LAUNCH, *small, f"--workdir={disk}/run"])
    script = f"""
        mount -t tmpfs -o size={arguments.disk} none {disk} || exit 99
        {command}; echo "status $?"
        ls -A {disk}/run/checkpoints
        mount -o remount,size=100m {disk}
        {command} > /dev/null; echo "status $?"
        cp -r {disk}/run {work}/full
    """
    unshare = ["unshare", "-rm", "bash", "-c", script]  # mounting needs no privileges inside
    done = subprocess.run(unshare, cwd=ROOT, capture_output=True, text=True)
    print("full:", done.stderr.strip() or done.stdout, flush=True)
    as_expected = "status 1" in done.stdout and "status 0" in done.stdout
    if not as_expected or outcome(work / "full") != expected:
        raise RuntimeError(f"full: not what was expected: {done.stdout} {done.stderr}")
    print("full: resumed after room was made, with identical bits, lines and files", flush=True)


def configs(arguments: argparse.Namespace, work: pathlib.Path, rng: random.Random) -> None:
    """Start runs with invalid configs.

    Args:
      arguments: not used.
      work: empty directory.
      rng: not used.

    Raises:
      RuntimeError: a run did not end with status 2 and one line that names the key, or took too
        long.
    """
    slowest = 0.0
    for override in INVALID:
        began = time.monotonic()
        options = ["--config=configs/depthnet.py", f"--config.{override}", f"--workdir={work}/bad"]
        done = subprocess.run([*LAUNCH, *options], cwd=ROOT, capture_output=True, text=True)
        seconds = time.monotonic() - began
        slowest = max(slowest, seconds)
        is_named = override.partition("=")[0].split(".")[-1] in done.stderr
        is_one_line = done.stderr.count("\n") == 1
        if done.returncode != 2 or not is_one_line or not is_named or seconds > INVALID_SECONDS:
            raise RuntimeError(
                f"{override}: status {done.returncode} in {seconds:.1f} s: {done.stderr}"
            )
    print(
        f"configs: {len(INVALID)} refused with status 2 and one line; the slowest took "
        f"{slowest:.1f} s",
        flush=True,
    )


PARTS = {
    "kills": kills,
    "points": points,
    "flips": flips,
    "full": full,
    "configs": configs,
    "signals": signals,
    "inputs": inputs,
    "goodput": goodput,
    "finite": finite,
}


def main() -> None:
    """Run the command; see the module."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.faults", description=__doc__.splitlines()[0]
    )
    add = parser.add_argument
    help_ = f"default: {' '.join(PARTS)}"
    add("--only", nargs="*", default=list(PARTS), choices=PARTS, metavar="PART", help=help_)
    add("--kills", type=int, default=200)
    add("--points", type=int, default=1000, help="largest number of kills at each kind of call")
    add("--flips", type=int, default=500)
    add("--signals", type=int, default=200, help="number of signals, spread over all commands")
    add("--inputs", type=int, default=10_000, help="number of mutated inputs, over all readers")
    add("--minutes", type=int, default=20, help="minutes of each of the two runs of goodput")
    add("--steps", type=int, default=40, help="steps between two checkpoints of goodput")
    add("--disk", default="1700k", help="size of the full disk")
    add("--seed", type=int, default=0, help="seed of the moments and places")
    help_ = "after --: overrides of the small run's config, such as --config.data.dir=DIR"
    add("overrides", nargs="*", help=help_)
    arguments = parser.parse_args()
    runtime.prepare()
    for name, part in PARTS.items():
        if name in arguments.only:
            with tempfile.TemporaryDirectory() as work:
                part(arguments, pathlib.Path(work), random.Random(arguments.seed))


if __name__ == "__main__":
    main()
