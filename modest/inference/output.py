"""Write predictions: the files of a pair, or those of a directory or a video."""

import collections
import concurrent.futures
import contextlib
import pathlib
from collections.abc import Mapping
from typing import Any

import matplotlib
import numpy as np
from PIL import Image

from modest.constants import MASK_THRESHOLD
from modest.data import images
from modest.evaluation import figures
from modest.inference import fitting, frames
from modest.inference.predict import BATCH, Predictor
from modest.preprocess import to_metres
from modest.run import files

FIGURE_PIXELS = 1200  # longer side of a picture in `prediction.png`
PENDING = 2 * BATCH  # pictures that may wait to be written

Maps = Mapping[str, np.ndarray]  # {"mask", "depth"} in [0, 1], float32 [H,W]


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
    Image.fromarray(foreground).save(mask)
    if "depth" not in maps:
        return [mask]
    millimetres = np.round(1000 * to_metres(maps["depth"])).astype(np.uint16)
    Image.fromarray(millimetres).save(depth)
    return [mask, depth]


def write_pair(
    directory: str | pathlib.Path, bg: np.ndarray, result: fitting.Result
) -> list[pathlib.Path]:
    """Write the files of a pair; return their paths.

    They are `mask.png`, `depth.png`, `depth.npy`, `prediction.png` and `alignment.json`; and, if
    there is a part that the background does not reach, `unknown.png`, 255 there.
    """
    directory, maps = pathlib.Path(directory), result.maps
    directory.mkdir(parents=True, exist_ok=True)
    written = save_maps(maps, directory / "mask.png", directory / "depth.png")
    if "depth" in maps:
        np.save(directory / "depth.npy", to_metres(maps["depth"]))
        written.append(directory / "depth.npy")
    written.append(_write_reports(directory, {result.name: result.report}))
    if result.has_unknown:
        written.append(_save_unknown(result.unknown, directory / "unknown.png"))
    shown = {"bg": bg, "bg_fg": result.picture}
    shown |= {f"output_{head}": _to_uint8(x)[..., None] for head, x in maps.items()}
    figure = figures.predictions({"": {kind: _reduced(x)[None] for kind, x in shown.items()}})
    return [*written, figures.save(figure, directory / "prediction.png")]


def write_sequence(
    directory: str | pathlib.Path,
    bg: np.ndarray,
    source: str,
    predictor: Predictor,
    align: str = "auto",
    align_each: bool = False,
) -> dict[str, dict[str, Any]]:
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
      For each picture's name, its report, see `fitting`.

    Raises:
      InputError: a picture cannot be read, or differs from the background in size.
      IncompleteError: a video ended early; the frames that it has were written.
    """
    directory = pathlib.Path(directory)
    reports: dict[str, dict[str, Any]] = {}
    is_video, clip = frames.is_video(source), frames.Clip()
    pending: collections.deque = collections.deque()
    with contextlib.ExitStack() as stack:
        threads = stack.enter_context(concurrent.futures.ThreadPoolExecutor(2))
        pictures = frames.read_ahead(frames.read(source, clip), PENDING)
        for result in fitting.predictions(predictor, bg, pictures, align, align_each):
            name, picture, maps = result[:3]
            if not reports:
                for head in maps:
                    (directory / head).mkdir(parents=True, exist_ok=True)
                if is_video:
                    rate = frames.frames_per_second(source)
                    writer = frames.VideoWriter(directory / "prediction.mp4", rate)
                    video = stack.enter_context(writer)
            paths = (directory / head / f"{name}.png" for head in ("mask", "depth"))
            pending.append(threads.submit(save_maps, maps, *paths))
            if result.has_unknown:
                (directory / "unknown").mkdir(exist_ok=True)
                path = directory / "unknown" / f"{name}.png"
                pending.append(threads.submit(_save_unknown, result.unknown, path))
            while len(pending) > PENDING:
                pending.popleft().result()
            if is_video:
                video.write(_side_by_side(picture, maps), clip.times[len(reports)])
            reports[name] = result.report
        for saved in pending:
            saved.result()
    _write_reports(directory, reports)
    clip.check(source)
    return reports


def _save_unknown(unknown, path):
    Image.fromarray(255 * unknown.astype(np.uint8)).save(path)
    return path


def _write_reports(directory, reports):
    files.write_json(directory / "alignment.json", reports)
    return directory / "alignment.json"


def _side_by_side(picture, maps):
    """Return the picture, the mask, and the coloured depth in a row, uint8 `[H,W,3]`."""
    shown = [picture, _to_uint8(maps["mask"])[..., None].repeat(3, axis=2)]
    if "depth" in maps:
        magma = matplotlib.colormaps["magma"](np.arange(256))[:, :3]
        shown.append((255 * magma).astype(np.uint8)[_to_uint8(maps["depth"])])
    return np.concatenate(shown, axis=1)


def _reduced(picture):
    """Return a picture at the largest size that the figure shows; drawing takes much memory."""
    scale = FIGURE_PIXELS / max(picture.shape[:2])
    if scale >= 1:
        return picture
    height, width = (max(1, round(scale * length)) for length in picture.shape[:2])
    return images.resize(picture, (height, width))


def _to_uint8(x):
    return np.round(255 * x).astype(np.uint8)
