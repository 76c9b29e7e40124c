"""Many pictures of one view: a directory of pictures, or a video. Videos need PyAV."""

import collections
import concurrent.futures
import dataclasses
import pathlib
from collections.abc import Iterable, Iterator
from fractions import Fraction
from types import ModuleType
from typing import Any, Self, TypeVar

import numpy as np

from modest.data import images, orientation, picture_files
from modest.errors import IncompleteError, InputError
from modest.run import files

T = TypeVar("T")
SHOWN = 5  # unusable pictures that an error message lists
TS_PACKETS = (188, 192, 204)  # sizes of the packets of an MPEG transport stream, in bytes
TIME_BASE = Fraction(1, 90_000)  # of the videos that are written, in seconds

LEAST_PYAV = 15  # earlier ones do not know the duration of a frame

PICTURES = picture_files.suffixes()
TRANSPORT_STREAMS = (".m2ts", ".mts", ".ts")
VIDEOS = (
    *(".3gp", ".avi", ".flv", ".gif", ".m4v", ".mkv", ".mov", ".mp4", ".mpeg", ".mpg", ".webm"),
    *(".wmv", *TRANSPORT_STREAMS),
)


def is_video(path: str | pathlib.Path) -> bool:
    """Return whether a path has the suffix of a video, and is no directory."""
    path = pathlib.Path(path)
    return path.suffix.lower() in VIDEOS and not path.is_dir()


@dataclasses.dataclass
class Clip:
    """What is known of a video, or of a directory, after its pictures have been read.

    Attributes:
      times: of a video, the time of each frame in seconds, from that of the first.
      promised: number of frames that a video claims to have; 0 if it does not.
      is_estimate: whether `promised` follows from the duration only.
      is_damaged: whether some data of a video cannot be decoded or is cut off.
      unusable: what is wrong with each picture of a directory that cannot be used.
    """

    times: list[float] = dataclasses.field(default_factory=list)
    promised: int = 0
    is_estimate: bool = False
    is_damaged: bool = False
    unusable: list[str] = dataclasses.field(default_factory=list)

    def problem(self, path: str | pathlib.Path) -> str:
        """Return in a line which pictures or promised frames were not used; empty if all were.

        Args:
          path: what the line calls the video or the directory.
        """
        if self.unusable:
            shown = "; ".join(self.unusable[:SHOWN]) + "; ..." * (len(self.unusable) > SHOWN)
            count = len(self.unusable)
            were = "picture was" if count == 1 else "pictures were"
            return f"{path}: {count} {were} left out: {shown}"
        gave = f"{len(self.times)}"
        if len(self.times) < self.promised:
            gave += f" of {'about ' * self.is_estimate}{self.promised}"
        elif not self.is_damaged:
            return ""
        return f"{path}: gave {gave} frames; the file is truncated or damaged"

    def check(self, path: str | pathlib.Path) -> None:
        """Raise `IncompleteError` if there is a `problem`."""
        if problem := self.problem(path):
            raise IncompleteError(problem)


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
    for name, picture in _of_video(path, clip) if is_video(path) else _of_directory(path, clip):
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
    if not is_video(path):
        pictures(path)
    elif not path.is_file():
        raise InputError(f"{path}: no such video")
    else:
        _pyav()


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


def _of_video(path, clip):
    check(path)
    number = 0
    try:
        with _open(path) as video:
            stream = video.streams.video[0]
            rate, first = stream.average_rate or 25, None
            for number, frame in enumerate(_decode(video, stream, clip), 1):
                picture = frame.to_ndarray(format="rgb24")
                time = float((number - 1) / rate) if frame.time is None else frame.time
                first = time if first is None else first
                clip.times.append(time - first)
                yield f"{number:06}", orientation.turn(picture, _orientation(frame))
            clip.promised = _promised(video, stream, clip.times)
            clip.is_estimate = not stream.frames
            clip.is_damaged |= _is_cut_off(path)
    except Exception as error:  # of FFmpeg; of a damaged name; IndexError: no video, only sound
        if not number:
            raise InputError(f"{path}: not a video that can be read ({error})") from None
        clip.promised, clip.is_damaged = stream.frames, True


def _decode(video, stream, clip):
    """Yield the frames of a stream. A damaged packet is left out, and raised after the others."""
    damage = None
    for packet in video.demux(stream):
        clip.is_damaged |= packet.is_corrupt  # often decoded all the same, in part
        try:
            yield from packet.decode()
        except _pyav().FFmpegError as error:
            damage = error
    if damage:
        raise damage


