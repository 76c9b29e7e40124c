"""Output to a reader that may go away: `| head`, or an ssh session that closes."""

import contextlib
import errno
import io
import os
import signal
import sys

from modest.run import signals

GONE = (errno.EPIPE, errno.EIO)  # EIO: the terminal was closed


def survive_closed_output() -> None:
    """Treat a closed stdout or stderr as the signal SIGPIPE, and drop what is written after it.

    Characters that the terminal cannot show are escaped. Lines are written at once.
    """
    for name in ("stdout", "stderr"):
        stream = getattr(sys, name)
        if stream is None or stream is not getattr(sys, f"__{name}__"):
            continue  # closed from the start, or replaced
        with contextlib.suppress(OSError, ValueError):
            stream.flush()
        raw = _Output(stream.fileno(), "wb", closefd=False)
        text = io.TextIOWrapper(
            io.BufferedWriter(raw), stream.encoding, "backslashreplace", line_buffering=True
        )
        setattr(sys, name, text)
        setattr(sys, f"__{name}__", text)


class _Output(io.FileIO):
    def write(self, data, /):
        try:
            return super().write(data)
        except OSError as error:
            if error.errno not in GONE:
                raise
            nowhere = os.open(os.devnull, os.O_WRONLY)
            os.dup2(nowhere, self.fileno())  # for child processes, too
            os.close(nowhere)
            signals.received(signal.SIGPIPE)
            return len(data)
