"""Writes the shards of a data set in parallel, so that a build that was killed goes on where it was.

A shard is one file with a fixed list of examples. It is written under a temporary name, renamed when whole, and only then entered
beside it, `<file>.json`, with what is to be known of it. A shard that is entered is not written again; one that is not is written
from its start. So a killed build loses at most the shards that were in the making, and ends in the bytes of one never killed.
"""

import hashlib
import json
import os
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any, NamedTuple

import numpy as np
import tqdm
from tensorflow_datasets.core import example_serializer, file_adapters

from modest import files
from modest.vocabulary import InputError

ENTRY = ".json"


class Shard(NamedTuple):
    """What one file is to hold: the records (`records.Made`) that `examples()` gives, in that order.

    A member that is an `InputError` in place of a record is one that cannot be used; it is left out, and told of at the end.
    """

    split: str
    examples: Callable[[], Iterator[Any]]


class Contents(NamedTuple):
    """What a data set is to hold, before any of it is made."""

    shards: list[Shard]  # the same list for every build of a data set
    mistakes: list[str]  # what is wrong with what cannot even be listed
    depth: bool  # whether the composites have depth
    background_depth: bool  # and whether the backgrounds have


class Written(NamedTuple):
    """What is known of a file that is whole."""

    file: str
    split: str
    examples: int
    bytes: int
    sha256: str
    rejected: list  # why each example that was left out cannot be used
    pairs: list  # (background, figure) of the examples, each once
    levels: list  # the sum of the records' `levels`, as nested lists; empty where they are not counted


def write(directory, shards, features, file_name, threads):
    """Writes every one of `shards` that is not yet in `directory`, `threads` at a time; gives a `Written` for each, in order.

    Args:
      directory: kept between a build that was killed and the next one.
      shards: a list of `Shard`, the same one for every build of a data set.
      features: the TFDS features that encode an example.
      file_name: (split, number, count) -> the name of a shard's file.
    """
    with ThreadPoolExecutor(threads) as pool:
        futures = [pool.submit(write_one, directory, shards, index, features, file_name) for index in range(len(shards))]
        try:
            return [future.result() for future in tqdm.tqdm(futures, "writing", unit="shard", disable=None, leave=False)]
        except BaseException:
            pool.shutdown(cancel_futures=True)
            raise


class Writer:
    """Writes a shard by its number, wherever it is sent to: it can be pickled, and lists what there is to write once a process."""

    def __init__(self, directory, contents_of, features, file_name):
        """As `write` has it; `contents_of()` gives the `Contents`."""
        self._directory, self._contents_of, self._features, self._file_name = directory, contents_of, features, file_name
        self._shards = None

    def __call__(self, index):
        if self._shards is None:
            self._shards = self._contents_of().shards
        write_one(self._directory, self._shards, index, self._features, self._file_name)

    def __getstate__(self):
        return self.__dict__ | {"_shards": None}


def write_one(directory, shards, index, features, file_name):
    """The `Written` of one of `shards`, after it was written to `directory`, or at once where it is there already."""
    shard = shards[index]
    count = sum(other.split == shard.split for other in shards)
    number = sum(other.split == shard.split for other in shards[:index])
    path = directory / file_name(shard.split, number, count)
    entry = path.with_name(path.name + ENTRY)
    if entry.is_file():
        return Written(**json.loads(entry.read_text()))
    serializer = example_serializer.ExampleSerializer(features.get_serialized_info())
    # Deterministic: a protocol buffer's map has another order in each process.
    serialize = lambda record: serializer.get_tf_example(features.encode_example(record)).SerializeToString(deterministic=True)
    written = _write(path, shard, serialize)
    files.write(entry, json.dumps(written._asdict()).encode(), durable=True)
    return written


def _write(path, shard, serialize):
    count, size, rejected, pairs, levels = 0, 0, [], {}, np.zeros((), np.int64)

    def serialized():
        nonlocal count, size, levels
        for made in shard.examples():
            if isinstance(made, InputError):
                rejected.append(str(made))
                continue
            data = serialize(made.record)
            count, size = count + 1, size + len(data)
            pairs[made.record["bg_id"], made.record["fg_id"]] = None
            levels = levels if made.levels is None else levels + made.levels
            yield count, data

    temporary = files.temporary_name(path)
    file_adapters.ArrayRecordFileAdapter.write_examples(temporary, serialized())
    with temporary.open("rb") as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()
        os.fsync(file.fileno())
    temporary.rename(path)
    return Written(path.name, shard.split, count, size, digest, rejected, list(pairs), levels.tolist() if levels.ndim else [])
