"""Write predictions: the files of a pair, or those of a directory or a video.

Results of an earlier run are removed before the first new one is written, see `output_directory`. A
file has its name once it is complete.
"""

import collections
import concurrent.futures
import contextlib
import io
import pathlib
from collections.abc import Iterable, Iterator
from typing import Any, Self

import matplotlib
import numpy as np
from PIL import Image
from PIL.PngImagePlugin import PngInfo

from modest.constants import MASK_THRESHOLD
from modest.data import images
from modest.errors import InputError
from modest.evaluation import figures
from modest.inference import fitting, frames, output_directory
from modest.inference.clip import Clip
from modest.inference.output_directory import HEADS, OF_VIDEO, SOFTWARE, UNKNOWN
from modest.inference.predict import BATCH, Maps, Predictor
from modest.inference.video_writer import VideoWriter
from modest.preprocess import to_metres
from modest.run import files

FIGURE_PIXELS = 1200  # longer side of a picture in `prediction.png`
VIDEO_PIXELS = 8192  # longer side of `prediction.mp4`; the encoder takes at most 16,384
PENDING = 2 * BATCH  # pictures that may wait to be written


def save_maps(maps: Maps, mask: pathlib.Path, depth: pathlib.Path) -> list[pathlib.Path]:
    """Write the mask (0 or 255) and, if there is one, the depth (16 bit, mm) as PNG.

    Args:
      maps: as `Predictor` returns them.
      mask: path of the mask.
      depth: path of the depth.

    Returns:
      The paths that were written.
    """
    foreground = np.where(maps["mask"] >= MASK_THRESHOLD, 255, 0).astype(np.uint8)
    _save_png(foreground, mask)
    if "depth" not in maps:
        return [mask]
    millimetres = np.round(1000 * to_metres(maps["depth"])).astype(np.uint16)
    _save_png(millimetres, depth)
    return [mask, depth]


def write_pair(
    directory: str | pathlib.Path, bg: np.ndarray, result: fitting.Result
) -> list[pathlib.Path]:
    """Write the files of a pair; return their paths.

    They are `mask.png`, `depth.png`, `depth.npy`, `prediction.png` and `alignment.json`; and, if
    there is a part that the background does not reach, `unknown.png`, 255 there.
    """
    directory, maps = pathlib.Path(directory), result.maps
    output_directory.begin(directory)
    written = save_maps(maps, directory / "mask.png", directory / "depth.png")
    if "depth" in maps:
        stream = io.BytesIO()
        np.save(stream, to_metres(maps["depth"]))
        files.write(directory / "depth.npy", stream.getvalue())
        written.append(directory / "depth.npy")
    written.append(output_directory.write_reports(directory, {result.name: result.report}))
    if result.has_unknown:
        written.append(_save_unknown(result.unknown, directory / "unknown.png"))
    shown = {"bg": bg, "bg_fg": result.picture}
    shown |= {f"output_{head}": _to_uint8(x)[..., None] for head, x in maps.items()}
    figure = figures.predictions(
        {"": {kind: _reduced(x, FIGURE_PIXELS)[None] for kind, x in shown.items()}}
    )
    return [*written, figures.save(figure, directory / "prediction.png", SOFTWARE)]


def write_sequence(
    directory: str | pathlib.Path,
    bg: np.ndarray,
    source: str,
    predictor: Predictor,
    align: str = "auto",
    align_each: bool = False,
) -> tuple[dict[str, dict[str, Any]], Clip]:
    """Predict every picture of a directory or a video, and write the results.

    Writes `mask/NAME.png` and `depth/NAME.png`, `unknown/NAME.png` where the background does not
    reach all of a picture, `alignment.json`, and for a video `prediction.mp4`: the frame, the mask,
    and the depth side by side.

    Args:
      directory: to write to.
      bg: the background, uint8 `[H,W,3]`.
      source: path of a directory of pictures, or of a video.
      predictor: the network.
      align, align_each: see `fitting.predictions`.

    Returns:
      For each picture's name, its report, see `fitting`; and the clip, whose `problem` says whether
      a video ended early, and which pictures of a directory cannot be read or differ from the
      background in size. The results of the others are written.

    Raises:
      InputError: no picture can be used, or a frame differs from the background in size.
    """
    is_video, clip = frames.is_video(source), Clip()
    pictures = frames.read_ahead(frames.read(source, clip), PENDING)
    if not is_video:
        pictures = _of_size(pictures, bg, clip)
    with _SequenceWriter(pathlib.Path(directory), clip) as writer:
        for result in fitting.predictions(predictor, bg, pictures, align, align_each):
            writer.write(result)
        writer.finish()
    if not writer.reports:
        raise InputError(clip.unusable[0])
    output_directory.write_reports(writer.directory, writer.reports)
    return writer.reports, clip


