"""Breaks training runs in every way that a machine can, and demands the bits of an undisturbed run.

    python -m benchmarks.faults [--only kills points flips full configs goodput finite] [--kills 200] [--flips 500] [--minutes 20]
        [-- --config.KEY=VALUE ...]

kills     SIGKILL at random moments, every third one inside a save, until so many; the run is started again on what it left
points    SIGKILL at every k-th system call of a save that changes the disk (strace), until a save gets through
flips     single bits turned over, files cut short, in the newer of two checkpoints
full      a disk (a tmpfs) that has no room for the third checkpoint
configs   configs that cannot be run: exit status 2, one line, in less than 3 s
goodput   steps done by a run that is killed every minute, against an undisturbed one's; they run in turn, a minute each
finite    seconds of a step with and without the check that its gradient is finite

The run is MaskNet at 32 px with the real config, on the embedded museum; goodput's is DepthNet at 64 px.
"""

import argparse
import contextlib
import io
import json
import os
import pathlib
import random
import shutil
import signal
import statistics
import subprocess
import sys
import tempfile
import textwrap
import time

from benchmarks.kills import group
from modest import logbook, runtime

ROOT = pathlib.Path(__file__).resolve().parents[1]
LAUNCH = [sys.executable, str(ROOT / "launch.py")]
SMALL = [
    "--config=configs/masknet.py",
    "--config.stages=((32, 4),)",
    "--config.data.library.composites=64",
    "--config.log_every=1",
    "--config.eval.splits=test",
]
DISK_CALLS = ("rename,renameat,renameat2", "mkdir,mkdirat", "unlink,unlinkat,rmdir", "fsync,fdatasync", "write,pwrite64,pwritev")

# Saves the steps from one number to another in the directory given; with 0 for the last, tells the newest step that is whole.
SAVE = textwrap.dedent("""
    import sys, json, numpy as np
    from modest import runtime
    runtime.prepare()
    from modest.checkpoint import Checkpoints
    state = lambda step: {"kernel": np.full((64, 64), step, np.float32), "step": np.int32(step)}
    directory, first, last = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
    with Checkpoints(directory, keep=2) as checkpoints:
        if last == 0:
            restored, meta = checkpoints.restore_newest(state(0))
            assert (restored["kernel"] == meta["step"]).all() and restored["step"] == meta["step"]
            print(json.dumps(meta["step"]))
        for step in range(first, last + 1):
            checkpoints.save(step, state(step), {"step": step}, score=step)
""")


def start(arguments, **environment):
    """A training run in a session of its own."""
    return subprocess.Popen(
        [*LAUNCH, *arguments],
        cwd=ROOT,
        env=os.environ | environment,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )


def outcome(workdir):
    """What must be the same: names of files, logged lines, results, and of each checkpoint the hash of every array."""
    names = sorted(str(path.relative_to(workdir)) for pattern in ("*", "*/*") for path in workdir.glob(pattern))
    lines = logbook.read_metrics(workdir)
    return {
        "names": [name for name in names if "tfevents" not in name],
        "lines": [{k: v for k, v in line.items() if k not in logbook.CLOCK_VALUES} for line in lines],
        "eval": (workdir / "eval.json").read_text(),
        "checkpoints": [path.read_text() for path in sorted((workdir / "checkpoints").glob("*/meta/metadata"))],
    }


def undisturbed(arguments, workdir):
    """A run to its end: what came of it, and its seconds."""
    began = time.monotonic()
    run = start([*arguments, f"--workdir={workdir}"])
    error = run.communicate()[1]
    if run.returncode:
        raise RuntimeError(error)
    return outcome(workdir), time.monotonic() - began


def wait_for_a_save(run, workdir):
    """Until a checkpoint is being written, or the run ends."""
    while run.poll() is None and not list((workdir / "checkpoints").glob("*.orbax-checkpoint-tmp*")):
        time.sleep(0.0005)


