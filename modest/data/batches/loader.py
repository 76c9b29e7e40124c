"""Batches of stored composites, in an order that is a pure function of (seed, epoch).

A batch is `{"bg", "bg_fg": [B,H,W,3], "mask", "depth": [B,H,W,1], "valid": [B]}`, uint8 and bool;
`depth` is absent if the data set has none. `depth_valid` (like `depth`; 255 where it is known, 0
elsewhere) is there only if the data set has pixels of unknown depth. The number of a batch alone
determines its records (grain's `MapDataset`), so that a run can resume from its step number.
Threads decode the pictures; no process is started.
"""

import collections
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import grain
import numpy as np
import tensorflow_datasets as tfds
from ml_collections import ConfigDict

from modest.data import images
from modest.data.museum import preparation, records
from modest.run import devices

EVERY_ROW = slice(None)


def prepare_from_config(data: ConfigDict) -> tfds.core.DatasetBuilder:
    """Prepare the data set that section `data` of a config names; see `preparation.prepare`."""
    options: dict[str, Any]
    if data.name.startswith("procedural"):
        options = {"changes": data.procedural.to_dict()}
    else:
        options = {
            "directory": data.dir,
            "splits": data.splits,
            "max_bad_fraction": data.max_bad_fraction,
            "masks": data.masks,
            "unknown_depth": data.unknown_depth,
        }
    with devices.main_first():
        return preparation.prepare(data.name, prepared_dir=data.prepared_dir, **options)


class Examples:
    """The decoded examples of a split: `examples[i]` is a dict of uint8 `[size,size,C]`.

    A background is decoded when it is first needed, and then kept.

    Attributes:
      indices: the place of each example in its split.
    """

    def __init__(
        self, builder: tfds.core.DatasetBuilder, split: str, size: int, most: int | None = None
    ) -> None:
        """Open a split of a prepared data set.

        Args:
          builder: the data set.
          split: name of the split.
          size: pictures are resized to this number of px, square.
          most: if the split has more examples, use only this many, spread evenly.
        """
        metadata = builder.info.metadata
        self._size = (size, size)
        self._records = preparation.source(builder, split)
        count = len(self._records)
        self.indices = range(count) if most is None else spread(most, count)
        self._name = f"{builder.info.full_name} {split}"
        self._unknown_depth = metadata.get("unknown_depth")  # None if all depth is known
        has_plain_depth = metadata["depth"] and self._unknown_depth is None
        self._kinds = [k for k in records.PICTURES if k != "depth" or has_plain_depth]
        self._backgrounds = preparation.source(builder, records.BACKGROUNDS)
        self._places = {record["bg_id"]: place for place, record in enumerate(self._backgrounds)}
        self._decoded: dict[bytes, np.ndarray] = {}  # backgrounds, by id

    def __len__(self) -> int:
        """Return the number of examples."""
        return len(self.indices)

    def __getitem__(self, index: int | np.integer) -> dict[str, np.ndarray]:
        """Return one example."""
        record = self._record(index)
        example = {kind: self._read(record, kind) for kind in self._kinds}
        if self._unknown_depth is not None:
            example["depth"], example["depth_valid"] = images.read_depth(
                record["depth"], self._unknown_depth, self._size, f"{self._name}: depth"
            )
        return example | {"bg": self._background(record["bg_id"])}

    def batch(self, indices: Sequence[int] | np.ndarray) -> dict[str, np.ndarray]:
        """Return several examples as one dict of uint8 `[B,size,size,C]`."""
        examples = [self[index] for index in indices]
        return {kind: np.stack([example[kind] for example in examples]) for kind in examples[0]}

    def ids(self, index: int | np.integer) -> str:
        """Return the ids of an example's background and figure as text: "bg001 + fg002"."""
        return " + ".join(self.identities(index))

    def identities(self, index: int | np.integer) -> tuple[str, str]:
        """Return the ids of an example's background and figure."""
        record = self._record(index)
        return record["bg_id"].decode(), record["fg_id"].decode()

    def _record(self, index):
        return self._records[self.indices[int(index)]]

    def _background(self, bg_id):
        if bg_id not in self._decoded:
            record = self._backgrounds[self._places[bg_id]]
            self._decoded[bg_id] = self._read(record, "bg_fg")
        return self._decoded[bg_id]

    def _read(self, record, kind):
        ids = f"{record['bg_id'].decode()} {record['fg_id'].decode()}"
        return images.read(record[kind], kind, self._size, f"{self._name}: {kind} of {ids}")


