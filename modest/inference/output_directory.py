"""The directory to which predictions are written: which of its files may be replaced.

`alignment.json` marks a directory as one of predictions, and a text in a PNG file or a video marks
it as a result. There, results of an earlier run are removed. Other files stay.
"""

import contextlib
import json
import pathlib
from collections.abc import Mapping
from typing import Any

from PIL.PngImagePlugin import PngImageFile

from modest.errors import InputError
from modest.inference import frames
from modest.run import files

REPORTS = "alignment.json"
OF_PAIR = ("mask.png", "depth.png", "depth.npy", "unknown.png", "prediction.png")
OF_VIDEO = "prediction.mp4"
HEADS, UNKNOWN = ("mask", "depth"), "unknown"  # directories with a picture of each name
FOLDERS = (*HEADS, UNKNOWN)
SOFTWARE = "modest predict"  # the text "Software" of a PNG file, the comment of a video


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
    results = {directory / name for name in (*OF_PAIR, OF_VIDEO, *FOLDERS)}
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
        replaced = _in_folders(directory, "*.png" if is_ours else "*")  # others may be among ours
        replaced += [directory / OF_VIDEO] * frames.is_video(bg_fg)
    others = [path for path in replaced if path.exists() and not (is_ours and _is_result(path))]
    if others:
        but = "which is no result" if is_ours else f"but no {REPORTS}"
        raise InputError(
            f"--out={directory}: contains {others[0].relative_to(directory)}, {but}; give a new "
            "directory, or one that holds predictions only"
        )


def begin(directory: pathlib.Path) -> None:
    """Create a directory, or remove what an earlier run has written there; mark it as ours.

    Raises:
      InputError: it holds an `alignment.json` that `predict` has not written.
    """
    directory.mkdir(parents=True, exist_ok=True)
    if _is_ours(directory):
        files.remove_unfinished(directory)
        single = [directory / name for name in (*OF_PAIR, OF_VIDEO)]
        for path in list(filter(_is_result, [*single, *_in_folders(directory, "*.png")])):
            path.unlink()
        for folder in FOLDERS:
            files.remove_unfinished(directory / folder)
            with contextlib.suppress(OSError):  # not there, or not empty
                (directory / folder).rmdir()
    write_reports(directory, {})


def write_reports(directory: pathlib.Path, reports: Mapping[str, Any]) -> pathlib.Path:
    """Write the reports of pictures, by name, which mark a directory as ours; return the path."""
    files.write_json(directory / REPORTS, reports)
    return directory / REPORTS


def _in_folders(directory, pattern):
    """Return the files that match a pattern in the folders of many pictures."""
    return [path for folder in FOLDERS for path in sorted((directory / folder).glob(pattern))]


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


def _is_result(path):
    """Return whether a file is marked as a result. `depth.npy` is judged by its mask."""
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
