"""What a run writes while it goes: `metrics.jsonl`, TensorBoard events, and lines or a progress bar for the person who watches.

`metrics.jsonl` holds one JSON object a line, each with `step`, `epoch` and `seconds` (of training so far, restarts included).
"""

import contextlib
import json
import pathlib
import sys
import time

from tensorboardX import SummaryWriter
from tqdm import tqdm

from modest import files
from modest.vocabulary import TrainingError

METRICS_FILE = "metrics.jsonl"
CLOCK_VALUES = ("seconds", "images_per_second", "data_seconds", "validation_seconds", "save_seconds")  # differ from run to run


class Logbook:
    """Writes to one work directory; use as a context manager."""

    def __init__(self, workdir, from_step=0, from_epoch=0, writes=True):
        """What was logged after the checkpoint that is resumed, by a run that stopped before its next one, is taken back.

        That is what came after `from_step`, and a validation that came after it at that very step (of `from_epoch` epochs done).
        One that does not write keeps the lines only, for `lines`.
        """
        self.workdir = pathlib.Path(workdir)
        undone = lambda line: line["step"] > from_step or (line["epoch"] > from_epoch and "val/loss" in line)
        self.lines = [line for line in read_metrics(workdir) if not undone(line)]
        self.seconds_before = self.lines[-1]["seconds"] if self.lines else 0.0
        self._writes = writes
        if writes:
            path = self.workdir / METRICS_FILE
            files.write(path, "".join(json.dumps(line) + "\n" for line in self.lines).encode())
            self._file = path.open("a")
            self._board = SummaryWriter(str(workdir), purge_step=from_step + 1, max_queue=0)  # unbounded: a full queue waits

    def __enter__(self):
        return self

    def __exit__(self, *exception):
        if self._writes:
            with contextlib.suppress(OSError):  # a full disk has been told of
                self._file.close()
                self._board.close()

    def write(self, step, epoch, seconds, values):
        """One line: `values` is `{name: number}`. On disk when this returns, so a kill loses none."""
        line = {"step": step, "epoch": epoch, "seconds": round(self.seconds_before + seconds, 3)} | values
        self.lines.append(line)
        if self._writes:
            try:
                self._file.write(json.dumps(line) + "\n")
                self._file.flush()
            except OSError as error:
                raise TrainingError(f"{self._file.name}: cannot be written ({error.strerror}); make room, and go on") from None
            for name, value in values.items():
                self._board.add_scalar(name, value, step)

    def picture(self, step, name, picture):
        """A uint8 `[H,W,3]` picture for TensorBoard."""
        if self._writes:
            self._board.add_image(name, picture, step, dataformats="HWC")


class Stopwatch:
    """Adds up the seconds that are spent waiting for the next item of an iterator."""

    def __init__(self):
        self._seconds = 0.0

    def during(self, items):
        """The items."""
        items = iter(items)
        while True:
            began = time.monotonic()
            item = next(items, self)
            self._seconds += time.monotonic() - began
            if item is self:
                return
            yield item

    def reset(self):
        """The seconds since the last call."""
        seconds, self._seconds = self._seconds, 0.0
        return seconds


class Progress:
    """One epoch's progress: a bar on a terminal, nothing when piped (the epoch's closing line is printed either way)."""

    def __init__(self, steps, title, done=0):
        self._bar = tqdm(total=steps, initial=done, desc=title, unit="step", leave=False, disable=not sys.stderr.isatty())

    def __enter__(self):
        return self

    def __exit__(self, *exception):
        self._bar.close()

    def step(self, **values):
        """One step done; `values` are shown behind the bar."""
        if values:
            self._bar.set_postfix({k: f"{v:.4g}" for k, v in values.items()}, refresh=False)
        self._bar.update()


def say(text):
    """A line for the person who watches, above a bar if there is one."""
    with tqdm.external_write_mode(file=sys.stdout):
        print(text, flush=True)


def read_metrics(workdir):
    """The lines of `metrics.jsonl` as dicts; a last line cut short by a kill is left out."""
    path = pathlib.Path(workdir) / METRICS_FILE
    lines = []
    if path.is_file():
        for line in path.read_text().splitlines():
            try:
                lines.append(json.loads(line))
            except json.JSONDecodeError:
                break
    return lines


def time_split(lines):
    """A line that says where a run's seconds went, by the lines of its `metrics.jsonl`; the rest are steps and compiling them."""
    total = lines[-1]["seconds"]
    parts = {"validation": "validation_seconds", "waiting for data": "data_seconds", "saving": "save_seconds"}
    shares = (f"{name} {sum(line.get(key, 0) for line in lines) / total:.1%}" for name, key in parts.items())
    return f"trained {lines[-1]['step']} steps in {total:.0f} s: {', '.join(shares)}"


def write_json(path, value):
    """A JSON file, written whole or not at all."""
    files.write(path, (json.dumps(value, indent=2) + "\n").encode())


def table(title, columns, rows):
    """Lines of a text table; `rows` is `{name: [number, ...]}`."""
    width = max(len(name) for name in [title, *rows])
    lines = [title.ljust(width) + "".join(f"{c:>18}" for c in columns)]
    lines += [name.ljust(width) + "".join(f"{v:>18.4f}" for v in values) for name, values in rows.items()]
    return lines
