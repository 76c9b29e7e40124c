"""A data set in the MODEST layout, unpacked or as a zip: what `file_map.txt` lists, checked line by line.

    bg/bg001.jpeg   bg_fg/bg001_fg002_07.jpeg   bg_fg_mask/bg001_fg002_07_mask.jpeg   bg_fg_depth_map/bg001_fg002_07_depth_map.jpeg
    file_map.txt    a line a composite: the four names without suffix, by white space; `-` as the depth: there is none
    fg/fg002.png    not needed: each figure's cut-out with alpha, at the scale at which it stands in the composites
    bg_depth_map/bg001_depth_map.png    not needed: each bare background's depth

The background's id is its name; the figure's id is what stands between it and the last `_` in the composite's name. A zip is read
as it is, never unpacked, and may hold all of it in one folder.
"""

import hashlib
import os
import pathlib
import stat
import zipfile
import zlib
from typing import NamedTuple

from modest.vocabulary import InputError

DIRECTORIES = {"bg": "bg", "bg_fg": "bg_fg", "mask": "bg_fg_mask", "depth": "bg_fg_depth_map"}
LIBRARY = {"fg": "fg", "bg_depth": "bg_depth_map"}  # directories that need not be there
SUFFIXES = (".jpeg", ".jpg", ".png")
FILE_MAP = "file_map.txt"
NO_DEPTH = "-"
SHOWN = 10  # mistakes that an error tells in full
MAX_MEMBERS = 5_000_000  # of a zip
MAX_MEMBER_BYTES = 2**28
MAX_RATIO = 200  # of a member's size to what it takes in the zip; a JPEG or PNG hardly shrinks


class Entry(NamedTuple):
    """A line of `file_map.txt`: its number (from 1), the ids, the four names without suffix (`depth` empty where there is none)."""

    line: int
    background: str
    figure: str
    bg: str
    bg_fg: str
    mask: str
    depth: str


def entries(files):
    """Every `Entry` of an opened data set in the order of `file_map.txt`, and what is wrong with each line that is none.

    Raises:
      InputError: no `file_map.txt`, or none of its lines can be used.
    """
    try:
        lines = _file_map(files).decode("utf-8-sig").splitlines()
    except UnicodeDecodeError as error:
        raise InputError(f"{files.name}/{FILE_MAP}: not UTF-8 text ({error})") from None
    found, mistakes, names = [], [], set()
    for number, line in enumerate(lines, 1):
        if not line.strip():
            continue
        try:
            entry = _entry(line, number)
            if entry.bg_fg in names:
                raise InputError(f"{entry.bg_fg} is listed twice")
        except InputError as error:
            mistakes.append(f"{files.name}/{FILE_MAP}:{number}: {error}")
            continue
        names.add(entry.bg_fg)
        found.append(entry)
    if not found:
        raise InputError(complain(mistakes) if mistakes else f"{files.name}/{FILE_MAP}: lists no composite")
    return found, mistakes


def has_depth(found):
    """Whether the entries have depth maps, all of them or none.

    Raises:
      InputError: some have.
    """
    without = [entry.line for entry in found if not entry.depth]
    if without and len(without) < len(found):
        raise InputError(f"{FILE_MAP}:{without[0]}: no depth, but others have one; give it to all or to none")
    return not without


def complain(mistakes):
    """One message for a list of mistakes: how many, and the first ten."""
    if len(mistakes) == 1:
        return mistakes[0]
    rest = f"\n  and {len(mistakes) - SHOWN} more" if len(mistakes) > SHOWN else ""
    return f"{len(mistakes)} mistakes:\n  " + "\n  ".join(mistakes[:SHOWN]) + rest


def read_picture(files, entry, kind):
    """The encoded bytes of an entry's picture, and what to call it.

    Raises:
      InputError: it is not there.
    """
    found = _find(files, DIRECTORIES[kind], getattr(entry, kind))
    if found is None:
        where = f"{files.name}/{FILE_MAP}" + (f":{entry.line}" if entry.line else "")
        raise InputError(f"{where}: no picture {files.name}/{DIRECTORIES[kind]}/{getattr(entry, kind)}.jpeg (or .jpg, .png)")
    return found


def read_library(files, kind, name):
    """The encoded bytes of a picture of `LIBRARY`, `fg` of a figure or `bg_depth` of a background, and what to call it, or None."""
    return _find(files, LIBRARY[kind], name if kind == "fg" else f"{name}_depth_map")


def _find(files, directory, name):
    for suffix in SUFFIXES:
        path = f"{directory}/{name}{suffix}"
        try:
            return files.read(path), f"{files.name}/{path}"
        except FileNotFoundError:
            continue
    return None


def open_files(path):
    """A data set at `path`, a directory or a zip: an object with `name`, `read(relative path) -> bytes` and `fingerprint()`.

    Raises:
      InputError: neither, or a zip that cannot be trusted (checked whole, before anything of it is read).
    """
    path = pathlib.Path(path).resolve()
    if path.is_dir():
        return _Directory(path)
    if path.is_file() and zipfile.is_zipfile(path):
        return _Zip(path)
    raise InputError(f"{path}: neither a directory nor a zip")


