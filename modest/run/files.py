"""Atomic file writes, and locks that are released when the process ends."""

import contextlib
import fcntl
import json
import os
import pathlib
import re
import shutil
import socket
import uuid
from collections.abc import Iterator
from typing import Any

from modest.errors import InputError

TEMPORARY = ".tmp"  # suffix of files that are being written


def write(path: str | pathlib.Path, data: bytes, durable: bool = False) -> None:
    """Write bytes to a temporary file and rename it, so that `path` is complete or absent.

    Args:
      path: file to write.
      data: its content.
      durable: flush to disk before the rename, to survive a power failure.

    Raises:
      InputError: the file cannot be written.
    """
    path = pathlib.Path(path)
    temporary = temporary_name(path)
    try:
        with temporary.open("wb") as file:
            file.write(data)
            if durable:
                file.flush()
                os.fsync(file.fileno())
        temporary.replace(path)
    except OSError as error:
        with contextlib.suppress(OSError):
            temporary.unlink()
        raise InputError(f"{path}: cannot be written ({error.strerror})") from None


def write_json(path: str | pathlib.Path, value: Any) -> None:
    """Write a JSON file atomically, as `write` does."""
    write(path, (json.dumps(value, indent=2) + "\n").encode())


def make_directory(path: str | pathlib.Path, option: str) -> pathlib.Path:
    """Create a directory if needed, try to write into it, and return its path.

    Raises:
      InputError: it cannot be created or written; the message names the command-line `option`.
    """
    path = pathlib.Path(path)
    try:
        path.mkdir(parents=True, exist_ok=True)
        attempt = temporary_name(path / "attempt")
        attempt.touch()
        attempt.unlink()
    except OSError as error:
        raise InputError(f"{option}={path}: cannot be written ({error.strerror})") from None
    return path


def temporary_name(path: pathlib.Path) -> pathlib.Path:
    """Return a hidden file name beside `path` that no other process on any machine uses."""
    return path.with_name(f".{path.name}.{uuid.uuid4().hex}{TEMPORARY}")


def remove_unfinished(directory: str | pathlib.Path) -> None:
    """Remove the temporary files of a process that died. Call it only while holding the lock."""
    for path in pathlib.Path(directory).glob(f"*{TEMPORARY}"):  # * matches a leading dot too
        if is_temporary(path):
            path.unlink()


def is_temporary(path: pathlib.Path) -> bool:
    """Return whether a path has a name that `temporary_name` has made."""
    pattern = rf"\..+\.[0-9a-f]{{32}}{re.escape(TEMPORARY)}"
    return re.fullmatch(pattern, path.name, re.DOTALL) is not None


def check_space(directory: str | pathlib.Path, needed: int, purpose: str) -> None:
    """Raise `InputError` if the disk of a directory has less than `needed` bytes free."""
    free = shutil.disk_usage(directory).free
    if free < needed:
        raise InputError(
            f"{directory}: {free:,} bytes are free, and {purpose} need {needed:,}; make room, or "
            "use another disk"
        )


@contextlib.contextmanager
def lock(path: str | pathlib.Path, activity: str) -> Iterator[None]:
    """Hold a lock file inside the block; create its directory if needed.

    The file remains. The lock belongs to the process and is released when the process ends, however
    it ends.

    Args:
      path: the lock file.
      activity: says in the error message of other processes what this process is doing, such as
        "training in".

    Raises:
      InputError: another process holds the lock, or the file cannot be created or locked.
    """
    path = pathlib.Path(path)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        file = path.open("a+")
    except OSError as error:
        raise InputError(f"{path}: cannot be created or opened ({error.strerror})") from None
    with file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            file.seek(0)
            holder = file.read().strip() or "another process"
            raise InputError(f"{path.parent}: {holder} is {activity} it; wait for it") from None
        except OSError as error:  # a file system without locks
            raise InputError(f"{path}: cannot be locked ({error.strerror})") from None
        file.truncate(0)
        file.write(f"process {os.getpid()} on {socket.gethostname()}")
        file.flush()
        try:
            yield
        finally:
            file.truncate(0)