def kills(arguments, work, rng):
    """Runs are killed, and go on, until so many kills."""
    small = [*SMALL, *arguments.overrides]
    expected, seconds = undisturbed(small, work / "whole")
    killed = inside = ended = orphans = 0
    while killed < arguments.kills or not ended:
        workdir = work / "killed"
        shutil.rmtree(workdir, ignore_errors=True)
        while True:
            run = start([*small, f"--workdir={workdir}"])
            if killed < arguments.kills:
                if killed % 3 == 0:
                    wait_for_a_save(run, workdir)
                    time.sleep(rng.uniform(0, 0.03))
                else:
                    try:
                        run.wait(rng.uniform(0, seconds))
                    except subprocess.TimeoutExpired:
                        pass
            if run.poll() is None and killed < arguments.kills:
                inside += bool(list((workdir / "checkpoints").glob("*.orbax-checkpoint-tmp*")))
                run.send_signal(signal.SIGKILL)
                run.communicate()
                killed += 1
                time.sleep(0.2)
                orphans += len(group(run))
                continue
            error = run.communicate()[1]
            if run.returncode:
                raise RuntimeError(f"exit {run.returncode}: {error}")
            break
        ended += 1
        if outcome(workdir) != expected:
            raise RuntimeError(f"{workdir}: not what the undisturbed run left")
    print(
        f"kills: {killed} by SIGKILL, {inside} of them inside a save; {ended} runs ended, each in the same bits, lines and files; "
        f"{orphans} processes left behind; undisturbed {seconds:.1f} s",
        flush=True,
    )


def points(arguments, work, rng):
    """A save is killed at each of its calls of each kind in turn (the k-th of a thread, for every k that there is)."""
    python = lambda *numbers: [sys.executable, "-c", SAVE, str(work / "points"), *map(str, numbers)]
    restored = []
    for calls in DISK_CALLS:
        for k in range(1, arguments.points + 1):
            shutil.rmtree(work / "points", ignore_errors=True)
            subprocess.run(python(1, 2), cwd=ROOT, check=True)
            strace = ["strace", "-f", "-qq", "-o/dev/null", f"-einject={calls}:signal=KILL:when={k}"]
            done = subprocess.run([*strace, *python(3, 3)], cwd=ROOT, capture_output=True)
            if done.returncode == 0:
                break
            checked = subprocess.run(python(1, 0), cwd=ROOT, capture_output=True, text=True)
            strays = [path.name for path in (work / "points").iterdir() if not path.name.isdigit()]
            if checked.returncode or strays or json.loads(checked.stdout) not in (2, 3):
                raise RuntimeError(f"after a kill at {calls} {k}: {checked.stdout} {checked.stderr} {strays}")
            restored.append(json.loads(checked.stdout))
    print(
        f"points: killed at {len(restored)} calls of a save; then step 2 was the newest {restored.count(2)} times, step 3 "
        f"{restored.count(3)} times, each whole, and nothing else was left",
        flush=True,
    )


