"""Batches of uint8 pictures from a prepared data set, in an order that is a pure function of (seed, epoch).

A batch is `{"bg", "bg_fg": [B,H,W,3], "mask", "depth": [B,H,W,1], "valid": [B]}`, without `depth` where the data set has none.
Record number -> batch is index-pure (grain's `MapDataset`), so a run is resumed by the number of its step alone. Threads decode; no
process is started.
"""

import collections
from concurrent.futures import ThreadPoolExecutor

import grain
import numpy as np

from modest import parallel, pictures
from modest.data import museum


def prepare(data):
    """The builder that the config's section `data` names, prepared on disk (see `museum.prepare`)."""
    if data.name.startswith("procedural"):
        options = {"changes": data.procedural.to_dict()}
    else:
        options = {"directory": data.dir, "splits": data.splits, "max_bad_fraction": data.max_bad_fraction}
    with parallel.main_first("prepare"):
        return museum.prepare(data.name, prepared_dir=data.prepared_dir, **options)


EVERY_ROW = slice(None)


class Examples:
    """The decoded examples of one split: `len`, and `[i]` -> a dict of uint8 pictures `[size,size,C]`.

    A background is decoded when it is first asked for, and kept.
    """

    def __init__(self, builder, split, size):
        """`size` is the height and width in px that every picture is resized to."""
        self._size = (size, size)
        self._records = museum.source(builder, split)
        self._name = f"{builder.info.full_name} {split}"
        self._kinds = [kind for kind in museum.PICTURES if kind != "depth" or builder.info.metadata["depth"]]
        self._backgrounds = museum.source(builder, museum.BACKGROUNDS)
        self._places = {record["bg_id"]: place for place, record in enumerate(self._backgrounds)}
        self._decoded = {}  # backgrounds, by name

    def __len__(self):
        return len(self._records)

    def __getitem__(self, index):
        record = self._records[int(index)]
        example = {kind: self._read(record, kind) for kind in self._kinds}
        return example | {"bg": self._background(record["bg_id"])}

    def batch(self, indices):
        """The examples at several places as one dict of uint8 `[B,size,size,C]`."""
        examples = [self[index] for index in indices]
        return {kind: np.stack([example[kind] for example in examples]) for kind in examples[0]}

    def ids(self, index):
        """ "background + figure" of an example."""
        record = self._records[int(index)]
        return f"{record['bg_id'].decode()} + {record['fg_id'].decode()}"

    def _background(self, bg_id):
        if bg_id not in self._decoded:
            self._decoded[bg_id] = self._read(self._backgrounds[self._places[bg_id]], "bg_fg")
        return self._decoded[bg_id]

    def _read(self, record, kind):
        ids = f"{record['bg_id'].decode()} {record['fg_id'].decode()}"
        return pictures.read(record[kind], kind, self._size, f"{self._name}: {kind} of {ids}")


def train_batches(examples, batch_size, seed, epoch, first=0, threads=2, rows=EVERY_ROW):
    """The batches of one epoch from number `first` on, shuffled; a last partial batch is dropped. An iterator of dicts.

    The order depends on `seed` and `epoch` alone, not on `first` or on `threads`. `rows` is a slice: those of each batch to read.
    """
    read = lambda indices: examples.batch(indices[rows])
    for batch in _read_ahead(_shuffled(examples, batch_size, seed, epoch)[first:].map(read), threads):
        yield batch | {"valid": np.ones(batch_size, bool)[rows]}


def train_ids(examples, batch_size, seed, epoch, number):
    """Which examples batch `number` of `train_batches` holds, by name."""
    return [examples.ids(index) for index in _shuffled(examples, batch_size, seed, epoch)[number]]


def eval_batches(examples, batch_size, threads=2, rows=EVERY_ROW):
    """Every example once, in the data set's order; the last batch is filled up with copies whose `valid` is False."""
    count, last = len(examples), len(examples) - 1
    read = lambda start: examples.batch(np.minimum(np.arange(start, start + batch_size)[rows], last))
    batches = grain.MapDataset.range(0, count, batch_size).map(read)
    for start, batch in zip(range(0, count, batch_size), _read_ahead(batches, threads)):
        yield batch | {"valid": (np.arange(start, start + batch_size) < count)[rows]}


def _shuffled(examples, batch_size, seed, epoch):
    """The places of the examples of each batch: numbers are shuffled and batched, for grain's handling of pictures costs time."""
    order_seed = int(np.random.SeedSequence((seed, epoch)).generate_state(1)[0])
    return grain.MapDataset.range(len(examples)).shuffle(seed=order_seed).batch(batch_size, drop_remainder=True)


def _read_ahead(batches, threads):
    """The batches in order, each made whole by one of the threads. (grain's own iterator takes a fifth longer.)"""
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
