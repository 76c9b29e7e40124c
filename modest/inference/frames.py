"""Many pictures of one view: a directory of pictures, or a video. Videos need PyAV."""

import collections
import concurrent.futures
import pathlib
from collections.abc import Iterable, Iterator
from typing import Any, TypeVar

import numpy as np

from modest.data import images, picture_files
from modest.errors import InputError
from modest.inference import video_reader
from modest.inference.clip import Clip

T = TypeVar("T")

PICTURES = picture_files.suffixes()
VIDEOS = (
    *(".3gp", ".avi", ".flv", ".gif", ".m4v", ".mkv", ".mov", ".mp4", ".mpeg", ".mpg", ".webm"),
    *(".wmv", *video_reader.TRANSPORT_STREAMS),
)


def is_video(path: str | pathlib.Path) -> bool:
    """Return whether a path has the suffix of a video, and is no directory."""
    path = pathlib.Path(path)
    return path.suffix.lower() in VIDEOS and not path.is_dir()


def read(path: str | pathlib.Path, clip: Clip | None = None) -> Iterator[tuple[str, np.ndarray]]:
    """Yield `(name, uint8 [H,W,3])` of every picture, in order.

    The pictures of a directory are named after their files, without suffix, and sorted by name. The
    frames of a video are named by their numbers, `000001`, ...

    Args:
      path: a directory or a video.
      clip: is filled while the pictures are read. A picture of a directory that cannot be read is
        left out. A video that ends early gives the frames that it has.

    Raises:
      InputError: there is no picture, or none can be read; or two of a directory have one name.
    """
    path, clip, count = pathlib.Path(path), clip or Clip(), 0
    read_all = video_reader.read if is_video(path) else _of_directory
    for name, picture in read_all(path, clip):
        yield name, picture
        count += 1
    if not count:
        raise InputError(clip.unusable[0] if clip.unusable else f"{path}: no frame in it")


def check(path: str | pathlib.Path) -> None:
    """Check what can be checked before any picture is read.

    Raises:
      InputError: there is no such video, or PyAV is missing; or see `pictures`.
    """
    path = pathlib.Path(path)
    if is_video(path):
        video_reader.check(path)
    else:
        pictures(path)


def pictures(directory: pathlib.Path) -> dict[str, pathlib.Path]:
    """Return `{name without suffix: path}` of the visible pictures of a directory, sorted by name.

    Raises:
      InputError: there is none, or two have the same name, so that one result would overwrite the
        other.
    """
    try:
        found = sorted(directory.iterdir())
    except OSError as error:
        raise InputError(f"{directory}: cannot be read ({error.strerror})") from None
    paths: dict[str, pathlib.Path] = {}
    for path in picture_files.matching(found, PICTURES):
        before = paths.setdefault(picture_files.normal(path.stem), path)
        if before != path:
            raise InputError(
                f"{before} and {path.name} have the same name, so their predictions would "
                "overwrite each other; rename one"
            )
    if not paths:
        hint = images.missing_package(found)
        raise InputError(f"{directory}: no {', '.join(PICTURES)} in it{'; ' * bool(hint)}{hint}")
    return paths


def _of_directory(directory, clip):
    for stem, path in pictures(directory).items():
        try:
            picture = images.read(str(path), "bg_fg")
        except InputError as error:
            clip.unusable.append(str(error))
        else:
            yield stem, picture


def read_ahead(items: Iterable[T], count: int) -> Iterator[T]:
    """Yield the items; a thread fetches up to `count` of them in advance."""
    iterator: Iterator[Any] = iter(items)
    end = object()
    with concurrent.futures.ThreadPoolExecutor(1) as thread:
        submitted = (thread.submit(next, iterator, end) for _ in range(count))
        futures: collections.deque[Any] = collections.deque(submitted)
        while (item := futures.popleft().result()) is not end:
            futures.append(thread.submit(next, iterator, end))
            yield item