class _Directory:
    def __init__(self, root):
        self.name = str(root)
        self._root = root

    def read(self, relative):
        path = self._root / relative
        if not path.is_file():
            raise FileNotFoundError(path)
        if not path.resolve().is_relative_to(self._root):
            raise InputError(f"{path}: leads out of {self._root}")
        return path.read_bytes()

    def fingerprint(self):
        """Eight hexadecimal digits that change with the place, `file_map.txt`, or a picture's name, size or date."""
        digest = hashlib.sha256(f"{self.name}\n".encode())
        digest.update(_file_map(self))
        for directory in (*DIRECTORIES.values(), *LIBRARY.values()):
            if not (self._root / directory).is_dir():
                continue
            with os.scandir(self._root / directory) as found:
                stats = sorted((f.name, f.stat().st_size, f.stat().st_mtime_ns) for f in found)
            digest.update(repr(stats).encode())
        return digest.hexdigest()[:8]


class _Zip:
    def __init__(self, path):
        self.name = str(path)
        self._path = path
        try:
            with zipfile.ZipFile(path) as archive:
                members = archive.infolist()
        except (zipfile.BadZipFile, OSError) as error:
            raise InputError(f"{path}: cannot be read ({error})") from None
        _check_members(path, members)
        maps = [m.filename for m in members if pathlib.PurePosixPath(m.filename).name == FILE_MAP]
        if len(maps) != 1:
            raise InputError(f"{path}: {len(maps)} members are called {FILE_MAP}; a data set in the MODEST layout has one")
        self._prefix = maps[0].removesuffix(FILE_MAP)
        self._opened = zipfile.ZipFile(path)  # shared by threads: it locks its reads

    def read(self, relative):
        try:
            return self._opened.read(self._prefix + relative)
        except KeyError:
            raise FileNotFoundError(relative) from None
        except (zipfile.BadZipFile, zlib.error, OSError, EOFError, ValueError, NotImplementedError) as error:
            raise InputError(f"{self.name}/{relative}: damaged ({error})") from None

    def fingerprint(self):
        """Eight hexadecimal digits that change with the zip's place, size or date."""
        info = self._path.stat()
        return hashlib.sha256(f"{self.name} {info.st_size} {info.st_mtime_ns}".encode()).hexdigest()[:8]


def _check_members(path, members):
    """Refuses the whole zip for one member that is not a plain, plausible file inside it."""
    if len(members) > MAX_MEMBERS:
        raise InputError(f"{path}: {len(members)} members; at most {MAX_MEMBERS} are read")
    names = set()
    for member in members:
        name, kind = member.filename, stat.S_IFMT(member.external_attr >> 16)
        parts = name.replace("\\", "/").split("/")
        if name.startswith(("/", "\\")) or ".." in parts or ":" in parts[0] or "\0" in name:
            raise InputError(f"{path}: member {name!r} leads out of the archive")
        if kind not in (0, stat.S_IFREG, stat.S_IFDIR):
            raise InputError(f"{path}: member {name!r} is a link or a device")
        if member.flag_bits & 1:
            raise InputError(f"{path}: member {name!r} is encrypted")
        if name in names:
            raise InputError(f"{path}: member {name!r} is there twice")
        if member.file_size > MAX_MEMBER_BYTES or member.file_size > MAX_RATIO * max(member.compress_size, 64):
            raise InputError(f"{path}: member {name!r} unpacks to {member.file_size} bytes from {member.compress_size}")
        names.add(name)
    _check_overlaps(path, members)


def _check_overlaps(path, members):
    """Two members that share bytes of the archive (a bomb of another kind)."""
    end, before = 0, ""
    for member in sorted(members, key=lambda m: m.header_offset):
        if member.header_offset < end:
            raise InputError(f"{path}: members {before!r} and {member.filename!r} overlap")
        end, before = member.header_offset + member.compress_size, member.filename


def _file_map(files):
    try:
        return files.read(FILE_MAP)
    except FileNotFoundError:
        raise InputError(f"{files.name}/{FILE_MAP}: not there; a data set in the MODEST layout has one") from None


def _entry(line, number):
    names = line.split()
    if len(names) != 4:
        raise InputError(f"{len(names)} names; a line has four (bg, bg_fg, mask, depth): {line[:80]!r}")
    for name in names:
        if pathlib.PurePosixPath(name).name != name or "\\" in name or "\0" in name:
            raise InputError(f"{name[:80]!r} is not a plain file name")
    bg, bg_fg, mask, depth = names
    middle = bg_fg.removeprefix(f"{bg}_").rsplit("_", 1)
    if not bg_fg.startswith(f"{bg}_") or len(middle) != 2 or not middle[0]:
        raise InputError(f"{bg_fg!r} is not named {bg}_<figure>_<place>")
    return Entry(number, bg, middle[0], bg, bg_fg, mask, "" if depth == NO_DEPTH else depth)