class _SequenceWriter:
    """Writes the results of many pictures, PNG files in two threads; a context manager.

    The first result begins the directory, so that it stays as it is if there is none. A video has
    its name once the block has ended without an error.
    """

    def __init__(self, directory: pathlib.Path, clip: Clip) -> None:
        """Create a writer.

        Args:
          directory: to write to.
          clip: of the pictures, which is filled while they are read.
        """
        self.directory, self.reports = directory, dict[str, dict[str, Any]]()
        self._clip, self._video = clip, None
        self._pending: collections.deque = collections.deque()
        self._stack = contextlib.ExitStack()
        self._threads = self._stack.enter_context(concurrent.futures.ThreadPoolExecutor(2))

    def __enter__(self) -> Self:
        return self

    def write(self, result: fitting.Result) -> None:
        """Write the maps of a picture, and its frame of the video if there is one."""
        if not self.reports:
            self._begin(result.maps)
        name = f"{result.name}.png"
        self._save(save_maps, result.maps, *(self.directory / head / name for head in HEADS))
        if result.has_unknown:
            (self.directory / UNKNOWN).mkdir(exist_ok=True)
            self._save(_save_unknown, result.unknown, self.directory / UNKNOWN / name)
        if self._video is not None:
            shown = _side_by_side(result.picture, result.maps)
            self._video.write(shown, self._clip.times[result.name])
        self.reports[result.name] = result.report

    def finish(self) -> None:
        """Wait until all PNG files are written."""
        while self._pending:
            self._pending.popleft().result()

    def __exit__(self, *exception: Any) -> None:
        self._stack.__exit__(*exception)

    def _begin(self, heads):
        output_directory.begin(self.directory)
        for head in heads:
            (self.directory / head).mkdir(exist_ok=True)
        if self._clip.rate is not None:
            writer = VideoWriter(self.directory / OF_VIDEO, self._clip.rate, SOFTWARE)
            self._video = self._stack.enter_context(writer)

    def _save(self, function, *arguments):
        while len(self._pending) >= PENDING:
            self._pending.popleft().result()
        self._pending.append(self._threads.submit(function, *arguments))


def _save_unknown(unknown, path):
    _save_png(255 * unknown.astype(np.uint8), path)
    return path


def _of_size(
    pictures: Iterable[tuple[str, np.ndarray]], bg: np.ndarray, clip: Clip
) -> Iterator[tuple[str, np.ndarray]]:
    """Yield the pictures that have the size of the background; note the others in `clip`."""
    for name, picture in pictures:
        try:
            images.check_pair(bg, picture, name)
        except InputError as error:
            clip.unusable.append(str(error))
        else:
            yield name, picture


def _save_png(picture, path):
    stream, mark = io.BytesIO(), PngInfo()
    mark.add_text("Software", SOFTWARE)
    Image.fromarray(picture).save(stream, "PNG", pnginfo=mark)
    files.write(path, stream.getvalue())


def _side_by_side(picture, maps):
    """Return the picture, the mask, and the coloured depth in a row, uint8 `[H,W,3]`.

    The row is reduced if it is longer than VIDEO_PIXELS.
    """
    shown = [picture, _to_uint8(maps["mask"])[..., None].repeat(3, axis=2)]
    if "depth" in maps:
        magma = matplotlib.colormaps["magma"](np.arange(256))[:, :3]
        shown.append((255 * magma).astype(np.uint8)[_to_uint8(maps["depth"])])
    return _reduced(np.concatenate(shown, axis=1), VIDEO_PIXELS)


def _reduced(picture, pixels):
    """Return a picture whose longer side has at most `pixels`; no side has fewer than 2."""
    scale = pixels / max(picture.shape[:2])
    if scale >= 1:
        return picture
    height, width = (max(2, round(scale * length)) for length in picture.shape[:2])
    return images.resize(picture, (height, width))


def _to_uint8(x):
    return np.round(255 * x).astype(np.uint8)
