"""Write the shards of a data set in parallel, so that a killed build can resume.

A shard is one file with a fixed list of examples. It is written under a temporary name and renamed
when it is complete. Only then `<file>.json` is written beside it, with a summary. A shard that has
a summary is not written again; a shard that has none is written from its start. So a killed build
loses at most the shards in progress, and its result is bit-identical to that of an undisturbed one.
"""

import contextlib
import hashlib
import json
import os
import pathlib
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any, NamedTuple, TypeAlias

import numpy as np
import tensorflow_datasets as tfds
import tqdm
from tensorflow_datasets.core import example_serializer, file_adapters

from modest.data.masks import Reading
from modest.data.museum.records import NewRecord
from modest.errors import InputError
from modest.run import files

SUMMARY = ".json"

FileName: TypeAlias = Callable[[str, int, int], str]  # (split, number, count) -> name of a shard


class Shard(NamedTuple):
    """A file to write.

    Attributes:
      split: the split that it belongs to.
      examples: called without arguments, yields its records in order. For a composite that cannot
        be used it yields an `InputError`; the composite is left out, and reported at the end.
    """

    split: str
    examples: Callable[[], Iterator[NewRecord | InputError]]


class Contents(NamedTuple):
    """The plan of a data set, before any of it is made.

    Attributes:
      shards: the same list in every build of a data set.
      mistakes: one message for each composite that cannot even be listed.
      depth: whether the composites have depth.
      background_depth: whether the empty backgrounds have depth.
      masks: how the masks are read.
    """

    shards: list[Shard]
    mistakes: list[str]
    depth: bool
    background_depth: bool
    masks: Reading = Reading()


class Written(NamedTuple):
    """The summary of a complete shard. Its field names are the keys of `<file>.json`.

    Attributes:
      file: name of the file.
      split: the split that it belongs to.
      examples: number of records.
      bytes: their total size.
      sha256: hash of the file.
      rejected: one message for each record that was left out.
      pairs: (background, figure) of the records, without duplicates.
      levels: sum of the records' `levels` as nested lists; empty if they are not counted.
      depth: sum of the records' `depth`.
      masks: number of masks, of empty ones, of full ones, and the sum of their foreground shares.
    """

    file: str
    split: str
    examples: int
    bytes: int
    sha256: str
    rejected: list[str]
    pairs: list[tuple[str, str]]
    levels: list[list[int]]
    masks: tuple[int, int, int, float] = (0, 0, 0, 0.0)
    depth: tuple[int, int, int, int] = (0, 0, 0, 0)


def write(
    directory: pathlib.Path,
    shards: list[Shard],
    features: tfds.features.FeaturesDict,
    file_name: FileName,
    threads: int,
) -> list[Written]:
    """Write the shards that `directory` does not hold yet.

    Args:
      directory: where the shards go; it outlives a killed build.
      shards: the same list in every build of a data set.
      features: TFDS features, which encode a record.
      file_name: returns the file name of a shard.
      threads: number of shards to write at a time.

    Returns:
      The summary of every shard, in order.
    """
    with ThreadPoolExecutor(threads) as pool:
        futures = [
            pool.submit(write_one, directory, shards, index, features, file_name)
            for index in range(len(shards))
        ]
        progress = tqdm.tqdm(futures, "writing", unit="shard", disable=None, leave=False)
        try:
            return [future.result() for future in progress]
        except BaseException:
            pool.shutdown(cancel_futures=True)
            raise


def parts(members: Sequence[Any], size: int) -> list[Any]:
    """Divide the members of a split into parts of `size`, one for each shard."""
    return [members[start : start + size] for start in range(0, len(members), size)]


class Writer:
    """A picklable function that writes the shard of a given number.

    Each process plans the data set at its first shard, because the plan cannot be pickled.
    """

    def __init__(
        self,
        directory: pathlib.Path,
        list_contents: Callable[[], Contents],
        features: tfds.features.FeaturesDict,
        file_name: FileName,
    ) -> None:
        """Store the arguments of `write`; `list_contents()` returns the shards."""
        self._directory = directory
        self._list_contents = list_contents
        self._features = features
        self._file_name = file_name
        self._shards: list[Shard] | None = None

    def __call__(self, index: int) -> None:
        """Write a shard, unless it is there already."""
        if self._shards is None:
            self._shards = self._list_contents().shards
        write_one(self._directory, self._shards, index, self._features, self._file_name)

    def __getstate__(self) -> dict[str, Any]:
        """Leave out the shards, which cannot be pickled."""
        return self.__dict__ | {"_shards": None}


def write_one(
    directory: pathlib.Path,
    shards: list[Shard],
    index: int,
    features: tfds.features.FeaturesDict,
    file_name: FileName,
) -> Written:
    """Write `shards[index]` unless `directory` holds it, and return its summary."""
    shard = shards[index]
    count = sum(other.split == shard.split for other in shards)
    number = sum(other.split == shard.split for other in shards[:index])
    path = directory / file_name(shard.split, number, count)
    summary = path.with_name(path.name + SUMMARY)
    with contextlib.suppress(OSError, ValueError, TypeError):  # missing or damaged: write it again
        return Written(**json.loads(summary.read_text()))
    serializer = example_serializer.ExampleSerializer(features.get_serialized_info())

    def serialize(record: dict[str, Any]) -> bytes:
        # Otherwise the map of a proto would have another order in each process.
        example = serializer.get_tf_example(features.encode_example(record))
        return example.SerializeToString(deterministic=True)

    written = _write_file(path, shard, serialize)
    files.write(summary, json.dumps(written._asdict()).encode(), durable=True)
    return written


def _write_file(path, shard, serialize):
    count, size, rejected, pairs, levels, shares = 0, 0, [], {}, np.zeros((), np.int64), []
    depth = np.zeros(4, np.int64)

    def serialized():
        nonlocal count, size, levels, depth
        for new in shard.examples():
            if isinstance(new, InputError):
                rejected.append(str(new))
                continue
            data = serialize(new.record)
            count, size = count + 1, size + len(data)
            pairs[new.record["bg_id"], new.record["fg_id"]] = None
            levels = levels if new.levels is None else levels + new.levels
            depth = depth + new.depth
            if new.foreground is not None:
                shares.append(float(new.foreground))
            yield count, data

    temporary = files.temporary_name(path)
    try:
        file_adapters.ArrayRecordFileAdapter.write_examples(temporary, serialized())
        with temporary.open("rb") as file:
            digest = hashlib.file_digest(file, "sha256").hexdigest()
            os.fsync(file.fileno())
        temporary.rename(path)
    except RuntimeError as error:  # of ArrayRecord, such as a full disk
        raise InputError(f"{path}: cannot be written ({str(error).partition(';')[0]})") from None
    finally:
        temporary.unlink(missing_ok=True)
    return Written(
        file=path.name,
        split=shard.split,
        examples=count,
        bytes=size,
        sha256=digest,
        rejected=rejected,
        pairs=list(pairs),
        levels=levels.tolist() if levels.ndim else [],
        masks=(len(shares), shares.count(0), shares.count(1), sum(shares)),
        depth=tuple(depth.tolist()),
    )
