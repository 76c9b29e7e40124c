"""Read a data set in the MODEST layout, from a directory or a zip, and check its `file_map.txt`.

    bg/bg001.jpeg
    bg_fg/bg001_fg002_07.jpeg
    bg_fg_mask/bg001_fg002_07_mask.jpeg
    bg_fg_depth_map/bg001_fg002_07_depth_map.jpeg
    file_map.txt                        one line per composite: the four names without suffix,
                                        separated by white space; `-` for no depth
    fg/fg002.png                        optional: the cut-out of each figure, with alpha, at the
                                        scale of the composites
    bg_depth_map/bg001_depth_map.png    optional: the depth of each empty background

Pictures have any suffix of `picture_files.suffixes`, in any case. Names are compared in Unicode's
normal form NFC. The id of a background is its name. The id of a figure is the part between that
name and the last `_` in the name of a composite. A zip is read in place, not unpacked, and all of
it may be inside one folder.
"""

import os
import pathlib
import zipfile
import zlib
from typing import NamedTuple, TypeAlias

from modest.data import picture_files, zip_checks
from modest.errors import InputError

DIRECTORIES = {"bg": "bg", "bg_fg": "bg_fg", "mask": "bg_fg_mask", "depth": "bg_fg_depth_map"}
OPTIONAL_DIRECTORIES = {"fg": "fg", "bg_depth": "bg_depth_map"}
FILE_MAP = "file_map.txt"
NO_DEPTH = "-"
MISTAKES_SHOWN = 10  # number of mistakes that an error message lists
DAMAGED = (zipfile.BadZipFile, zlib.error, OSError)  # what zipfile raises for a damaged zip


class DirectoryFiles:
    """An unpacked data set.

    Attributes:
      name: the absolute path.
    """

    def __init__(self, root: pathlib.Path) -> None:
        """Open the data set at an absolute path."""
        self.name = str(root)
        self._root = root
        self._listed: dict[str, dict[str, list[str]]] = {}

    def read(self, relative: str) -> bytes:
        """Return the content of a file.

        Raises:
          FileNotFoundError: there is no such file.
          InputError: a link leads to a file outside the directory.
        """
        path = self._root / relative
        if not path.is_file():
            raise FileNotFoundError(path)
        if not path.resolve().is_relative_to(self._root):
            raise InputError(f"{path}: leads out of {self._root}")
        try:
            return path.read_bytes()
        except OSError as error:
            raise InputError(f"{path}: cannot be read ({error.strerror})") from None

    def pictures(self, directory: str) -> dict[str, list[str]]:
        """Return `{name without suffix: file names}` of the pictures of a directory."""
        if directory not in self._listed:
            path = self._root / directory
            self._listed[directory] = _by_stem(os.listdir(path) if path.is_dir() else [])
        return self._listed[directory]

    def looks(self, directory: str) -> list[tuple[str, int, int]]:
        """Return `(name, size, modification time)` of the pictures of a directory, sorted."""
        path = self._root / directory
        if not path.is_dir():
            return []
        with os.scandir(path) as found:
            pictures = [f for f in found if picture_files.is_picture(f.name) and f.is_file()]
            return sorted((f.name, f.stat().st_size, f.stat().st_mtime_ns) for f in pictures)

    def size_and_crc(self, relative: str) -> tuple[int, int]:
        """Return the size and the CRC-32 of a picture; 0 and 0 if it cannot be read."""
        try:
            data = self.read(relative)
        except (FileNotFoundError, InputError):  # is reported when the data set is prepared
            return 0, 0
        return len(data), zlib.crc32(data)


