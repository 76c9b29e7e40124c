"""Compare the speed of modest with PyTorch: training steps, inference, inference on a video.

    pip install -r benchmarks/requirements.txt
    python -m benchmarks.speed [--jobs train,infer,video]
        [--networks depthnet,pairnet,pairnet:small,masknet] [--sizes 64,128,224] [--batches 1,8,32]
        [--contenders "modest,torch,..."] [--rounds 7] [--neighbours 0] [--skip_peaks]
        [--out runs/speed]

All contenders run the same networks on the same machine, each in a process of its own. For each
case all of them start, and then take turns of about a second, for the given number of rounds.
`--neighbours N` keeps N other processes busy at the same time, on a core each. The contender
`modest xla`, which does not run by default, is modest without oneDNN.

Printed, and written to `speed.json` and `speed.png`:

- images/s: the median over the rounds, and the distance between its quartiles
- ratio to the fastest PyTorch mode, if one ran: the median of the ratios of the rounds
- GFLOP/s, and the share of the peak, which is the faster of a large matrix product and of a 3x3
  convolution of 128 channels, in either framework
- peak memory of the process; on a GPU, peak memory in use on it
- seconds that the process needed to start
"""

import argparse
import contextlib
import functools
import importlib.metadata
import importlib.util
import itertools
import json
import math
import os
import pathlib
import platform
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

from matplotlib.figure import Figure

from benchmarks import ROOT
from benchmarks.jobs import contenders
from modest.backend import platforms
from modest.evaluation import figures

# Contenders share a GPU, of whose memory JAX would take three quarters at once.
ON_GPU = {"XLA_PYTHON_CLIENT_PREALLOCATE": "false"}
CASE = ("job", "network", "size", "batch")


class Contender:
    """A process of `benchmarks/jobs/contenders.py`.

    Attributes:
      name: name of the contender.
      rounds: one line per round, `{"seconds": per call, "memory": peak bytes}`.
    """

    def __init__(self, name: str, *case: object, **environment: str) -> None:
        """Start the process.

        Args:
          name: name of the contender.
          case: its other arguments.
          environment: environment variables to add.
        """
        self.name = name
        # Not a pipe: compilers fill a pipe with warnings, and then block.
        self._errors = tempfile.TemporaryFile("w+")
        self._process = subprocess.Popen(
            [sys.executable, "-m", "benchmarks.jobs.contenders", name, *map(str, case)],
            cwd=ROOT,
            env=os.environ | ON_GPU | environment,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._errors,
            text=True,
        )
        self.rounds: list[dict[str, Any]] = []

    @functools.cached_property
    def startup(self) -> dict[str, Any]:
        """Wait until the process is ready; return its first line, `{"ready": seconds, "flops"}`.

        Raises:
          RuntimeError: the process ended; the message is the last line of its stderr.
        """
        return self._read()

    def run_round(self) -> None:
        """Run one round of about a second.

        Raises:
          RuntimeError: the process ended; the message is the last line of its stderr.
        """
        assert self._process.stdin is not None
        with contextlib.suppress(BrokenPipeError):  # the process ended; `_read` says why
            self._process.stdin.write("\n")
            self._process.stdin.flush()
        self.rounds.append(self._read())

    def close(self) -> None:
        """End the process."""
        self._process.communicate()
        self._errors.close()

    def _read(self):
        line = self._process.stdout.readline()
        if not line:
            self._process.kill()
            self._process.communicate()  # closes its pipes and waits for its end
            with self._errors:
                self._errors.seek(0)
                lines = self._errors.read().strip().splitlines()
            reason = lines[-1] if lines else f"ended with status {self._process.returncode}"
            raise RuntimeError(f"{self.name}: {reason}")
        return json.loads(line)


# Computes until the other end of its standard input is closed, however that process ends.
NEIGHBOUR = """
import os, sys, threading
threading.Thread(target=lambda: (sys.stdin.read(), os._exit(0)), daemon=True).start()
while True:
    pass
"""


@contextlib.contextmanager
def busy_neighbours(count: int) -> Iterator[list[subprocess.Popen]]:
    """Keep `count` processes computing, each on one core, inside the block; yield them."""
    command = [sys.executable, "-c", NEIGHBOUR]
    neighbours = [subprocess.Popen(command, stdin=subprocess.PIPE) for _ in range(count)]
    try:
        yield neighbours
    finally:
        for neighbour in neighbours:
            with neighbour:  # closes its pipe and waits for its end
                neighbour.kill()


