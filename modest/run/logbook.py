"""What a run records while it trains: `metrics.jsonl`, TensorBoard events, and a progress bar.

`metrics.jsonl` holds one JSON object per line. Each has `step`, `epoch` and `seconds`, the time
spent on training so far, including that before the run was resumed.
"""

import contextlib
import json
import pathlib
import sys
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, Self, TypeVar

import numpy as np
from tqdm import tqdm

from modest.errors import InputError, TrainingError
from modest.run import files, workdirs

T = TypeVar("T")

FLUSH_SECONDS = 30  # TensorBoard events are on disk after this time at the latest
NUMBERS = ("step", "epoch", "seconds")  # that every line has

# Values that differ between two runs of the same config.
CLOCK_VALUES = (
    "seconds",
    "images_per_second",
    "compile_seconds",
    "data_seconds",
    "validation_seconds",
    "save_seconds",
)


class Logbook:
    """The records of one work directory; a context manager."""

    def __init__(
        self,
        workdir: str | pathlib.Path,
        from_step: int = 0,
        from_epoch: int = 0,
        writes: bool = True,
    ) -> None:
        """Open the records, and remove the lines after the checkpoint that is resumed.

        A run that was killed may have logged steps after its last checkpoint. These steps are
        computed again, so their lines are removed.

        Args:
          workdir: the work directory.
          from_step: step of the checkpoint.
          from_epoch: epochs finished at the checkpoint. If a validation was logged at `from_step`
            after the checkpoint was saved, its line is removed too.
          writes: False in the secondary processes of a distributed run, which only keep `lines`.
        """
        self.workdir = pathlib.Path(workdir)
        self.lines = [
            line for line in read_metrics(workdir) if not _is_after(line, from_step, from_epoch)
        ]
        self.seconds_before = self.lines[-1]["seconds"] if self.lines else 0.0
        self._writes = writes
        if writes:
            path = self.workdir / workdirs.METRICS
            files.write(path, "".join(json.dumps(line) + "\n" for line in self.lines).encode())
            self._file = path.open("a")
            self._board = _Board(self.workdir, from_step + 1)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exception: object) -> None:
        if self._writes:
            for file in (self._file, self._board):
                with contextlib.suppress(OSError):  # a full disk has already been reported
                    file.close()

    def write(self, step: int, epoch: int, seconds: float, values: dict[str, float]) -> None:
        """Append one line. It is on disk when this returns, so that a kill loses no line.

        Args:
          step: optimizer updates so far.
          epoch: number of the epoch, from 1.
          seconds: seconds of training since this process started or resumed it.
          values: `{name: number}`.

        Raises:
          TrainingError: the file cannot be written.
        """
        seconds = round(self.seconds_before + seconds, 3)
        line = {"step": step, "epoch": epoch, "seconds": seconds} | values
        self.lines.append(line)
        if not self._writes:
            return
        with self._full_disk_as_training_error():
            self._file.write(json.dumps(line) + "\n")
            self._file.flush()
            self._board.scalars(step, values)

    def picture(self, step: int, name: str, picture: np.ndarray) -> None:
        """Add a uint8 `[H,W,3]` picture to TensorBoard, and save its events.

        Raises:
          TrainingError: the file cannot be written.
        """
        if self._writes:
            with self._full_disk_as_training_error():
                self._board.picture(step, name, picture)

    @contextlib.contextmanager
    def _full_disk_as_training_error(self) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            raise TrainingError(
                f"{self.workdir}: cannot be written to ({error.strerror}); make room and resume"
            ) from None


class _Board:
    """Writes TensorBoard events, without tensorboardX's thread.

    If the disk is full, that thread dies, and the interpreter waits for it when it ends.
    """

    def __init__(self, workdir: pathlib.Path, first_step: int) -> None:
        """Begin a file of events; TensorBoard drops earlier ones from `first_step` on."""
        # tensorboardX imports PyTorch where it is installed. That takes seconds, and is not needed.
        hides_torch = "torch" not in sys.modules
        if hides_torch:
            sys.modules["torch"] = None  # type: ignore[assignment]  # lets an import fail
        try:
            from tensorboardX import event_file_writer, summary
            from tensorboardX.proto import event_pb2
        finally:
            if hides_torch:
                del sys.modules["torch"]
        self._events, self._summary = event_pb2, summary
        self._file = event_file_writer.EventsWriter(str(workdir / "events"))
        started = event_pb2.SessionLog(status=event_pb2.SessionLog.START)
        self._write(first_step, session_log=started)
        self._flush()

    def scalars(self, step: int, values: Mapping[str, float]) -> None:
        for name, value in values.items():
            self._write(step, summary=self._summary.scalar(name, value))
        if time.monotonic() - self._flushed > FLUSH_SECONDS:
            self._flush()

    def picture(self, step: int, name: str, picture: np.ndarray) -> None:
        self._write(step, summary=self._summary.image(name, picture, dataformats="HWC"))
        self._flush()

    def close(self) -> None:
        self._file.close()

    def _flush(self):
        self._file.flush()
        self._flushed = time.monotonic()

    def _write(self, step, **content):
        event = self._events.Event(step=step, wall_time=time.time(), **content)
        self._file.write_event(event)


