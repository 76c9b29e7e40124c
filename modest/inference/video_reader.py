"""The frames of a video, turned upright, and whether the file is complete. Needs PyAV."""

import pathlib
from collections.abc import Iterator
from types import ModuleType
from typing import Any

import numpy as np

from modest.data import orientation
from modest.errors import InputError
from modest.inference.clip import Clip

TRANSPORT_STREAMS = (".m2ts", ".mts", ".ts")  # suffixes
TS_PACKETS = (188, 192, 204)  # sizes of the packets of an MPEG transport stream, in bytes
LEAST_PYAV = 15  # earlier ones do not know the duration of a frame


def check(path: pathlib.Path) -> None:
    """Check what can be checked before any frame is read.

    Raises:
      InputError: there is no such file, or PyAV is missing.
    """
    if not path.is_file():
        raise InputError(f"{path}: no such video")
    pyav()


def read(path: pathlib.Path, clip: Clip) -> Iterator[tuple[str, np.ndarray]]:
    """Yield `(number, uint8 [H,W,3])` of every frame of a video; the first number is `000001`.

    Args:
      path: the video.
      clip: is filled while the frames are read. A video that ends early gives those that it has.

    Raises:
      InputError: no frame can be read; or see `check`.
    """
    check(path)
    number = 0
    try:
        with open_video(path) as video:
            stream = video.streams.video[0]
            clip.rate, first = stream.average_rate or 25, None
            for number, frame in enumerate(_decode(video, stream, clip), 1):
                picture = frame.to_ndarray(format="rgb24")
                time = float((number - 1) / clip.rate) if frame.time is None else frame.time
                first = time if first is None else first
                name = f"{number:06}"
                clip.times[name] = time - first
                yield name, orientation.turn(picture, _orientation(frame))
            clip.promised = _promised(video, stream, list(clip.times.values()))
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
        except pyav().FFmpegError as error:
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
    with open_video(pathlib.Path(path)) as video:
        packets = video.demux(video.streams[stream.index])
        return sum(bool(p.size) and not p.is_corrupt for p in packets) >= stream.frames


def _orientation(frame):
    """Return the orientation that a frame's display matrix states; a phone held upright has one."""
    data = frame.side_data.get("DISPLAYMATRIX")
    if data is None:
        return 1
    return orientation.of_matrix(np.frombuffer(bytes(data), np.int32).tolist())


def open_video(path: pathlib.Path, mode: str = "r", **options: str) -> Any:
    """Open a video. FFmpeg takes what stands before a colon in a relative path for a protocol."""
    return pyav().open(str(path.absolute()), mode, **options)


def pyav() -> ModuleType:
    """Return the module `av`.

    Raises:
      InputError: PyAV is not installed, or is too old.
    """
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
