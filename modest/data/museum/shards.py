"""Writes the shards of a data set in parallel, so that a build that was killed goes on where it was.

A shard is one file with a fixed list of examples. It is written under a temporary name, renamed when whole, and only then entered
beside it, `<file>.json`, with what is to be known of it. A shard that is entered is not written again; one that is not is written
from its start. So a killed build loses at most the shards that were in the making, and ends in the bytes of one never killed.
"""

import contextlib
import fcntl
import hashlib
import json
import os
import pathlib
import socket
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any, NamedTuple

import numpy as np
import tqdm
from tensorflow_datasets.core import example_serializer, file_adapters

from modest.vocabulary import InputError

TEMPORARY = ".tmp"
ENTRY = ".json"


class Shard(NamedTuple):
    """What one file is to hold: the examples that `examples()` gives, in that order.

    A member that is an `InputError` in place of an example is one that cannot be used; it is left out, and told of at the end.
    With `measure`, an array of whole numbers is taken of every example and summed.
    """

    split: str
    examples: Callable[[], Iterator[Any]]
    measure: Callable[[Any], np.ndarray] | None = None


class Written(NamedTuple):
    """What is known of a file that is whole."""

    file: str
    split: str
    examples: int
    bytes: int
    sha256: str
    rejected: list  # why each example that was left out cannot be used
    measured: list  # the sum of `measure` over the examples, as nested lists; empty without it


@contextlib.contextmanager
def lock(path):
    """Holds the lock file `path` while in the block; it is let go of when the process ends, however it ends.

    Raises:
      InputError: another process holds it.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("a+") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            file.seek(0)
            raise InputError(f"{path.parent}: being prepared by {file.read().strip() or 'another process'}; wait for it") from None
        file.truncate(0)
        file.write(f"process {os.getpid()} on {socket.gethostname()}")
        file.flush()
        yield


def write(directory, shards, features, file_name, threads):
    """Writes every one of `shards` that is not yet in `directory`, `threads` at a time; gives a `Written` for each, in order.

    Args:
      directory: kept between a build that was killed and the next one.
      shards: a list of `Shard`, the same one for every build of a data set.
      features: the TFDS features that encode an example.
      file_name: (split, number, count) -> the name of a shard's file.
    """
    directory.mkdir(parents=True, exist_ok=True)
    for leftover in directory.glob(f"*{TEMPORARY}"):
        leftover.unlink()
    counts, numbers = {}, []
    for shard in shards:
        numbers.append(counts.get(shard.split, 0))
        counts[shard.split] = numbers[-1] + 1
    serializer = example_serializer.ExampleSerializer(features.get_serialized_info())
    serialize = lambda example: serializer.serialize_example(features.encode_example(example))

    def write_or_find(shard, number):
        path = directory / file_name(shard.split, number, counts[shard.split])
        entry = path.with_name(path.name + ENTRY)
        if entry.is_file():
            return Written(**json.loads(entry.read_text()))
        written = _write_one(path, shard, serialize)
        _put(entry, json.dumps(written._asdict()).encode())
        return written

    with ThreadPoolExecutor(threads) as pool:
        futures = [pool.submit(write_or_find, shard, number) for shard, number in zip(shards, numbers)]
        try:
            return [future.result() for future in tqdm.tqdm(futures, "writing", unit="shard", disable=None, leave=False)]
        except BaseException:
            pool.shutdown(cancel_futures=True)
            raise


def _write_one(path, shard, serialize):
    count, size, rejected, measured = 0, 0, [], np.zeros((), np.int64)

    def serialized():
        nonlocal count, size, measured
        for example in shard.examples():
            if isinstance(example, InputError):
                rejected.append(str(example))
                continue
            data = serialize(example)
            count, size = count + 1, size + len(data)
            if shard.measure:
                measured = measured + shard.measure(example)
            yield count, data

    temporary = path.with_name(path.name + TEMPORARY)
    file_adapters.ArrayRecordFileAdapter.write_examples(temporary, serialized())
    with temporary.open("rb") as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()
        os.fsync(file.fileno())
    temporary.rename(path)
    return Written(path.name, shard.split, count, size, digest, rejected, measured.tolist() if shard.measure else [])


def _put(path: pathlib.Path, data):
    """Writes a small file so that it is there whole or not at all."""
    temporary = path.with_name(path.name + TEMPORARY)
    with temporary.open("wb") as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())
    temporary.rename(path)
