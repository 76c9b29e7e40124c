"""Which files are pictures: suffixes, names, and what a directory contains beside them.

A suffix may have any case. Names are compared in Unicode's normal form NFC, because macOS stores an
accent as a character of its own. Hidden files, such as `.DS_Store` and `._a.jpg`, do not count.
"""

import os
import pathlib
import unicodedata
from collections.abc import Iterable, Sequence

from modest.data import images

NAMES_SHOWN = 5  # of the files that are passed over


def suffixes() -> tuple[str, ...]:
    """Return the suffixes of pictures that can be read here, in lower case.

    AVIF needs a Pillow that was built with it, and HEIC the package pillow-heif.
    """
    return tuple(suffix for form in images.FORMATS for suffix in images.FORMATS[form])


def normal(name: str) -> str:
    """Return a name in the normal form in which names are compared."""
    return unicodedata.normalize("NFC", name)


def is_hidden(path: str | os.PathLike[str]) -> bool:
    """Return whether a file is hidden."""
    return pathlib.Path(path).name.startswith(".")


def is_picture(name: str) -> bool:
    """Return whether a file of this name is a picture: visible, with a suffix of `suffixes`."""
    return os.path.splitext(name)[1].lower() in suffixes() and not is_hidden(name)


def matching(paths: Iterable[pathlib.Path], wanted: Sequence[str]) -> list[pathlib.Path]:
    """Return the visible files with one of the suffixes `wanted`, sorted by name."""
    return sorted(p for p in paths if p.suffix.lower() in wanted and not is_hidden(p))


def passed_over(directory: str | os.PathLike[str], wanted: Sequence[str]) -> str:
    """Return a line that counts and names the visible files of a directory without such a suffix.

    The line is empty if there is none, or if there is no such directory.
    """
    directory = pathlib.Path(directory)
    if not directory.is_dir():
        return ""
    visible = (path for path in directory.iterdir() if path.is_file() and not is_hidden(path))
    others = sorted(path.name for path in visible if path.suffix.lower() not in wanted)
    return summary(f"{directory}: passed over", others)


def summary(what: str, names: Sequence[str]) -> str:
    """Return `what`, the number of the names, and the first of them; empty if there are none."""
    if not names:
        return ""
    shown = ", ".join(names[:NAMES_SHOWN]) + ", ..." * (len(names) > NAMES_SHOWN)
    return f"{what} {len(names)} {'file' if len(names) == 1 else 'files'}: {shown}"