def spread(count: int, examples: int) -> list[int]:
    """Return `count` indices spread evenly over the examples; all indices if there are fewer.

    Neighbouring examples would show the same room.
    """
    count = min(count, examples)
    return [i * examples // count for i in range(count)]


def train_batches(
    examples: Examples,
    batch_size: int,
    seed: int,
    epoch: int,
    first: int = 0,
    threads: int = 2,
    rows: slice = EVERY_ROW,
) -> Iterator[dict[str, np.ndarray]]:
    """Yield the shuffled batches of an epoch. A partial last batch is dropped.

    The order depends only on `seed` and `epoch`.

    Args:
      examples: the examples of the split.
      batch_size: examples per batch, over all processes.
      seed: seed of the order.
      epoch: number of the epoch.
      first: number of the first batch to yield.
      threads: number of threads that decode.
      rows: the rows of each batch to read.
    """

    def read(indices):
        return examples.batch(indices[rows])

    batches = _shuffled(examples, batch_size, seed, epoch)[first:].map(read)
    for batch in _read_ahead(batches, threads):
        yield batch | {"valid": np.ones(batch_size, bool)[rows]}


def train_ids(examples: Examples, batch_size: int, seed: int, epoch: int, number: int) -> list[str]:
    """Return `Examples.ids` of each example of batch `number` of `train_batches`."""
    indices = _shuffled(examples, batch_size, seed, epoch)[number]
    return [examples.ids(index) for index in indices]


def eval_batches(
    examples: Examples, batch_size: int, threads: int = 2, rows: slice = EVERY_ROW
) -> Iterator[dict[str, np.ndarray]]:
    """Yield every example once, in the order of the data set.

    The last batch is padded with copies of the last example, for which `valid` is False.

    Args:
      examples: the examples of the split.
      batch_size: examples per batch, over all processes.
      threads: number of threads that decode.
      rows: the rows of each batch to read.
    """
    count = len(examples)

    def read(start):
        indices = np.arange(start, start + batch_size)[rows]
        return examples.batch(np.minimum(indices, count - 1))

    batches = grain.MapDataset.range(0, count, batch_size).map(read)
    for start, batch in zip(range(0, count, batch_size), _read_ahead(batches, threads)):
        yield batch | {"valid": (np.arange(start, start + batch_size) < count)[rows]}


def _shuffled(examples, batch_size, seed, epoch):
    """Return the indices of the examples of each batch.

    Shuffling and batching indices in grain is faster than shuffling and batching pictures.
    """
    order_seed = int(np.random.SeedSequence((seed, epoch)).generate_state(1)[0])
    indices = grain.MapDataset.range(len(examples)).shuffle(seed=order_seed)
    return indices.batch(batch_size, drop_remainder=True)


def _read_ahead(batches, threads):
    """Yield the batches in order; each is read by one thread of a pool.

    With grain's own iterator this would take a fifth longer.
    """
    pool = ThreadPoolExecutor(threads)
    try:
        ahead = collections.deque()
        for number in range(len(batches)):
            ahead.append(pool.submit(batches.__getitem__, number))
            if len(ahead) > 2 * threads:
                yield ahead.popleft().result()
        while ahead:
            yield ahead.popleft().result()
    finally:
        pool.shutdown(cancel_futures=True)