def start(names: Sequence[str], case: tuple[str, str, int, int]) -> list[Contender]:
    """Start contenders and wait until they are ready: one after another, but on a GPU together.

    A GPU's machine has cores for that, and its minutes count. One that cannot start is reported,
    and left out.
    """
    begun = (Contender(name, *case, **contenders.MODEST_BY_XLA.get(name, {})) for name in names)
    started = []
    for contender in list(begun) if platforms.expects_gpu() else begun:
        try:
            assert contender.startup
            started.append(contender)
        except RuntimeError as error:
            print(f"left out, {' '.join(map(str, case))}: {error}", flush=True)
    return started


def run_in_turn(started: Sequence[Contender], rounds: int) -> list[Contender]:
    """Run the rounds of all contenders in turn, and end their processes.

    Returns:
      Those that did all rounds. One whose process ends before is reported, and left out.
    """
    running = list(started)
    for _ in range(rounds):
        for contender in tuple(running):
            try:
                contender.run_round()
            except RuntimeError as error:
                print(f"left out: {error}", flush=True)
                running.remove(contender)
    for contender in running:
        contender.close()
    return running


def quartiles(values: Sequence[float]) -> tuple[float, float, float]:
    """Return the lower quartile, the median and the upper quartile; of one value, that value."""
    if len(values) == 1:
        return values[0], values[0], values[0]
    low, middle, high = statistics.quantiles(values, n=4)
    return low, middle, high


def run_case(
    names: Sequence[str], case: tuple[str, str, int, int], rounds: int, neighbours: int = 0
) -> list[dict[str, Any]]:
    """Measure all contenders in one case.

    Args:
      names: names of the contenders.
      case: job, network, size in px, batch size.
      rounds: number of rounds.
      neighbours: number of other processes that are busy during the rounds.

    Returns:
      A row of numbers for each contender. One that cannot start, or whose process ends before its
      last round, is reported and left out. `ratio` is None if no mode of PyTorch remains.
    """
    started = start(names, case)
    with busy_neighbours(neighbours):
        started = run_in_turn(started, rounds)
    names = [contender.name for contender in started]
    seconds = {c.name: [line["seconds"] for line in c.rounds] for c in started}
    medians = {name: statistics.median(values) for name, values in seconds.items()}
    torch_names = [name for name in names if name in contenders.TORCH | contenders.TORCH_ON_GPU]
    best = min(torch_names, key=medians.__getitem__, default=None)
    flops = next((c.startup["flops"] for c in started if c.startup["flops"]), None)
    rows = []
    for contender in started:
        own = seconds[contender.name]
        low, middle, high = quartiles([case[-1] / s for s in own])
        row: dict[str, Any] = dict(zip(CASE, case))
        row["contender"] = contender.name
        row["images_per_second"] = middle
        row["quartiles"] = high - low
        row["ratio"] = best and statistics.median(b / s for b, s in zip(seconds[best], own))
        row["gflops"] = flops and flops / medians[contender.name] / 1e9
        row["seconds"] = own
        row["memory_mib"] = max(line["memory"] for line in contender.rounds) / 2**20
        row["ready_seconds"] = contender.startup["ready"]
        rows.append(row)
    return rows


def measure_peaks(frameworks: Iterable[str]) -> dict[str, dict[str, float]]:
    """Return the peak GFLOP/s, `{framework: {"product", "convolution"}}`."""
    return {name: Contender(name, "peak").startup for name in frameworks}


def print_row(row: dict[str, Any], peak: float) -> None:
    """Print one row as a line."""
    case = f"{row['job']:5} {row['network']:13} {row['size']:4} px x {row['batch']:2}"
    rate = f"{row['images_per_second']:8.2f} +-{row['quartiles']:5.2f} images/s"
    ratio, work = " " * 6, " " * 19
    if row["ratio"]:
        ratio = f"{row['ratio']:5.2f}x"
    if row["gflops"]:
        work = f"{row['gflops']:6.0f} GFLOP/s {row['gflops'] / peak:4.0%}"
    print(
        f"{case}  {row['contender']:28} {rate} {ratio} {work} "
        f"{row['memory_mib']:6.0f} MiB {row['ready_seconds']:6.1f} s",
        flush=True,
    )


