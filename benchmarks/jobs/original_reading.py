"""Reading a data set as the PyTorch original does it, for comparison in `benchmarks/data.py`.

Every picture of an example is opened with Pillow, decoded at full size, scaled to [0, 1] and
normalised in float64, and then resized.
"""

import itertools
import pathlib
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor

import numpy as np
from PIL import Image

from modest.preprocess import STATISTICS

MEAN, STD = np.array(STATISTICS["mean"]), np.array(STATISTICS["std"])


def original_batches(
    directory: pathlib.Path,
    names: Sequence[Sequence[str]],
    size: int,
    batch_size: int,
    threads: int,
) -> Iterator[list[np.ndarray]]:
    """Yield shuffled batches.

    Args:
      directory: a data set in the MODEST layout.
      names: for each example, the names of `bg`, `bg_fg`, `mask` and `depth`.
      size: picture size in px.
      batch_size: examples per batch; a partial last batch is dropped.
      threads: number of threads that read.
    """

    def resize(array):
        image = Image.fromarray(array.astype(np.float32))
        return np.asarray(image.resize((size, size), Image.Resampling.BILINEAR))

    def colour(path):
        picture = np.asarray(Image.open(path).convert("RGB")) / 255.0
        picture = (picture - MEAN) / STD
        return np.stack([resize(picture[..., channel]) for channel in range(3)])

    def grey(path):
        return resize(np.asarray(Image.open(path).convert("L")) / 255.0)[None]

    def read(index):
        bg, bg_fg, mask, depth = names[index]
        return (
            colour(directory / "bg" / f"{bg}.jpeg"),
            colour(directory / "bg_fg" / f"{bg_fg}.jpeg"),
            grey(directory / "bg_fg_mask" / f"{mask}.jpeg"),
            grey(directory / "bg_fg_depth_map" / f"{depth}.jpeg"),
        )

    order = np.random.default_rng(0).permutation(len(names))
    with ThreadPoolExecutor(threads) as pool:
        examples = pool.map(read, order)
        for _ in range(len(names) // batch_size):
            yield [np.stack(part) for part in zip(*itertools.islice(examples, batch_size))]
