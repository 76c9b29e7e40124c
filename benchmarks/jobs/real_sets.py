"""The sets of pictures that `benchmarks/real.py` and others evaluate: how they are read.

Two kinds of directories are read:

- a data set in the MODEST layout; depth maps are optional
- a clip in the layout of CDnet 2014 (Wang et al., "CDnet 2014: An Expanded Change Detection
  Benchmark Dataset"): `input/in000001.jpg`, `groundtruth/gt000001.png`, and `temporalROI.txt` with
  the first and last frame that have ground truth
"""

import pathlib
from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

import numpy as np

from modest.constants import UNKNOWN_DEPTH
from modest.data import composite, images, masks, modest_layout
from modest.data.museum import directory_shards, preparation
from modest.errors import InputError

BACKGROUND_FRAMES = 50  # frames whose median is the background of a clip
# Grey levels of CDnet's ground truth.
SHADOW, OUTSIDE_ROI, UNKNOWN, MOVING = 50, 85, 170, 255


class Pair(NamedTuple):
    """A pair of pictures with its truth.

    Attributes:
      name: name of the picture.
      bg, bg_fg: uint8 `[H,W,3]`.
      truth: mask, bool `[H,W]`.
      depth: float `[H,W]` in [0, 1], NaN where it is unknown; or None.
      background: name of its background; that of the picture if the former is unknown.
    """

    name: str
    bg: np.ndarray
    bg_fg: np.ndarray
    truth: np.ndarray
    depth: np.ndarray | None
    background: str


class Clip(NamedTuple):
    """A clip with ground truth.

    Attributes:
      directory: the clip.
      bg: the median of frames before the first one with ground truth, or of frames from the whole
        clip if there are none; uint8 `[H,W,3]`.
      names: names of the frames with ground truth, in order, such as "000001".
    """

    directory: pathlib.Path
    bg: np.ndarray
    names: list[str]

    def frames(self) -> Iterator[tuple[str, np.ndarray]]:
        """Yield name and picture, uint8 `[H,W,3]`, of the frames with ground truth."""
        for name in self.names:
            yield name, images.read(str(self.directory / f"input/in{name}.jpg"), "bg_fg")

    def truth(self, name: str) -> np.ndarray:
        """Return the ground truth of a frame: CDnet's grey levels, uint8 `[H,W]`."""
        return images.read(str(self.directory / f"groundtruth/gt{name}.png"), "mask")[..., 0]


def check_names(option: str, names: Sequence[str]) -> None:
    """Check that the names of an option differ in their last part, which the output shows.

    Raises:
      InputError: two are the same.
    """
    shown = [pathlib.Path(name).name for name in names]
    for name in shown:
        if shown.count(name) > 1:
            raise InputError(f"{option}: {name} is given twice; give each another name")


def check_count(count: int | None) -> None:
    """Check the number of pairs of each set; None is all.

    Raises:
      InputError: it is less than 1.
    """
    if count is not None and count < 1:
        raise InputError(f"--count={count}: must be at least 1")


def directories(texts: Sequence[str], reserved: Sequence[str] = ()) -> dict[str, pathlib.Path]:
    """Return the directories that options `--set NAME=DIR` name, by name.

    Args:
      texts: the options.
      reserved: names of sets that are there without an option.

    Raises:
      InputError: one is not such a text, its directory does not exist, or a name occurs twice.
    """
    found = {}
    for text in texts:
        name, separator, directory = text.partition("=")
        if not separator or not pathlib.Path(directory).is_dir():
            raise InputError(f"--set={text}: give NAME=DIR, with a directory that exists")
        found[name] = pathlib.Path(directory)
    check_names("--set", [*reserved, *(text.partition("=")[0] for text in texts)])
    return found


def is_clip(directory: pathlib.Path) -> bool:
    """Return whether a directory is a clip in the layout of CDnet 2014."""
    return (directory / "groundtruth").is_dir() and (directory / "input").is_dir()


def pairs(directory: pathlib.Path) -> Iterator[Pair]:
    """Yield the pairs of a data set in the MODEST layout.

    A background is resized to the size of the picture if they differ.

    Raises:
      InputError: the data set cannot be read.
    """
    files = modest_layout.open_files(directory)
    entries, mistakes = modest_layout.entries(files)
    if mistakes:
        raise InputError(modest_layout.summarise_mistakes(mistakes))
    reading = directory_shards.mask_reading(files, entries)
    for entry in entries:
        bg_fg = _read(files, entry, "bg_fg")
        size = bg_fg.shape[:2]
        bg = images.resize(_read(files, entry, "bg"), size)
        mask, _ = masks.read(*modest_layout.read_picture(files, entry, "mask"), reading)
        truth = images.resize(mask[..., None], size)[..., 0] > composite.FOREGROUND
        depth = None
        if entry.depth:
            data, path = modest_layout.read_picture(files, entry, "depth")
            levels, known = images.read_depth(data, UNKNOWN_DEPTH, size, path)
            depth = np.where(known > 0, levels / 255, np.nan)[..., 0]
        yield Pair(entry.bg_fg, bg, bg_fg, truth, depth, entry.bg)


def embedded(size: int = 224) -> Iterator[Pair]:
    """Yield the pairs of the embedded `test` split at the size at which they are stored."""
    from modest.data.batches import loader  # imports JAX, which has its settings by now

    examples = loader.Examples(preparation.prepare("procedural"), "test", size)
    for index in range(len(examples)):
        example = examples[index]
        truth = example["mask"][..., 0] > composite.FOREGROUND
        yield Pair(str(index), example["bg"], example["bg_fg"], truth, None, str(index))


def read_clip(directory: pathlib.Path) -> Clip:
    """Read a clip in the layout of CDnet 2014, without its frames.

    Raises:
      InputError: a file is missing or cannot be read.
    """
    paths = sorted((directory / "input").glob("in*.jpg"))
    first, last = _frames_with_truth(directory, len(paths))
    bg = _median_frame(paths[: first - 1] or paths)
    return Clip(directory, bg, [f"{number:06}" for number in range(first, last + 1)])


def _read(files: modest_layout.Files, entry: modest_layout.Entry, kind: str) -> np.ndarray:
    data, path = modest_layout.read_picture(files, entry, kind)
    return images.read(data, kind, name=path)


def _frames_with_truth(directory: pathlib.Path, frames: int) -> tuple[int, int]:
    path = directory / "temporalROI.txt"
    try:
        first, last = map(int, path.read_text().split())
    except (OSError, ValueError) as error:
        raise InputError(f"{path}: must hold the first and last frame ({error})") from None
    if not 1 <= first <= last <= frames:
        raise InputError(f"{path}: frames {first} to {last}, but the clip has {frames}")
    return first, last


def _median_frame(paths: list[pathlib.Path]) -> np.ndarray:
    chosen = np.linspace(0, len(paths) - 1, min(BACKGROUND_FRAMES, len(paths))).round()
    frames: list[Any] = [images.read(str(paths[int(index)]), "bg") for index in chosen]
    return np.median(frames, axis=0).astype(np.uint8)
