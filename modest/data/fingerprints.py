"""What identifies a data set in the MODEST layout: its content, wherever it is kept.

The fingerprint is a hash of `file_map.txt`, and of name, size and CRC-32 of every picture that it
lists. It does not change when the data set is moved, copied, zipped or touched, nor for files that
are not listed. Names and sizes would be cheaper but not enough: a changed BMP keeps its size, and
often so does a PNG, and then an old prepared data set would be used in silence.

Reading all pictures is slow for 400,000 composites, so it is done once. `.sources.json` beside the
prepared data sets keeps the fingerprint together with what `os.scandir` says about the pictures
(names, sizes, modification times). Only when that differs are the pictures read again. A zip states
every CRC-32, so its members are not read.
"""

import functools
import hashlib
import itertools
import json
import pathlib
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

from modest.data import modest_layout, picture_files
from modest.data.modest_layout import DIRECTORIES, OPTIONAL_DIRECTORIES, Files
from modest.errors import InputError
from modest.run import files as run_files

CACHE = ".sources.json"
DIGITS = 8
THREADS = 8  # that read pictures; more than cores, because a disk has to be waited for
AT_ONCE = 4096  # pictures that wait to be read; each takes 2 KB of memory


def fingerprint(files: Files, cache_dir: pathlib.Path) -> str:
    """Return eight hexadecimal digits that identify the content of a data set.

    Args:
      files: the opened data set.
      cache_dir: where `.sources.json` is kept. If it cannot be written, nothing is kept.

    Raises:
      InputError: `file_map.txt` is missing or lists nothing.
    """
    path, looks = cache_dir / CACHE, look(files)
    known = _read_cache(path)
    if known.get(files.name, {}).get("looks") == looks:
        return known[files.name]["fingerprint"]
    digest = hashlib.sha256(modest_layout.read_file_map(files))
    names = iter(_listed(files))
    with ThreadPoolExecutor(THREADS) as pool:
        while some := list(itertools.islice(names, AT_ONCE)):
            for line in pool.map(functools.partial(_line, files), some):
                digest.update(line)
    found = digest.hexdigest()[:DIGITS]
    try:
        cache_dir.mkdir(parents=True, exist_ok=True)
        entry = {"looks": looks, "fingerprint": found}
        run_files.write_json(path, known | {files.name: entry})
    except (InputError, OSError):
        pass  # a directory that can only be read
    return found


def look(files: Files) -> str:
    """Return a hash that changes with a name, size or modification time of a picture."""
    digest = hashlib.sha256(modest_layout.read_file_map(files))
    for directory in (*DIRECTORIES.values(), *OPTIONAL_DIRECTORIES.values()):
        digest.update(repr(files.looks(directory)).encode(errors="surrogateescape"))
    return digest.hexdigest()


def _line(files, name):
    """Return the text that stands for a picture."""
    size, crc = files.size_and_crc(name)
    return f"{picture_files.normal(name)} {size} {crc:08x}\n".encode(errors="surrogateescape")


def _listed(files: Files) -> Iterator[str]:
    """Yield the relative path of every picture that belongs to the data set, in a fixed order."""
    entries, _ = modest_layout.entries(files)
    kinds = DIRECTORIES | OPTIONAL_DIRECTORIES
    for kind, directory in kinds.items():
        if kind == "fg":
            stems = [entry.figure for entry in entries]
        elif kind == "bg_depth":
            stems = [f"{entry.bg}_depth_map" for entry in entries]
        else:
            stems = [getattr(entry, kind) for entry in entries]
        pictures = files.pictures(directory)
        for stem in dict.fromkeys(stems):
            yield from (f"{directory}/{name}" for name in sorted(pictures.get(stem, [])))


def _read_cache(path):
    try:
        known = json.loads(path.read_text())
    except (OSError, ValueError):
        return {}
    return known if isinstance(known, dict) else {}