class ZipFiles:
    """A data set in a zip.

    Attributes:
      name: the absolute path of the zip.
    """

    def __init__(self, path: pathlib.Path) -> None:
        """Open the zip at an absolute path.

        Raises:
          InputError: the zip is damaged, fails `zip_checks.check_members`, or does not have exactly
            one `file_map.txt`.
        """
        self.name = str(path)
        self._path = path
        try:
            with zipfile.ZipFile(path) as archive:
                members = archive.infolist()
        except DAMAGED as error:
            raise InputError(f"{path}: cannot be read ({error})") from None
        zip_checks.check_members(path, members)
        self._members = {zip_checks.name(member): member for member in members}
        maps = [name for name in self._members if pathlib.PurePosixPath(name).name == FILE_MAP]
        if len(maps) != 1:
            raise InputError(
                f"{path}: {len(maps)} members are called {FILE_MAP}; "
                "a data set in the MODEST layout has one"
            )
        self._prefix = maps[0].removesuffix(FILE_MAP)
        self._archive = zipfile.ZipFile(path)  # safe to share between threads: reads take a lock
        self._listed: dict[str, dict[str, list[str]]] = {}

    def read(self, relative: str) -> bytes:
        """Return the content of a member.

        Raises:
          FileNotFoundError: there is no such member.
          InputError: the member is damaged.
        """
        try:
            return self._archive.read(self._members[self._prefix + relative])
        except KeyError:
            raise FileNotFoundError(relative) from None
        except (*DAMAGED, EOFError, ValueError, NotImplementedError) as error:
            raise InputError(f"{self.name}/{relative}: damaged ({error})") from None

    def pictures(self, directory: str) -> dict[str, list[str]]:
        """Return `{name without suffix: file names}` of the pictures of a directory."""
        if directory not in self._listed:
            start = f"{self._prefix}{directory}/"
            names = (n.removeprefix(start) for n in self._members if n.startswith(start))
            # As in an unpacked data set, sub-directories are passed over.
            self._listed[directory] = _by_stem(name for name in names if "/" not in name)
        return self._listed[directory]

    def looks(self, directory: str) -> tuple[int, int]:
        """Return size and modification time of the zip, whatever the directory."""
        info = self._path.stat()
        return info.st_size, info.st_mtime_ns

    def size_and_crc(self, relative: str) -> tuple[int, int]:
        """Return the size and the CRC-32 of a picture, as the zip states them."""
        member = self._members[self._prefix + relative]
        return member.file_size, member.CRC


Files: TypeAlias = DirectoryFiles | ZipFiles


class Entry(NamedTuple):
    """One line of `file_map.txt`.

    Attributes:
      line: its number, from 1.
      background: id of the background.
      figure: id of the figure.
      bg: file name of the background without suffix.
      bg_fg: file name of the composite without suffix.
      mask: file name of the mask without suffix.
      depth: file name of the depth map without suffix; empty if there is none.
    """

    line: int
    background: str
    figure: str
    bg: str
    bg_fg: str
    mask: str
    depth: str


def open_files(path: str | os.PathLike[str]) -> Files:
    """Open a data set, a directory or a zip.

    A zip is checked completely before any of its members is read.

    Raises:
      InputError: `path` is neither, or it is a zip that cannot be used; see `ZipFiles`.
    """
    path = pathlib.Path(path).expanduser().resolve()
    if path.is_dir():
        return DirectoryFiles(path)
    if path.is_file() and zipfile.is_zipfile(path):
        return ZipFiles(path)
    raise InputError(f"{path}: neither a directory nor a zip")


def entries(files: Files) -> tuple[list[Entry], list[str]]:
    """Parse `file_map.txt`.

    Returns:
      The entries in the order of the file, and one message for each line that is not usable.

    Raises:
      InputError: there is no `file_map.txt`, or none of its lines is usable.
    """
    try:
        lines = read_file_map(files).decode("utf-8-sig").splitlines()
    except UnicodeDecodeError as error:
        raise InputError(f"{files.name}/{FILE_MAP}: not UTF-8 text ({error})") from None
    found: list[Entry] = []
    mistakes: list[str] = []
    names = set()
    for number, line in enumerate(lines, 1):
        if not line.strip():
            continue
        try:
            entry = _parse(line, number)
            if entry.bg_fg in names:
                raise InputError(f"{entry.bg_fg} is listed twice")
        except InputError as error:
            mistakes.append(f"{files.name}/{FILE_MAP}:{number}: {error}")
            continue
        names.add(entry.bg_fg)
        found.append(entry)
    if not found:
        empty = f"{files.name}/{FILE_MAP}: lists no composite"
        raise InputError(summarise_mistakes(mistakes) if mistakes else empty)
    return found, mistakes


def read_file_map(files: Files) -> bytes:
    """Return the content of `file_map.txt`. Raises `InputError` if there is none."""
    try:
        return files.read(FILE_MAP)
    except FileNotFoundError:
        raise InputError(
            f"{files.name}/{FILE_MAP}: missing; a data set in the MODEST layout has one"
        ) from None