def _promised(video, stream, times):
    """Return the number of frames that a file claims to have, or 0 if it has all that it claims.

    Some containers state only their duration, which may be that of the sound.
    """
    if stream.frames:
        is_complete = len(times) >= stream.frames or _has_all_packets(video.name, stream)
        return 0 if is_complete else stream.frames
    seconds, end = (video.duration or 0) / 1e6, times[-1] if times else 0
    if not times or seconds - end <= max(1, 0.05 * seconds):
        return 0
    return max(round((len(times) - 1) * seconds / max(end, 0.04)), len(times) + 1)


def _is_cut_off(path):
    """Return whether a file of a format that states no number of frames lacks its end."""
    suffix, size = path.suffix.lower(), path.stat().st_size
    if suffix in TRANSPORT_STREAMS:
        return all(size % packet for packet in TS_PACKETS)
    if suffix == ".gif":
        with path.open("rb") as file:
            file.seek(max(0, size - 1024))
            return not file.read().rstrip(b"\0").endswith(b";")
    return False


def _has_all_packets(path, stream):
    """Return whether a file has every packet; an edit list may hide some of the frames."""
    with _open(pathlib.Path(path)) as video:
        packets = video.demux(video.streams[stream.index])
        return sum(bool(p.size) and not p.is_corrupt for p in packets) >= stream.frames


def _orientation(frame):
    """Return the orientation that a frame's display matrix states; a phone held upright has one."""
    data = frame.side_data.get("DISPLAYMATRIX")
    if data is None:
        return 1
    return orientation.of_matrix(np.frombuffer(bytes(data), np.int32).tolist())


class VideoWriter:
    """Writes frames of one size as an H.264 video; a context manager.

    Times are written in units of 1 / 90,000 s. The file has its name once it is complete.
    """

    def __init__(
        self, path: pathlib.Path, frames_per_second: Fraction | int, comment: str = ""
    ) -> None:
        """Open the file.

        Args:
          path: of the video.
          frames_per_second: its rate.
          comment: a text in its metadata.
        """
        self._av, self._path = _pyav(), path
        self._temporary = files.temporary_name(path)
        self._video = _open(self._temporary, "w", format="mp4")
        self._video.metadata["comment"] = comment
        self._stream = self._video.add_stream("libx264", rate=frames_per_second)
        self._rate, self._next = Fraction(frames_per_second), 0

    def __enter__(self) -> Self:
        return self

    def write(self, frame: np.ndarray, seconds: float | None = None) -> None:
        """Append a uint8 `[H,W,3]` frame. An odd last row or column is cropped.

        Args:
          frame: the frame.
          seconds: its time; if None, it follows the frame before at the rate of the video.
        """
        height, width = (length // 2 * 2 for length in frame.shape[:2])
        if not self._stream.codec_context.is_open:
            self._stream.height, self._stream.width = height, width
            self._stream.pix_fmt = "yuv420p"
            self._stream.codec_context.time_base = TIME_BASE
        cropped = frame[:height, :width].copy()
        encoded = self._av.VideoFrame.from_ndarray(cropped, format="rgb24")
        step = round(1 / (self._rate * TIME_BASE))
        time = self._next if seconds is None else round(seconds / TIME_BASE)
        encoded.pts = max(time, self._next - step + 1)  # times must increase
        encoded.time_base, encoded.duration = TIME_BASE, step
        self._next = encoded.pts + step
        self._video.mux(self._stream.encode(encoded))

    def __exit__(self, kind: type[BaseException] | None, *exception: object) -> None:
        try:
            if self._stream.codec_context.is_open:  # after the first frame
                self._video.mux(self._stream.encode())
            self._video.close()
            if kind is None:
                self._temporary.replace(self._path)
        finally:
            self._temporary.unlink(missing_ok=True)


def frames_per_second(path: str | pathlib.Path) -> Fraction | int:
    """Return the average frame rate of a video, or 25 if the file does not have it."""
    with _open(pathlib.Path(path)) as video:
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


def _open(path: pathlib.Path, mode: str = "r", **options: str) -> Any:
    """Open a video. FFmpeg takes what stands before a colon in a relative path for a protocol."""
    return _pyav().open(str(path.absolute()), mode, **options)


def _pyav() -> ModuleType:
    try:
        import av
    except ImportError:
        raise InputError(f"videos need PyAV: pip install 'av>={LEAST_PYAV}'") from None
    if int(av.__version__.split(".")[0]) < LEAST_PYAV:
        raise InputError(
            f"videos need PyAV {LEAST_PYAV} or later, and {av.__version__} is installed: "
            f"pip install 'av>={LEAST_PYAV}'"
        )
    return av
