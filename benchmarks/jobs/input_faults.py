"""Mutated inputs of every reader: each must be read or refused, by one line, in time.

The inputs are read in a process of its own, which is replaced if it hangs or dies.
"""

import argparse
import collections
import json
import os
import pathlib
import random
import select
import subprocess
import sys

from benchmarks import ROOT
from benchmarks.jobs import input_readers
from modest.errors import IncompleteError, InputError

LIMIT_SECONDS = 20  # for one input
TEXTS = ("txt", "json")  # a part of these may be a whole
# What has no checksum may be changed without a sign of it. Otherwise that counts as a failure.
UNCHECKED = ("jpg", "webp", "avif", "bmp", "tif", "npy", "exr", "gif", "mp4", *TEXTS)


def inputs(arguments: argparse.Namespace, work: pathlib.Path, rng: random.Random) -> None:
    """Read mutated inputs.

    Args:
      arguments: see `faults.py`.
      work: empty directory.
      rng: draws the seed of the mutations.

    Raises:
      RuntimeError: one ended in another exception than `InputError`, was read as something else in
        silence, took too long, or ended the process.
    """
    seed, number = rng.randrange(2**31), 0
    counts: collections.Counter[str] = collections.Counter()
    failed = []
    while number < arguments.inputs:
        code = f"from benchmarks.jobs import input_faults as f; f.child({str(work)!r}, {seed}, "
        command = [sys.executable, "-c", f"{code}{number}, {arguments.inputs})"]
        child = subprocess.Popen(
            command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
        )
        assert child.stdout is not None
        while number < arguments.inputs:
            is_first = not counts
            ready = select.select([child.stdout], [], [], LIMIT_SECONDS * (1 + 5 * is_first))[0]
            line = child.stdout.readline() if ready else ""
            outcome = json.loads(line) if line else ["?", "hang" if not ready else "crash", ""]
            number += 1
            counts[outcome[1]] += 1
            if outcome[1] not in ("same", "refused", "changed, no checksum"):
                failed.append(outcome)
                print(f"inputs: number {number - 1}, seed {seed}: {outcome}", flush=True)
            if not line:
                break
        child.kill()
        child.communicate()
    text = ", ".join(f"{count} {outcome}" for outcome, count in counts.most_common())
    print(f"inputs: {arguments.inputs} mutated: {text}", flush=True)
    if failed:
        raise RuntimeError(f"inputs: {len(failed)} were neither read nor refused in one line")


def child(work: str, seed: int, first: int, end: int) -> None:
    """Read the inputs `first` to `end`; print `[reader, outcome, details]` of each as JSON."""
    directory = pathlib.Path(work)
    outcomes = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)  # what the readers print does not belong to the outcomes
    readers = input_readers.readers(directory)
    expected = {name: _outcome(read, data)[1] for name, (read, data) in readers.items()}
    for number in range(first, end):
        rng = random.Random(f"{seed} {number}")
        name = list(readers)[number % len(readers)]
        read, data = readers[name]
        kind, mutated = mutate(data, rng)
        outcome, value = _outcome(read, mutated)
        if outcome == "read":
            outcome = "same" if value == expected[name] else "changed"
        suffix = name.split()[-1]
        if outcome == "changed" and suffix in UNCHECKED and (kind != "cut" or suffix in TEXTS):
            outcome = "changed, no checksum"
        print(json.dumps([f"{name}: {kind}", outcome, str(value)[:300]]), file=outcomes, flush=True)


def mutate(data: bytes, rng: random.Random) -> tuple[str, bytes]:
    """Return how the data are changed, and the changed data."""
    kind = rng.choice(("flip", "cut", "delete", "repeat", "overwrite", "insert"))
    start = rng.randrange(len(data)) if rng.random() < 0.5 else rng.randrange(min(64, len(data)))
    length = rng.choice((1, 2, 4, 16, 200))
    part = data[start : start + length]
    noise = bytes(rng.choice((0, 255, rng.randrange(256))) for _ in range(length))
    if kind == "flip":
        flipped = bytes([data[start] ^ 1 << rng.randrange(8)])
        return kind, data[:start] + flipped + data[start + 1 :]
    if kind == "cut":
        return kind, data[:start]
    if kind == "delete":
        return kind, data[:start] + data[start + length :]
    if kind == "repeat":
        return kind, data[:start] + part + data[start:]
    if kind == "overwrite":
        return kind, data[:start] + noise[: len(part)] + data[start + length :]
    return kind, data[:start] + noise + data[start:]


def _outcome(read, data):
    """Return `read` and a comparable value; `refused` or `traceback`, and the error."""
    try:
        return "read", read(data)
    except (InputError, IncompleteError) as error:
        lines = str(error).count("\n")
        listed = str(error).count("\n  ")  # a list of mistakes has a line for each
        return ("refused" if lines == listed else "more than one line"), str(error)
    except Exception as error:
        return "traceback", f"{type(error).__name__}: {error}"
