"""Which processes are running, from `/proc`."""

import contextlib
import pathlib
from typing import NamedTuple


class Stat(NamedTuple):
    """What `/proc/PID/stat` says of a process.

    Attributes:
      state: one letter; Z for one that has ended, and of which its parent has not read the status.
      parent: id of its parent.
      session: id of its session, which is that of the process that leads it.
    """

    state: str
    parent: int
    session: int


def stats() -> dict[int, Stat]:
    """Return what is known of every process, by its id."""
    found = {}
    for file in pathlib.Path("/proc").glob("[0-9]*/stat"):
        with contextlib.suppress(OSError):  # it has ended
            state, parent, _, session = file.read_text().rpartition(")")[2].split()[:4]
            found[int(file.parent.name)] = Stat(state, int(parent), int(session))
    return found


def in_session(session: int) -> list[int]:
    """Return the ids of the living processes of a session."""
    return [
        process
        for process, stat in stats().items()
        if stat.session == session and stat.state != "Z"
    ]


def below(process: int) -> list[int]:
    """Return the ids of a process's children, of their children, and so on."""
    every, found = stats(), [process]
    for parent in found:  # grows while it is read
        found += [child for child, stat in every.items() if stat.parent == parent]
    return found[1:]