def flips(arguments, work, rng):
    """A bit or the end of a file of the newer of two checkpoints is changed; it is restored as it was saved, or else the older."""
    import numpy as np

    from modest.checkpoint import Checkpoints

    draw = np.random.default_rng(arguments.seed)
    state = {"kernel": draw.random((64, 128), np.float32), "momentum": draw.random((64, 128), np.float32), "step": np.int32(0)}
    states = {step: {name: array + np.ones_like(array) * step for name, array in state.items()} for step in (1, 2)}
    with Checkpoints(work / "whole", keep=2) as checkpoints:
        for step, saved in states.items():
            checkpoints.save(step, saved, {"step": step})
    files = [path.relative_to(work / "whole") for path in (work / "whole/2").rglob("*") if path.is_file() and path.stat().st_size]
    weights = [(work / "whole" / path).stat().st_size ** 0.5 for path in files]  # large ones more often, small ones too
    found = harmless = 0
    for number in range(arguments.flips):
        shutil.rmtree(work / "flips", ignore_errors=True)
        shutil.copytree(work / "whole", work / "flips")
        path = work / "flips" / rng.choices(files, weights)[0]
        whole = path.read_bytes()
        if number % 5 == 0:
            path.write_bytes(whole[: rng.randrange(len(whole))])
        else:
            place = rng.randrange(len(whole))
            path.write_bytes(whole[:place] + bytes([whole[place] ^ 1 << rng.randrange(8)]) + whole[place + 1 :])
        with contextlib.redirect_stdout(io.StringIO()) as said, Checkpoints(work / "flips") as checkpoints:
            restored, meta = checkpoints.restore_newest(state)
        if any((restored[name] != array).any() for name, array in states[meta["step"]].items()):
            raise RuntimeError(f"{path}: changed, and not found")
        if meta["step"] == 1 and f"{work / 'flips/2'} is damaged" not in said.getvalue():
            raise RuntimeError(f"{path}: changed, found, and not named: {said.getvalue()}")
        found, harmless = found + (meta["step"] == 1), harmless + (meta["step"] == 2)
    print(
        f"flips: {arguments.flips} in {len(files)} files: {found} found, named, and the older one restored; "
        f"{harmless} in what is not read, and the newer one restored as it was saved; none missed",
        flush=True,
    )


def full(arguments, work, rng):
    """The disk has no room for a checkpoint; then it has, and the run goes on."""
    small = [*SMALL, *arguments.overrides]
    expected, _ = undisturbed(small, work / "room")
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
    done = subprocess.run(["unshare", "-rm", "bash", "-c", script], cwd=ROOT, capture_output=True, text=True)
    print("full:", done.stderr.strip() or done.stdout, flush=True)
    if "status 1" not in done.stdout or "status 0" not in done.stdout or outcome(work / "full") != expected:
        raise RuntimeError(f"not what was expected: {done.stdout} {done.stderr}")
    print("full: with room made, it went on to the same bits, lines and files", flush=True)


BAD = """
    optimizer.learning_rte=0.1  optimizer.learning_rate=nan  optimizer.learning_rate=-0.1  optimizer.learning_rate=0
    optimizer.learning_rate=inf  optimizer.learning_rate=fast  optimizer.momentum=1  optimizer.momentum=-0.5
    optimizer.weight_decay=-1  optimizer.weight_decay=nan  optimizer.schedule=linear  optimizer.warmup=1  optimizer.warmup=-0.1
    optimizer.step.epochs=0  optimizer.step.factor=1.5  optimizer.plateau.epochs=0  optimizer.plateau.factor=0
    optimizer.trapezoid.epochs=0  batch_size=0  batch_size=-4  batch_size=1.5  batch_size=many  seed=-1  seed=4294967296
    seed=1.5  stages=()  stages=((0,1),)  stages=((64,),)  stages=((48,2),)  stages=64  loss.mask.bce=-1  loss.mask.bce=nan
    loss.mask.ms_ssim=1  loss.mask.focal=1  log_every=0  checkpoint.every=0  checkpoint.keep=1  checkpoint.best=mask/iuo
    checkpoint.best=normals/iou  data.name=kitti  data.source=internet  data.threads=0  data.library.scale=1
    data.library.noise=-1  model.name=resnet  model.width=0  model.depth=3  eval.batch_size=0  eval.pictures=0  augment.flip=2
    stall_seconds=-1  augment.hue_saturation_value.hue=-1
""".split()


def configs(arguments, work, rng):
    """Each ends with status 2, one line that names the key, in less than 3 s."""
    slowest = 0.0
    for override in BAD:
        began = time.monotonic()
        command = [*LAUNCH, "--config=configs/depthnet.py", f"--config.{override}", f"--workdir={work}/bad"]
        done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
        seconds = time.monotonic() - began
        slowest = max(slowest, seconds)
        named = override.partition("=")[0].split(".")[-1] in done.stderr
        if done.returncode != 2 or done.stderr.count("\n") != 1 or not named or seconds > 3:
            raise RuntimeError(f"{override}: status {done.returncode} in {seconds:.1f} s: {done.stderr}")
    print(f"configs: {len(BAD)} refused with status 2 and one line; the slowest took {slowest:.1f} s", flush=True)


