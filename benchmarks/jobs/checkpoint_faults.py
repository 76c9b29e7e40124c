"""The parts `points` and `flips` of `benchmarks/faults.py`: faults in saves and in checkpoints."""

import argparse
import contextlib
import io
import json
import pathlib
import random
import shutil
import subprocess
import sys
from typing import Any

import numpy as np

from benchmarks import ROOT
from modest.run import runtime

DISK_CALLS = (
    "rename,renameat,renameat2",
    "mkdir,mkdirat",
    "unlink,unlinkat,rmdir",
    "fsync,fdatasync",
    "write,pwrite64,pwritev",
)


def points(arguments: argparse.Namespace, work: pathlib.Path, rng: random.Random) -> None:
    """Kill a save at the k-th system call of each kind, for every k that there is.

    Calls are counted per thread. Afterwards the newest checkpoint must be intact, and nothing else
    may be left in the directory.

    Args:
      arguments: see `faults.py`.
      work: empty directory.
      rng: not used.

    Raises:
      RuntimeError: the newest checkpoint is not intact, or something else is left.
    """
    directory = work / "points"
    restored = []
    for calls in DISK_CALLS:
        for k in range(1, arguments.points + 1):
            shutil.rmtree(directory, ignore_errors=True)
            subprocess.run(_python(f"save_steps({str(directory)!r}, 1, 2)"), cwd=ROOT, check=True)
            strace = [
                "strace",
                "-f",
                "-qq",
                "-o/dev/null",
                f"-einject={calls}:signal=KILL:when={k}",
            ]
            save = _python(f"save_steps({str(directory)!r}, 3, 3)")
            done = subprocess.run([*strace, *save], cwd=ROOT, capture_output=True)
            if done.returncode == 0:  # the save makes fewer calls of this kind
                break
            restored.append(_newest_step(directory, f"{calls} {k}"))
    print(
        f"points: killed at {len(restored)} calls of a save; then step 2 was the newest "
        f"{restored.count(2)} times, step 3 {restored.count(3)} times, each intact, and nothing "
        "else was left",
        flush=True,
    )


def _newest_step(directory, call):
    """Return the newest step after a kill, read in a new process."""
    read = _python(f"print_newest_step({str(directory)!r})")
    done = subprocess.run(read, cwd=ROOT, capture_output=True, text=True)
    others = [path.name for path in directory.iterdir() if not path.name.isdigit()]
    if done.returncode or others or json.loads(done.stdout) not in (2, 3):
        raise RuntimeError(f"after a kill at {call}: {done.stdout} {done.stderr} {others}")
    return json.loads(done.stdout)


def _python(call):
    """Return the command that calls a function of this module in a new process."""
    code = f"from benchmarks.jobs import checkpoint_faults; checkpoint_faults.{call}"
    return [sys.executable, "-c", code]


def save_steps(directory: str, first: int, last: int) -> None:
    """Save checkpoints of the steps `first` to `last`."""
    runtime.prepare()
    from modest.state.checkpoint import Checkpoints

    with Checkpoints(directory, keep=2) as checkpoints:
        for step in range(first, last + 1):
            checkpoints.save(step, _state_of(step), {"step": step}, score=step)


def print_newest_step(directory: str) -> None:
    """Restore the newest checkpoint, check that it is intact, and print its step."""
    runtime.prepare()
    from modest.state.checkpoint import Checkpoints

    with Checkpoints(directory, keep=2) as checkpoints:
        found = checkpoints.restore_newest(_state_of(0))
        assert found is not None
        restored, meta = found
        assert (restored["kernel"] == meta["step"]).all() and restored["step"] == meta["step"]
        print(json.dumps(meta["step"]))


def _state_of(step: int) -> dict[str, Any]:
    return {"kernel": np.full((64, 64), step, np.float32), "step": np.int32(step)}


def flips(arguments: argparse.Namespace, work: pathlib.Path, rng: random.Random) -> None:
    """Damage files of the newer of two checkpoints, by a flipped bit or by cutting off the end.

    Either the damage is reported and the older checkpoint is restored, or the newer one is restored
    as it was saved.

    Args:
      arguments: see `faults.py`.
      work: empty directory.
      rng: draws the file and the place.

    Raises:
      RuntimeError: damage was not found, or not reported.
    """
    from modest.state.checkpoint import Checkpoints

    intact, damaged = work / "whole", work / "flips"
    states = _two_states(arguments.seed)
    with Checkpoints(intact, keep=2) as checkpoints:
        for step, saved in states.items():
            checkpoints.save(step, saved, {"step": step})
    files = [path for path in (intact / "2").rglob("*") if path.is_file() and path.stat().st_size]
    weights = [
        path.stat().st_size ** 0.5 for path in files
    ]  # large files more often, small ones too
    found = harmless = 0
    for number in range(arguments.flips):
        shutil.rmtree(damaged, ignore_errors=True)
        shutil.copytree(intact, damaged)
        path = damaged / rng.choices(files, weights)[0].relative_to(intact)
        _damage(path, rng, cut_off=number % 5 == 0)
        with (
            contextlib.redirect_stdout(io.StringIO()) as output,
            Checkpoints(damaged) as checkpoints,
        ):
            found_state = checkpoints.restore_newest(states[1])
        assert found_state is not None
        restored, meta = found_state
        if any((restored[name] != array).any() for name, array in states[meta["step"]].items()):
            raise RuntimeError(f"{path}: damaged, and not found")
        if meta["step"] == 1 and f"{damaged / '2'} is damaged" not in output.getvalue():
            raise RuntimeError(f"{path}: damaged, and found, but not reported: {output.getvalue()}")
        found += meta["step"] == 1
        harmless += meta["step"] == 2
    print(
        f"flips: {arguments.flips} in {len(files)} files: {found} found and reported, and the "
        f"older checkpoint restored; {harmless} in data that is not read, and the newer "
        "checkpoint restored as it was saved; none missed",
        flush=True,
    )


def _two_states(seed):
    """Return `{1: state, 2: state}` with different arrays."""
    draw = np.random.default_rng(seed)
    base = {
        "kernel": draw.random((64, 128), np.float32),
        "momentum": draw.random((64, 128), np.float32),
        "step": np.int32(0),
    }
    return {
        step: {name: array + np.ones_like(array) * step for name, array in base.items()}
        for step in (1, 2)
    }


def _damage(path, rng, cut_off):
    """Cut off the end of a file at a random place, or flip a random bit of it."""
    content = path.read_bytes()
    if cut_off:
        path.write_bytes(content[: rng.randrange(len(content))])
        return
    place = rng.randrange(len(content))
    flipped = bytes([content[place] ^ 1 << rng.randrange(8)])
    path.write_bytes(content[:place] + flipped + content[place + 1 :])