def draw(rows: Sequence[dict[str, Any]], title: str, path: pathlib.Path) -> None:
    """Draw bars of the ratio to the fastest PyTorch mode, in one group per case."""
    cases = list(dict.fromkeys(_case_of(row) for row in rows))
    names = list(dict.fromkeys(row["contender"] for row in rows))
    height = 0.8 / len(names)
    figure = Figure(figsize=(8, 1.8 + 0.16 * len(rows)), layout="constrained")
    axes = figure.subplots()
    for i, name in enumerate(names):
        ratios = {_case_of(row): row["ratio"] for row in rows if row["contender"] == name}
        places = [n + (i - len(names) / 2) * height for n in range(len(cases))]
        axes.barh(places, [ratios.get(case) or 0 for case in cases], height, label=name)
    labels = [f"{job} {network}\n{size} px, batch {batch}" for job, network, size, batch in cases]
    axes.set_yticks(range(len(cases)), labels)
    axes.invert_yaxis()
    axes.axvline(1, color="black", linewidth=0.8)
    axes.set_xlabel("images/s, relative to the fastest PyTorch mode")
    axes.set_title(title, fontsize="small")
    figure.legend(loc="outside lower center", ncols=3, fontsize="small")
    figures.save(figure, path)


def _case_of(row):
    return tuple(row[name] for name in CASE)


def _words(text):
    return text.split(",")


def _numbers(text):
    return [int(number) for number in text.split(",")]


def _parser():
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.speed", description=__doc__.partition("\n")[0]
    )
    parser.add_argument("--jobs", type=_words, default=["train", "infer", "video"])
    parser.add_argument(
        "--networks", type=_words, default=["depthnet", "pairnet", "pairnet:small", "masknet"]
    )
    parser.add_argument("--sizes", type=_numbers, default=[64, 128, 224], help="px")
    parser.add_argument("--batches", type=_numbers, default=[1, 8, 32])
    help_ = "default: modest and every mode of PyTorch; on a GPU also in bfloat16"
    parser.add_argument("--contenders", type=_words, help=help_)
    parser.add_argument("--rounds", type=int, default=7)
    help_ = "number of other processes that are busy during the rounds"
    parser.add_argument("--neighbours", type=int, default=0, help=help_)
    help_ = "do not measure the peak of the machine"
    parser.add_argument("--skip_peaks", action="store_true", help=help_)
    parser.add_argument("--out", type=pathlib.Path, default=pathlib.Path("runs/speed"))
    return parser


def main() -> None:
    """Run the command; see the module."""
    parser = _parser()
    arguments = parser.parse_args()
    os.environ.setdefault("CUDA_VISIBLE_DEVICES", "0")  # PyTorch uses one GPU
    has_torch = importlib.util.find_spec("torch") is not None
    on_gpu = platforms.expects_gpu()
    modes = contenders.MODEST | (contenders.TORCH if has_torch else {})
    if on_gpu:
        modes |= contenders.MODEST_ON_GPU | (contenders.TORCH_ON_GPU if has_torch else {})
    names = arguments.contenders or list(modes)
    known = [*modes, *contenders.MODEST_BY_XLA, *contenders.MODEST_ON_GPU]
    if unknown := set(names) - set(known):
        listed = ", ".join(sorted(unknown))
        parser.error(f"--contenders: {listed}: not one of {', '.join(known)}")
    device = f"{platform.machine()}, {os.cpu_count()} cores"
    if on_gpu:
        device = platforms.gpu_name()
    packages = ("jax", "torch") if has_torch else ("jax",)
    versions = [f"{name} {importlib.metadata.version(name)}" for name in packages]
    title = f"{device}, {', '.join(versions)}"
    if arguments.neighbours:
        title += f", beside {arguments.neighbours} busy processes"
    frameworks = ["modest", "torch"] if has_torch else ["modest"]
    peaks = measure_peaks([] if arguments.skip_peaks else frameworks)
    peak = max((value for kinds in peaks.values() for value in kinds.values()), default=math.nan)
    print(title)
    lines = [
        f"{name}: {kind} {value:.0f} GFLOP/s"
        for name, kinds in peaks.items()
        for kind, value in kinds.items()
    ]
    print("; ".join(lines))

    rows = []
    for case in itertools.product(
        arguments.jobs, arguments.networks, arguments.sizes, arguments.batches
    ):
        able = names
        if case[0] != "train":  # inference with modest is always in float32
            able = [name for name in names if name not in contenders.MODEST_ON_GPU]
        for row in run_case(able, case, arguments.rounds, arguments.neighbours):
            print_row(row, peak)
            rows.append(row)
        if rows:
            draw(rows, title, arguments.out / "speed.png")
        results = {"machine": title, "peaks": peaks, "rows": rows}
        arguments.out.mkdir(parents=True, exist_ok=True)
        (arguments.out / "speed.json").write_text(json.dumps(results, indent=1))
    print(f"written: {arguments.out / 'speed.json'}, {arguments.out / 'speed.png'}")


if __name__ == "__main__":
    main()
