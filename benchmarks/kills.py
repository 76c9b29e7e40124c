"""Kills the composer and the builder of a data set at random moments, and demands the bytes of an undisturbed run.

    python -m benchmarks.kills [--kills 50] [--set DIR]

A command is started, killed by SIGKILL after a random part of the time that it takes, and started again on what it left; when it
gets to its end, it starts anew in an empty directory. After each kill no process of it may live on; each time that it ends, every
file must be that of the undisturbed run, and no other may be there.
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

COMPOSE = [sys.executable, "-m", "modest.data.compose", "--depth", "scene", "--rooms", "4", "--people", "5", "--places", "10"]
BUILD = [sys.executable, "-m", "modest.data.museum", "--name", "folder"]


def digests(directory):
    """{relative path: SHA-256} of every file."""
    files = (path for path in directory.rglob("*") if path.is_file())
    return {str(path.relative_to(directory)): hashlib.sha256(path.read_bytes()).hexdigest() for path in files}


def group(process):
    """The living processes of a session, by `/proc`."""
    members = []
    for stat in pathlib.Path("/proc").glob("[0-9]*/stat"):
        try:
            fields = stat.read_text().rpartition(")")[2].split()
        except OSError:
            continue
        if int(fields[3]) == process.pid and fields[0] != "Z":
            members.append(stat.parent.name)
    return members


def attack(name, command, out, kills, rng):
    """Runs `command` until it was killed so often; prints what came of it."""
    run = lambda: subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, start_new_session=True)
    start = time.monotonic()
    undisturbed = run()
    error = undisturbed.communicate()[1]
    if undisturbed.returncode:
        raise RuntimeError(error.decode())
    seconds, expected = time.monotonic() - start, digests(out)
    killed = ended = orphans = 0
    while killed < kills or ended == 0:
        shutil.rmtree(out, ignore_errors=True)
        while True:
            process = run()
            try:
                process.wait(rng.uniform(0, seconds) if killed < kills else 600)
            except subprocess.TimeoutExpired:
                process.send_signal(signal.SIGKILL)
                process.wait()
                killed += 1
                time.sleep(0.5)
                orphans += len(group(process))
                continue
            if process.returncode:
                raise RuntimeError(process.stderr.read().decode())
            break
        ended += 1
        if digests(out) != expected:
            raise RuntimeError(f"{name}: other files than those of the undisturbed run")
    print(
        f"{name}: {seconds:.1f} s undisturbed; killed {killed} times, ended {ended} times, each time with the same "
        f"{len(expected)} files; {orphans} processes left behind",
        flush=True,
    )


def main():
    """The command; see the module."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.kills", description=__doc__.splitlines()[0])
    parser.add_argument("--kills", type=int, default=50, help="of each of the two")
    parser.add_argument("--set", help="a directory in the MODEST layout to build from, in place of the one that was composed")
    parser.add_argument("--seed", type=int, default=0, help="of the moments")
    arguments = parser.parse_args()
    rng = random.Random(arguments.seed)
    with tempfile.TemporaryDirectory() as work:
        composed, prepared = pathlib.Path(work) / "set", pathlib.Path(work) / "prepared"
        if not arguments.set:
            attack("compose", [*COMPOSE, "--out", str(composed)], composed, arguments.kills, rng)
        source = arguments.set or str(composed)
        attack("build", [*BUILD, "--dir", source, "--prepared_dir", str(prepared)], prepared, arguments.kills, rng)


if __name__ == "__main__":
    main()