class Stopwatch:
    """Measures the time spent waiting for the next item of an iterator."""

    def __init__(self) -> None:
        self._seconds = 0.0

    def during(self, items: Iterable[T]) -> Iterator[T]:
        """Yield the items, and add up the time that each of them takes to arrive."""
        iterator, end = iter(items), object()
        while True:
            began = time.monotonic()
            item: Any = next(iterator, end)
            self._seconds += time.monotonic() - began
            if item is end:
                return
            yield item

    def reset(self) -> float:
        """Return the seconds since the last call, and start again at 0."""
        seconds, self._seconds = self._seconds, 0.0
        return seconds


class Progress:
    """The progress bar of one epoch; only on a terminal."""

    def __init__(self, steps: int, title: str, done: int = 0) -> None:
        self._bar = tqdm(
            total=steps,
            initial=done,
            desc=title,
            unit="step",
            leave=False,
            disable=not sys.stderr.isatty(),
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exception: object) -> None:
        self._bar.close()

    def step(self, **values: float) -> None:
        """Advance by one step; show `values` to the right of the bar."""
        if values:
            shown = {name: f"{value:.4g}" for name, value in values.items()}
            self._bar.set_postfix(shown, refresh=False)
        self._bar.update()


def say(text: str) -> None:
    """Print a line to stdout, above the progress bar if there is one."""
    with tqdm.external_write_mode(file=sys.stdout):
        print(text, flush=True)


def read_metrics(workdir: str | pathlib.Path) -> list[dict[str, Any]]:
    """Return the lines of `metrics.jsonl`, without a last line that was cut off by a kill.

    Raises:
      InputError: another line is damaged.
    """
    path = pathlib.Path(workdir) / workdirs.METRICS
    texts = path.read_text(errors="replace").splitlines() if path.is_file() else []
    lines: list[dict[str, Any]] = []
    for number, text in enumerate(texts, 1):
        try:
            line = json.loads(text)
            if not all(isinstance(line[key], int | float) for key in NUMBERS):
                raise ValueError
            lines.append(line)
        except (ValueError, LookupError, TypeError, RecursionError):
            if number < len(texts):
                raise InputError(
                    f"{path}, line {number}: damaged; restore the file, or remove the line"
                ) from None
    return lines


def time_split(lines: Sequence[dict[str, Any]]) -> str:
    """Return a sentence that says how a run spent its seconds, from its `metrics.jsonl`.

    The time that the sentence does not name was spent on the steps.
    """
    total = lines[-1]["seconds"]
    parts = {
        "compilation": "compile_seconds",
        "validation": "validation_seconds",
        "waiting for data": "data_seconds",
        "saving": "save_seconds",
    }
    shares = []
    for name, key in parts.items():
        seconds = sum(line.get(key, 0) for line in lines)
        shares.append(f"{name} {seconds / total:.1%}")
    return f"trained {lines[-1]['step']} steps in {total:.0f} s: {', '.join(shares)}"


def table(
    title: str, columns: Sequence[str], rows: Mapping[str, Sequence[float | str]]
) -> list[str]:
    """Return the lines of a text table; `rows` is `{name: numbers or texts}`."""
    width = max(len(name) for name in [title, *rows])
    lines = [title.ljust(width) + "".join(f"{column:>18}" for column in columns)]
    for name, values in rows.items():
        cells = [x if isinstance(x, str) else f"{x:.4f}" for x in values]
        lines.append(name.ljust(width) + "".join(f"{cell:>18}" for cell in cells))
    return lines


def _is_after(line, step, epoch):
    """Return whether a line was logged after the checkpoint of a step and a number of epochs."""
    return line["step"] > step or (line["epoch"] > epoch and "val/loss" in line)
