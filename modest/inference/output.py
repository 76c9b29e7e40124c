"""Write predictions: the files of a pair, or those of a directory or a video.

`alignment.json` marks a directory as one of predictions, and a text in a PNG file or a video marks
it as a result. There, results of an earlier run are removed before the first new one is written.
Other files stay. A file has its name once it is complete.
"""

import collections
import concurrent.futures
import contextlib
import io
import json
import pathlib
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

import matplotlib
import numpy as np
from PIL import Image
from PIL.PngImagePlugin import PngImageFile, PngInfo

from modest.constants import MASK_THRESHOLD
from modest.data import images
from modest.errors import InputError
from modest.evaluation import figures
from modest.inference import fitting, frames
from modest.inference.predict import BATCH, Predictor
from modest.preprocess import to_metres
from modest.run import files

FIGURE_PIXELS = 1200  # longer side of a picture in `prediction.png`
VIDEO_PIXELS = (
    8192  # longer side of `prediction.mp4`; H.264 has a limit, and players have lower ones
)
REPORTS = "alignment.json"
OF_PAIR = ("mask.png", "depth.png", "depth.npy", "unknown.png", "prediction.png")
OF_VIDEO = "prediction.mp4"
UNKNOWN = "unknown"
HEADS = ("mask", "depth")  # directories with a picture of each name; UNKNOWN is one, too
SOFTWARE = "modest predict"  # the text "Software" of a PNG file, the comment of a video
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
    _begin(directory)
    written = save_maps(maps, directory / "mask.png", directory / "depth.png")
    if "depth" in maps:
        stream = io.BytesIO()
        np.save(stream, to_metres(maps["depth"]))
        files.write(directory / "depth.npy", stream.getvalue())
        written.append(directory / "depth.npy")
    written.append(_write_reports(directory, {result.name: result.report}))
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
) -> tuple[dict[str, dict[str, Any]], frames.Clip]:
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
    directory = pathlib.Path(directory)
    reports: dict[str, dict[str, Any]] = {}
    is_video, clip = frames.is_video(source), frames.Clip()
    pending: collections.deque = collections.deque()
    with contextlib.ExitStack() as stack:
        threads = stack.enter_context(concurrent.futures.ThreadPoolExecutor(2))
        pictures = frames.read_ahead(frames.read(source, clip), PENDING)
        if not is_video:
            pictures = _of_size(pictures, bg, clip)
        for result in fitting.predictions(predictor, bg, pictures, align, align_each):
            name, picture, maps = result[:3]
            if not reports:
                _begin(directory)
                for head in maps:
                    (directory / head).mkdir(exist_ok=True)
                if is_video:
                    rate = frames.frames_per_second(source)
                    writer = frames.VideoWriter(directory / OF_VIDEO, rate, SOFTWARE)
                    video = stack.enter_context(writer)
            paths = (directory / head / f"{name}.png" for head in HEADS)
            pending.append(threads.submit(save_maps, maps, *paths))
            if result.has_unknown:
                (directory / UNKNOWN).mkdir(exist_ok=True)
                path = directory / UNKNOWN / f"{name}.png"
                pending.append(threads.submit(_save_unknown, result.unknown, path))
            while len(pending) > PENDING:
                pending.popleft().result()
            if is_video:
                video.write(_side_by_side(picture, maps), clip.times[len(reports)])
            reports[name] = result.report
        for saved in pending:
            saved.result()
    if not reports:
        raise InputError(clip.unusable[0])
    _write_reports(directory, reports)
    return reports, clip


def _save_unknown(unknown, path):
    _save_png(255 * unknown.astype(np.uint8), path)
    return path


def check(directory: str | pathlib.Path, bg: str, bg_fg: str) -> None:
    """Check, before any work, that results can be written without harm to other files.

    Args:
      directory: to write to.
      bg: path of the background.
      bg_fg: path of the picture, the directory or the video.

    Raises:
      InputError: a result would overwrite an input or another file; or pictures that are no results
        would stay among the new ones; or results would be read as pictures.
    """
    directory = pathlib.Path(directory).resolve()
    results = {directory / name for name in (*OF_PAIR, OF_VIDEO, *HEADS, UNKNOWN)}
    for option, path in (("--bg", pathlib.Path(bg)), ("--bg_fg", pathlib.Path(bg_fg))):
        path = path.resolve()
        if results & {path, path.parent}:
            raise InputError(f"--out={directory}: the results would overwrite {option}={path}")
    is_ours = _is_ours(directory)
    if pathlib.Path(bg_fg).resolve() == directory and is_ours:
        raise InputError(f"--out={directory}: holds results already, and --bg_fg is the same")
    if pathlib.Path(bg_fg).is_file() and not frames.is_video(bg_fg):
        replaced = [directory / name for name in OF_PAIR]
    else:
        replaced = [
            path for head in (*HEADS, UNKNOWN) for path in sorted((directory / head).glob("*"))
        ]
        if is_ours:  # other files may be there
            replaced = [path for path in replaced if path.suffix == ".png"]
        replaced += [directory / OF_VIDEO] * frames.is_video(bg_fg)
    others = [path for path in replaced if path.exists() and not (is_ours and _is_result(path))]
    if others:
        but = "which is no result" if is_ours else f"but no {REPORTS}"
        raise InputError(
            f"--out={directory}: contains {others[0].relative_to(directory)}, {but}; give a new "
            "directory, or one that holds predictions only"
        )


def _is_ours(directory):
    """Return whether a directory holds predictions: whether there are reports in it.

    Raises:
      InputError: the file of that name holds something else.
    """
    path = directory / REPORTS
    if not path.exists():
        return False
    try:
        reports = json.loads(path.read_text(encoding="utf-8"))
        if all("mismatch" in report.keys() for report in reports.values()):
            return True
    except (OSError, ValueError, AttributeError):
        pass
    raise InputError(f"--out={directory}: contains another {REPORTS}; give a new directory")


def _begin(directory):
    """Create a directory, or remove what an earlier run has written there; mark it as ours."""
    directory.mkdir(parents=True, exist_ok=True)
    if _is_ours(directory):
        files.remove_unfinished(directory)
        single = [directory / name for name in (*OF_PAIR, OF_VIDEO)]
        for path in [path for path in single if _is_result(path)]:
            path.unlink()
        for head in (*HEADS, UNKNOWN):
            if (directory / head).is_dir():
                files.remove_unfinished(directory / head)
                for path in (directory / head).glob("*.png"):
                    if _is_result(path):
                        path.unlink()
                with contextlib.suppress(OSError):  # not empty
                    (directory / head).rmdir()
    _write_reports(directory, {})


def _of_size(
    pictures: Iterable[tuple[str, np.ndarray]], bg: np.ndarray, clip: frames.Clip
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


def _is_result(path):
    """Return whether this module has written a file. `depth.npy` is judged by its mask."""
    if not path.exists():
        return False
    if path.suffix == ".npy":
        return _is_result(path.with_name("mask.png"))
    try:
        if path.suffix == ".mp4":
            return SOFTWARE.encode() in path.read_bytes()
        with PngImageFile(path) as image:  # the header; `Image.open` refuses large pictures
            return image.info.get("Software") == SOFTWARE
    except (OSError, SyntaxError, ValueError):
        return False


def _write_reports(directory, reports):
    files.write_json(directory / REPORTS, reports)
    return directory / REPORTS


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