def goodput(arguments, work, rng):
    """Steps done by a run that is killed every minute, against an undisturbed one's; each has every other minute for itself."""
    depthnet = ["--config=configs/depthnet.py", "--config.stages=((64, 1000),)", f"--config.checkpoint.steps={arguments.steps}"]
    run = lambda name: start([*depthnet, f"--workdir={work / name}"], JAX_COMPILATION_CACHE_DIR=str(work / f"compiled_{name}"))
    steady = run("steady")
    try:
        for _ in range(arguments.minutes):
            steady.send_signal(signal.SIGCONT)
            _minute_of(steady)
            steady.send_signal(signal.SIGSTOP)
            _minute_of(run("killed"), killed=True)
    finally:
        steady.kill()
        steady.communicate()
    whole, kept = (logbook.read_metrics(work / name)[-1] for name in ("steady", "killed"))
    print(
        f"goodput: in {arguments.minutes} minutes each, saved every {arguments.steps} steps, a run did {whole['step']} steps, one "
        f"killed every minute {kept['step']}, {kept['step'] / whole['step']:.0%}; by its own clock "
        f"{kept['seconds'] / 60 / arguments.minutes:.0%} of its time went into what was kept",
        flush=True,
    )


def _minute_of(run, killed=False):
    """Waits a minute, in which the run may not end; then it is `killed`, or goes on."""
    try:
        raise RuntimeError(run.communicate(timeout=60)[1])
    except subprocess.TimeoutExpired:
        pass
    if killed:
        run.kill()
        run.communicate()


def finite(arguments, work, rng):
    """A step of the default with and without the gradient's norm, by which a gradient that is not finite is known, in turn."""
    import numpy as np
    import optax

    from benchmarks.contenders import modest_job

    norm = optax.tree.norm
    for size, pairs in ((64, 150), (160, 25)):
        calls = []
        for optax.tree.norm in (norm, lambda gradients: np.float32(0)):
            calls.append(modest_job("train", "depthnet", size, 4)[0])
            calls[-1]()  # compiled with the one that is there now
        ratios = []
        for _ in range(pairs):
            seconds = []
            for call in calls:
                began = time.perf_counter()
                call()
                seconds.append(time.perf_counter() - began)
            ratios.append(seconds[0] / seconds[1])
        low, middle, high = statistics.quantiles(ratios, n=4)
        print(f"finite: {size} px, batch 4: {middle - 1:+.1%} of a step, quartiles {low - 1:+.1%} {high - 1:+.1%}", flush=True)


def main():
    """The command; see the module."""
    parts = [kills, points, flips, full, configs, goodput, finite]
    parser = argparse.ArgumentParser(prog="python -m benchmarks.faults", description=__doc__.splitlines()[0])
    parser.add_argument("--only", nargs="*", default=[part.__name__ for part in parts])
    parser.add_argument("--kills", type=int, default=200)
    parser.add_argument("--points", type=int, default=1000, help="at most so many of each kind of call")
    parser.add_argument("--flips", type=int, default=500)
    parser.add_argument("--minutes", type=int, default=20, help="of each of the two runs of goodput")
    parser.add_argument("--steps", type=int, default=40, help="between two checkpoints in goodput")
    parser.add_argument("--disk", default="1700k", help="size of the full disk")
    parser.add_argument("--seed", type=int, default=0, help="of the moments and places")
    parser.add_argument("overrides", nargs="*", help="after --: of the small run's config, such as --config.data.dir=DIR")
    arguments = parser.parse_args()
    runtime.prepare()
    for part in parts:
        if part.__name__ in arguments.only:
            with tempfile.TemporaryDirectory() as work:
                part(arguments, pathlib.Path(work), random.Random(arguments.seed))


if __name__ == "__main__":
    main()
