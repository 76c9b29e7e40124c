"""Many pictures of one view: those of a directory, by name, or the frames of a video. Videos need PyAV (`pip install av`)."""

import collections
import concurrent.futures
import pathlib

import numpy as np

from modest import pictures
from modest.vocabulary import InputError

PICTURES = (".jpg", ".jpeg", ".png")
VIDEOS = (".avi", ".m4v", ".mkv", ".mov", ".mp4", ".webm")


def is_video(path):
    """Whether a path is named like a video."""
    return pathlib.Path(path).suffix.lower() in VIDEOS


def read(path):
    """`(name, uint8 [H,W,3])` of every picture of a directory, or of every frame of a video (`000001`, ...), in order.

    Raises:
      InputError: there is none, or one cannot be read.
    """
    path, count = pathlib.Path(path), 0
    for name, picture in _of_video(path) if is_video(path) else _of_directory(path):
        yield name, picture
        count += 1
    if not count:
        raise InputError(f"{path}: no frame in it" if is_video(path) else f"{path}: no {', '.join(PICTURES)} in it")


def _of_directory(directory):
    paths = sorted(path for path in directory.iterdir() if path.suffix.lower() in PICTURES)
    for before, path in zip([None, *paths], paths):
        if before and before.stem == path.stem:
            raise InputError(f"{before} and {path.name} have one name, and so would what is predicted of them; rename one")
        yield path.stem, pictures.read(str(path), "bg_fg")


def _of_video(path):
    av = _pyav()
    if not path.is_file():
        raise InputError(f"{path}: no such video")
    try:
        with av.open(str(path)) as video:
            for number, frame in enumerate(video.decode(video=0), 1):
                # A phone held upright stores its frames lying down, and by how many degrees to turn them, counterclockwise.
                yield f"{number:06}", np.rot90(frame.to_ndarray(format="rgb24"), round(frame.rotation / 90))
    except (av.FFmpegError, IndexError) as error:  # IndexError: a file without pictures, such as sound
        raise InputError(f"{path}: not a video that can be read ({error})") from None


class VideoWriter:
    """Writes uint8 `[H,W,3]` frames of one size as H.264; a context manager. An odd last row or column is left out."""

    def __init__(self, path, frames_per_second):
        self._av = _pyav()
        self._video = self._av.open(str(path), "w")
        self._stream = self._video.add_stream("libx264", rate=frames_per_second)

    def __enter__(self):
        return self

    def write(self, frame):
        """Adds one."""
        height, width = (length // 2 * 2 for length in frame.shape[:2])
        if not self._stream.codec_context.is_open:
            self._stream.height, self._stream.width, self._stream.pix_fmt = height, width, "yuv420p"
        self._video.mux(self._stream.encode(self._av.VideoFrame.from_ndarray(frame[:height, :width].copy(), format="rgb24")))

    def __exit__(self, *exception):
        if self._stream.codec_context.is_open:  # so it is with the first frame
            self._video.mux(self._stream.encode())
        self._video.close()


def frames_per_second(path):
    """Of a video, as a fraction; 25 where it does not say."""
    with _pyav().open(str(path)) as video:
        return video.streams.video[0].average_rate or 25


def ahead(items, count):
    """The items; up to `count` of them are made in a thread before they are asked for."""
    items, end = iter(items), object()
    with concurrent.futures.ThreadPoolExecutor(1) as thread:
        made = collections.deque(thread.submit(next, items, end) for _ in range(count))
        while (item := made.popleft().result()) is not end:
            made.append(thread.submit(next, items, end))
            yield item


def _pyav():
    try:
        import av
    except ImportError:
        raise InputError("videos need PyAV: pip install av") from None
    return av
