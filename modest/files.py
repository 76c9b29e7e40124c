"""Files that are there whole or not at all, and locks that end with the process that holds them."""

import contextlib
import fcntl
import os
import pathlib
import shutil
import socket
import uuid

from modest.vocabulary import InputError

TEMPORARY = ".tmp"  # ends the name of what is being written


def write(path, data, durable=False):
    """Writes bytes under a temporary name and renames them; `durable` forces them to the disk first.

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
        raise InputError(f"{path}: cannot be written ({error.strerror})") from None


def make_directory(path, option):
    """A directory, made if need be; raises `InputError` that names the command's `option` where it cannot be."""
    path = pathlib.Path(path)
    try:
        path.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise InputError(f"{option}={path}: cannot be written ({error.strerror})") from None
    return path


def temporary_name(path):
    """A hidden name beside `path` that no other process, on whatever machine, writes to."""
    return path.with_name(f".{path.name}.{uuid.uuid4().hex}{TEMPORARY}")


def remove_unfinished(directory):
    """Removes what a process that died was writing in a directory; to be called under its lock."""
    for leftover in pathlib.Path(directory).glob(f"*{TEMPORARY}"):  # pathlib's * matches a leading dot too
        leftover.unlink()


def check_space(directory, needed, purpose):
    """Raises `InputError` where a directory's disk has less than `needed` bytes free."""
    free = shutil.disk_usage(directory).free
    if free < needed:
        raise InputError(f"{directory}: {free:,} bytes are free, and {purpose} need {needed:,}; make room, or use another disk")


@contextlib.contextmanager
def lock(path, doing):
    """Holds the lock file `path` while in the block, its directory made if need be.

    The file stays. What holds the lock is the process, and with its end, however it ends, the lock is free.

    Raises:
      InputError: another process holds it (the message says which, and what it is `doing`), or it cannot be made.
    """
    path = pathlib.Path(path)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        file = path.open("a+")
    except OSError as error:
        raise InputError(f"{path}: cannot be made or opened ({error.strerror})") from None
    with file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            file.seek(0)
            holder = file.read().strip() or "another process"
            raise InputError(f"{path.parent}: {holder} is {doing} it; wait for it") from None
        except OSError as error:  # a file system without locks
            raise InputError(f"{path}: cannot be locked ({error.strerror})") from None
        file.truncate(0)
        file.write(f"process {os.getpid()} on {socket.gethostname()}")
        file.flush()
        try:
            yield
        finally:
            file.truncate(0)