def has_depth(found: list[Entry]) -> bool:
    """Return whether the entries have depth maps.

    Raises:
      InputError: some have one, but not all.
    """
    without = [entry.line for entry in found if not entry.depth]
    if without and len(without) < len(found):
        raise InputError(
            f"{FILE_MAP}:{without[0]}: no depth, but other lines have it; give it to all or to none"
        )
    return not without


def unlisted(files: Files, found: list[Entry]) -> list[str]:
    """Return the pictures of composites and backgrounds that no entry names, sorted."""
    result = []
    for kind in ("bg", "bg_fg"):
        listed = {getattr(entry, kind) for entry in found}
        pictures = files.pictures(DIRECTORIES[kind])
        for stem in sorted(pictures.keys() - listed):
            result += [f"{DIRECTORIES[kind]}/{name}" for name in pictures[stem]]
    return result


def summarise_mistakes(mistakes: list[str]) -> str:
    """Return one message for several: their number and the first ten."""
    if len(mistakes) == 1:
        return mistakes[0]
    shown = "".join(f"\n  {mistake}" for mistake in mistakes[:MISTAKES_SHOWN])
    left_out = len(mistakes) - MISTAKES_SHOWN
    rest = f"\n  and {left_out} more" if left_out > 0 else ""
    return f"{len(mistakes)} mistakes:{shown}{rest}"


def read_picture(files: Files, entry: Entry, kind: str) -> tuple[bytes, str]:
    """Return a picture of an entry: its encoded bytes, and its path for error messages.

    Args:
      files: the opened data set.
      entry: a line of its `file_map.txt`.
      kind: a key of `DIRECTORIES`.

    Raises:
      InputError: there is no such picture.
    """
    name = getattr(entry, kind)
    found = _find(files, DIRECTORIES[kind], name)
    if found is None:
        where = f"{files.name}/{FILE_MAP}" + (f":{entry.line}" if entry.line else "")
        suffixes = ", ".join(picture_files.suffixes())
        missing = f"{files.name}/{DIRECTORIES[kind]}/{name}"
        raise InputError(f"{where}: no picture {missing} ({suffixes})")
    return found


def read_optional(files: Files, kind: str, name: str) -> tuple[bytes, str] | None:
    """Return an optional picture: its encoded bytes and its path, or None if it is missing.

    Args:
      files: the opened data set.
      kind: a key of `OPTIONAL_DIRECTORIES`.
      name: id of a figure for kind `fg`, or of a background for kind `bg_depth`.
    """
    stem = name if kind == "fg" else f"{name}_depth_map"
    return _find(files, OPTIONAL_DIRECTORIES[kind], stem)


def _find(files, directory, stem):
    found = files.pictures(directory).get(stem, [])
    if len(found) > 1:
        raise InputError(
            f"{files.name}/{directory}: {' and '.join(sorted(found))} have the same name; keep one"
        )
    for name in found:
        path = f"{directory}/{name}"
        try:
            return files.read(path), f"{files.name}/{path}"
        except FileNotFoundError:  # a directory, or a file that was removed a moment ago
            continue
    return None


def _by_stem(names):
    found: dict[str, list[str]] = {}
    for path in picture_files.matching(map(pathlib.Path, names), picture_files.suffixes()):
        found.setdefault(picture_files.normal(path.stem), []).append(path.name)
    return found


def _parse(line, number):
    names = picture_files.normal(line).split()
    if len(names) != 4:
        raise InputError(
            f"{len(names)} names; a line has four (bg, bg_fg, mask, depth): {line[:80]!r}"
        )
    for name in names:
        if pathlib.PurePosixPath(name).name != name or "\\" in name or "\0" in name:
            raise InputError(f"{name[:80]!r} is not a plain file name")
    bg, bg_fg, mask, depth = names
    parts = bg_fg.removeprefix(f"{bg}_").rsplit("_", 1)  # figure and place
    if not bg_fg.startswith(f"{bg}_") or len(parts) != 2 or not parts[0]:
        raise InputError(f"{bg_fg!r} is not named {bg}_<figure>_<place>")
    return Entry(number, bg, parts[0], bg, bg_fg, mask, "" if depth == NO_DEPTH else depth)
