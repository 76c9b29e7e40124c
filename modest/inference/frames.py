"""Many pictures of one view: a directory of pictures, or a video. Videos need PyAV."""

import collections
import concurrent.futures
import pathlib
from collections.abc import Iterable, Iterator
from fractions import Fraction
from types import ModuleType
from typing import Any, Self, TypeVar

import numpy as np

from modest.data import images
from modest.errors import InputError

T = TypeVar("T")

PICTURES = (".jpg", ".jpeg", ".png")
VIDEOS = (".avi", ".m4v", ".mkv", ".mov", ".mp4", ".webm")


def is_video(path: str | pathlib.Path) -> bool:
    """Return whether a path has the suffix of a video."""
    return pathlib.Path(path).suffix.lower() in VIDEOS


def read(path: str | pathlib.Path) -> Iterator[tuple[str, np.ndarray]]:
    """Yield `(name, uint8 [H,W,3])` of every picture, in order.

    The pictures of a directory are named after their files, without suffix, and sorted by name. The
    frames of a video are named by their numbers, `000001`, ...

    Raises:
      InputError: there is no picture, or one cannot be read.
    """
    path, count = pathlib.Path(path), 0
    for name, picture in _of_video(path) if is_video(path) else _of_directory(path):
        yield name, picture
        count += 1
    if not count:
        missing = "frame" if is_video(path) else ", ".join(PICTURES)
        raise InputError(f"{path}: no {missing} in it")


def _of_directory(directory):
    paths = sorted(path for path in directory.iterdir() if path.suffix.lower() in PICTURES)
    for before, path in zip([None, *paths], paths):
        if before and before.stem == path.stem:
            raise InputError(
                f"{before} and {path.name} have the same name, so their predictions would "
                "overwrite each other; rename one"
            )
        yield path.stem, images.read(str(path), "bg_fg")


def _of_video(path):
    av = _pyav()
    if not path.is_file():
        raise InputError(f"{path}: no such video")
    try:
        with av.open(str(path)) as video:
            for number, frame in enumerate(video.decode(video=0), 1):
                # A phone held upright stores rotated frames, and the counterclockwise angle in
                # degrees by which to rotate them back.
                turns = round(frame.rotation / 90)
                yield f"{number:06}", np.rot90(frame.to_ndarray(format="rgb24"), turns)
    except (av.FFmpegError, IndexError) as error:  # IndexError: no video stream, such as sound
        raise InputError(f"{path}: not a video that can be read ({error})") from None


class VideoWriter:
    """Writes frames of one size as an H.264 video; a context manager."""

    def __init__(self, path: pathlib.Path, frames_per_second: Fraction | int) -> None:
        self._av = _pyav()
        self._video = self._av.open(str(path), "w")
        self._stream = self._video.add_stream("libx264", rate=frames_per_second)

    def __enter__(self) -> Self:
        return self

    def write(self, frame: np.ndarray) -> None:
        """Append a uint8 `[H,W,3]` frame. An odd last row or column is cropped."""
        height, width = (length // 2 * 2 for length in frame.shape[:2])
        if not self._stream.codec_context.is_open:
            self._stream.height, self._stream.width = height, width
            self._stream.pix_fmt = "yuv420p"
        cropped = frame[:height, :width].copy()
        encoded = self._av.VideoFrame.from_ndarray(cropped, format="rgb24")
        self._video.mux(self._stream.encode(encoded))

    def __exit__(self, *exception: object) -> None:
        if self._stream.codec_context.is_open:  # after the first frame
            self._video.mux(self._stream.encode())
        self._video.close()


def frames_per_second(path: str | pathlib.Path) -> Fraction | int:
    """Return the average frame rate of a video, or 25 if the file does not have it."""
    with _pyav().open(str(path)) as video:
        return video.streams.video[0].average_rate or 25


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


def _pyav() -> ModuleType:
    try:
        import av
    except ImportError:
        raise InputError("videos need PyAV: pip install av") from None
    return av
