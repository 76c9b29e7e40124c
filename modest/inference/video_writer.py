"""`VideoWriter`: writes frames as an H.264 video. Needs PyAV."""

import pathlib
from fractions import Fraction
from typing import Self

import numpy as np

from modest.inference.video_reader import open_video, pyav
from modest.run import files

TIME_BASE = Fraction(1, 90_000)  # of the videos that are written, in seconds


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
        self._av, self._path = pyav(), path
        self._temporary = files.temporary_name(path)
        self._video = open_video(self._temporary, "w", format="mp4")
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
