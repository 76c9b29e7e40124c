"""Where the training batches come from: records on disk, or a library of cut-outs on the device.

Both classes have the same attribute and methods. `composites` is the number of composites per
epoch. `batches` returns the batches of an epoch, and the library to which their indices refer, or
None. `example_names` returns the background and the figure of each example of one batch.
"""

from collections.abc import Iterator
from typing import Any

import tensorflow_datasets as tfds

from modest.data.batches import device_composites, library_loader, loader
from modest.data.batches.cutouts import Library
from modest.run import devices


class RecordBatches:
    """Batches of stored composites (`data.source=records`)."""

    def __init__(
        self, builder: tfds.core.DatasetBuilder, batch_size: int, seed: int, threads: int
    ) -> None:
        """See `loader.train_batches` for the arguments."""
        self.composites: int = builder.info.splits["train"].num_examples
        self._builder, self._batch_size, self._seed = builder, batch_size, seed
        self._threads = threads
        self._size: int | None = None

    def batches(self, epoch: int, size: int, first: int) -> tuple[Iterator[dict[str, Any]], None]:
        """Return the batches of an epoch (from 0) at a size in px; skip the first `first`."""
        rows = devices.process_rows(self._batch_size)
        examples = self._examples_of(size)
        batches = loader.train_batches(
            examples, self._batch_size, self._seed, epoch, first, self._threads, rows
        )
        return batches, None

    def example_names(self, epoch: int, size: int, number: int) -> list[str]:
        """Return text such as "bg001 + fg002" for each example of batch `number` of an epoch."""
        examples = self._examples_of(size)
        return loader.train_ids(examples, self._batch_size, self._seed, epoch, number)

    def _examples_of(self, size):
        if size != self._size:
            self._examples = loader.Examples(self._builder, "train", size)
            self._size = size
        return self._examples


class LibraryBatches:
    """Batches of indices, from which the device makes new composites or scenes."""

    def __init__(
        self,
        builder: tfds.core.DatasetBuilder,
        size: int,
        batch_size: int,
        seed: int,
        composites: int,
        needs_depth: bool,
        scale: float,
        may_be_cut: bool,
    ) -> None:
        """Load the library at the picture size of the first epoch.

        Args:
          builder: a prepared data set.
          size: height and width of the composites of the first epoch, in px.
          batch_size: examples per batch, over all devices.
          seed: seed of the order.
          composites: number of composites per epoch; 0 for as many as the train split has.
          needs_depth: whether the composites must have depth.
          scale, may_be_cut: see `library_loader.load`.
        """
        self.composites: int = composites or builder.info.splits["train"].num_examples
        self._builder, self._batch_size, self._seed = builder, batch_size, seed
        self._options = needs_depth, scale, may_be_cut
        self._load(size)

    def batches(
        self, epoch: int, size: int, first: int
    ) -> tuple[Iterator[dict[str, Any]], Library]:
        """Return the batches of an epoch (from 0), without the first `first`; and the library.

        If `size`, in px, has changed, the library is loaded again.
        """
        if size != self._size:
            self._load(size)
        return self._numbers(epoch, first, devices.process_rows(self._batch_size)), self._library

    def example_names(self, epoch: int, size: int, number: int) -> list[str]:
        """Return text such as "bg001 + fg002" for each example of batch `number` of an epoch."""
        batch = next(self._numbers(epoch, number, slice(None)))
        backgrounds, figures = library_loader.member_ids(self._builder)
        pairs = zip(batch["background"], batch["figure"])
        return [f"{backgrounds[b]} + {figures[f]}" for b, f in pairs]

    def _numbers(self, epoch, first, rows):
        return device_composites.batches(
            *self._counts, self.composites, self._batch_size, self._seed, epoch, first, rows
        )

    def _load(self, size):
        self._library = None  # frees the device's memory before the next one is loaded
        library = library_loader.load(self._builder, size, *self._options)
        self._size = size
        self._counts = len(library.backgrounds), len(library.figures)
        self._library = devices.replicate(library)
