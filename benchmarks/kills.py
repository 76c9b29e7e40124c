"""Kill the preparation of data sets at random moments, and compare its files to an undisturbed run.

    python -m benchmarks.kills [--kills 50] [--set DIR]

`modest compose` and `modest prepare` are each started, killed by SIGKILL after a random part of the
time that they need, and started again on what they left behind. When a command has finished, it is
started in an empty directory again. After each kill, none of its processes may be alive. Each time
it finishes, its files must be those of the undisturbed run, byte for byte, and no others.
"""

import argparse
import hashlib
import pathlib
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import time

from benchmarks.jobs import processes

MODEST = [sys.executable, "-m", "modest"]
COMPOSE = [*MODEST, "compose", "--depth=scene", "--rooms=4", "--people=5", "--places=10"]
PREPARE = [*MODEST, "prepare", "--name=folder"]


def file_hashes(directory: pathlib.Path) -> dict[str, str]:
    """Return `{relative path: SHA-256}` of every file in a directory."""
    files = (path for path in directory.rglob("*") if path.is_file())
    return {
        str(path.relative_to(directory)): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in files
    }


def start(command: list[str]) -> subprocess.Popen:
    """Start a command in a session of its own."""
    return subprocess.Popen(
        command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, start_new_session=True
    )


def attack(
    name: str, command: list[str], out: pathlib.Path, kills: int, rng: random.Random
) -> None:
    """Run a command until it was killed often enough, and print what happened.

    Args:
      name: for the printed line.
      command: writes files to `out`.
      out: directory; removed before each run.
      kills: number of kills.
      rng: draws the moments.

    Raises:
      RuntimeError: the command failed, or its files differ from those of the undisturbed run.
    """
    began = time.monotonic()
    undisturbed = start(command)
    error = undisturbed.communicate()[1]
    if undisturbed.returncode:
        raise RuntimeError(error.decode())
    seconds, expected = time.monotonic() - began, file_hashes(out)
    killed = finished = orphans = 0
    while killed < kills or finished == 0:
        shutil.rmtree(out, ignore_errors=True)
        while True:
            process = start(command)
            try:
                process.wait(rng.uniform(0, seconds) if killed < kills else 600)
            except subprocess.TimeoutExpired:
                process.send_signal(signal.SIGKILL)
                process.wait()
                killed += 1
                time.sleep(0.5)
                orphans += len(processes.in_session(process.pid))
                continue
            if process.returncode:
                raise RuntimeError(process.communicate()[1].decode())
            break
        finished += 1
        if file_hashes(out) != expected:
            raise RuntimeError(f"{name}: the files differ from those of the undisturbed run")
    print(
        f"{name}: {seconds:.1f} s undisturbed; killed {killed} times, finished {finished} times, "
        f"each time with the same {len(expected)} files; {orphans} processes left behind",
        flush=True,
    )


def main() -> None:
    """Run the command; see the module."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.kills", description=__doc__.splitlines()[0]
    )
    parser.add_argument("--kills", type=int, default=50, help="number for each command")
    help_ = "directory in the MODEST layout to prepare; without it, a composed one is used"
    parser.add_argument("--set", help=help_)
    parser.add_argument("--seed", type=int, default=0, help="seed of the moments")
    arguments = parser.parse_args()
    rng = random.Random(arguments.seed)
    with tempfile.TemporaryDirectory() as work:
        composed, prepared = pathlib.Path(work) / "set", pathlib.Path(work) / "prepared"
        if not arguments.set:
            compose = [*COMPOSE, f"--out={composed}"]
            attack("compose", compose, composed, arguments.kills, rng)
        prepare = [*PREPARE, f"--dir={arguments.set or composed}", f"--prepared_dir={prepared}"]
        attack("prepare", prepare, prepared, arguments.kills, rng)


if __name__ == "__main__":
    main()
