"""A directory in the MODEST layout: what `file_map.txt` lists, checked line by line and picture by picture.

    bg/bg001.jpeg   bg_fg/bg001_fg002_07.jpeg   bg_fg_mask/bg001_fg002_07_mask.jpeg   bg_fg_depth_map/bg001_fg002_07_depth_map.jpeg
    file_map.txt    a line a composite: the four names without suffix, separated by white space

The background's id is its name; the figure's id is what stands between it and the last `_` in the composite's name.
"""

import hashlib
import pathlib
from typing import NamedTuple

from modest.vocabulary import InputError

DIRECTORIES = {"bg": "bg", "bg_fg": "bg_fg", "mask": "bg_fg_mask", "depth": "bg_fg_depth_map"}
SUFFIXES = (".jpeg", ".jpg", ".png")


class Entry(NamedTuple):
    """One line of `file_map.txt`: ids, and the paths of the four pictures."""

    name: str
    background: str
    figure: str
    bg: str
    bg_fg: str
    mask: str
    depth: str


def entries(directory):
    """Every `Entry` of a directory, in the order of `file_map.txt`.

    Raises:
      InputError: no `file_map.txt`, a broken line (with its number), or a picture that is not there.
    """
    directory = pathlib.Path(directory).resolve()
    file_map = directory / "file_map.txt"
    try:
        lines = file_map.read_text(encoding="utf-8-sig").splitlines()
    except FileNotFoundError:
        raise InputError(f"{file_map}: not there; a directory in the MODEST layout has one") from None
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"{file_map}: cannot be read ({error})") from None
    found = [_entry(directory, line, f"{file_map}:{number}") for number, line in enumerate(lines, 1) if line.strip()]
    if not found:
        raise InputError(f"{file_map}: lists no composite")
    names = set()
    for entry in found:
        if entry.name in names:
            raise InputError(f"{file_map}: {entry.name} is listed twice")
        names.add(entry.name)
    return found


def fingerprint(directory):
    """Eight hexadecimal digits that change with the directory's place, its `file_map.txt` or a picture's size or date."""
    digest = hashlib.sha256(str(pathlib.Path(directory).resolve()).encode())
    for entry in entries(directory):
        for path in (entry.bg, entry.bg_fg, entry.mask, entry.depth):
            stat = pathlib.Path(path).stat()
            digest.update(f"{path} {stat.st_size} {stat.st_mtime_ns}\n".encode())
    return digest.hexdigest()[:8]


def _entry(directory, line, where):
    names = line.split()
    if len(names) != 4:
        raise InputError(f"{where}: {len(names)} names; a line has four (bg, bg_fg, mask, depth): {line[:80]!r}")
    bg, bg_fg = names[:2]
    middle = bg_fg.removeprefix(f"{bg}_").rsplit("_", 1)
    if not bg_fg.startswith(f"{bg}_") or len(middle) != 2 or not middle[0]:
        raise InputError(f"{where}: {bg_fg!r} is not named {bg}_<figure>_<place>")
    paths = [_picture(directory / DIRECTORIES[kind], name, where) for kind, name in zip(DIRECTORIES, names)]
    return Entry(bg_fg, bg, middle[0], *paths)


def _picture(directory, name, where):
    if pathlib.PurePath(name).name != name:
        raise InputError(f"{where}: {name!r} is not a plain file name")
    for suffix in SUFFIXES:
        path = directory / (name + suffix)
        if path.is_file():
            return str(path)
    raise InputError(f"{where}: no picture {directory / name}.jpeg (or .jpg, .png)")
