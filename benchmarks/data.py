"""Measure how fast data sets are composed, prepared and read, and composites made on the device.

    python -m benchmarks.data [--sizes 64 128 224] [--counts 1000 10000] [--rounds 5]
        [--batches 10000] [--out data.json]

Reading is compared with reading as the PyTorch original does it, see `original_reading.py`. Both
use the same number of threads and take turns. A ratio is the median over the rounds. Composing and
preparing run in processes of their own, whose peak memory is measured.
"""

import argparse
import itertools
import json
import os
import pathlib
import platform
import resource
import statistics
import tempfile
import time
from collections.abc import Iterable, Sequence
from typing import Any

from benchmarks.jobs import data_jobs
from benchmarks.jobs.original_reading import original_batches
from modest.run import runtime

THREADS = os.cpu_count() or 1


def compose_and_prepare(count: int, work: pathlib.Path) -> dict[str, Any]:
    """Compose about `count` composites into `work/count`, and prepare them into `work/prepared`."""
    figures, places = 10, 10
    backgrounds = max(count // (figures * 20), 10)
    directory = work / str(count)
    composed = data_jobs.measure("compose", directory, backgrounds, figures, places)
    prepared = data_jobs.measure("prepare", directory, work / "prepared")
    composites, (examples, size) = composed.result, prepared.result
    print(
        f"{composites} composites: composed {composites / composed.seconds:.0f}/s, peak "
        f"{composed.peak_mib:.0f} MiB per process; prepared {examples / prepared.seconds:.0f} "
        f"examples/s, {size / prepared.seconds / 2**20:.1f} MiB/s, "
        f"peak {prepared.peak_mib:.0f} MiB",
        flush=True,
    )
    return {
        "composites": composites,
        "compose": {"seconds": composed.seconds, "peak_mib": composed.peak_mib},
        "build": {
            "examples": examples,
            "bytes": size,
            "seconds": prepared.seconds,
            "peak_mib": prepared.peak_mib,
        },
    }


def images_per_second(batches: Iterable[Any], batch_size: int) -> float:
    """Return the speed of reading all batches."""
    began, count = time.perf_counter(), 0
    for _ in batches:
        count += batch_size
    return count / (time.perf_counter() - began)


def measure_reading(
    directory: pathlib.Path,
    prepared: pathlib.Path,
    sizes: Sequence[int],
    rounds: int,
    batch_size: int = 32,
) -> dict[int, dict[str, Any]]:
    """Compare reading with reading as the original does it, with `THREADS` threads each.

    Args:
      directory: a data set in the MODEST layout.
      prepared: directory in which it was prepared.
      sizes: picture sizes in px.
      rounds: number of times that each way reads the training split.
      batch_size: examples per batch.

    Returns:
      For each size: `ours` and `original` in images/s, their `ratio`, and the `spread` of the
      ratio.
    """
    from modest.data.batches import loader
    from modest.data.museum import preparation

    builder = preparation.prepare("folder", str(directory), str(prepared))
    names = [line.split() for line in (directory / "file_map.txt").read_text().splitlines()]
    names = names[: builder.info.splits["train"].num_examples]
    results: dict[int, dict[str, Any]] = {}
    for size in sizes:
        examples = loader.Examples(builder, "train", size)
        ours, original = [], []
        for number in range(rounds):
            batches = loader.train_batches(examples, batch_size, 0, number, threads=THREADS)
            ours.append(images_per_second(batches, batch_size))
            theirs = original_batches(directory, names, size, batch_size, THREADS)
            original.append(images_per_second(theirs, batch_size))
        ratios = sorted(a / b for a, b in zip(ours, original))
        results[size] = {
            "ours": statistics.median(ours),
            "original": statistics.median(original),
            "ratio": statistics.median(ratios),
            "spread": [ratios[0], ratios[-1]],
        }
        print(
            f"read {size:4} px: {results[size]['ours']:7.0f} images/s, in the way of the original "
            f"{results[size]['original']:6.0f}; ratio {results[size]['ratio']:.1f} "
            f"({ratios[0]:.1f} to {ratios[-1]:.1f})",
            flush=True,
        )
    return results


def measure_memory(
    batch_count: int,
    directory: pathlib.Path,
    prepared: pathlib.Path,
    size: int = 64,
    batch_size: int = 32,
) -> list[float]:
    """Return the resident memory in MiB after a tenth of the batches, and after all.

    Args:
      batch_count: number of batches, at least 2.
      directory: a data set in the MODEST layout.
      prepared: directory in which it was prepared.
      size: picture size in px.
      batch_size: examples per batch.
    """
    from modest.data.batches import loader
    from modest.data.museum import preparation

    builder = preparation.prepare("folder", str(directory), str(prepared))
    examples = loader.Examples(builder, "train", size)
    batches = itertools.chain.from_iterable(
        loader.train_batches(examples, batch_size, 0, epoch, threads=THREADS)
        for epoch in itertools.count()
    )
    tenth = max(1, batch_count // 10)
    marks = []
    for number, _ in enumerate(itertools.islice(batches, batch_count), 1):
        if number in (tenth, batch_count):
            marks.append(resident_mib())
    print(
        f"memory after {tenth} batches {marks[0]:.0f} MiB, after {batch_count} {marks[1]:.0f} MiB",
        flush=True,
    )
    return marks


def resident_mib() -> float:
    """Return the resident memory of this process in MiB."""
    pages = int(pathlib.Path("/proc/self/statm").read_text().split()[1])
    return pages * resource.getpagesize() / 2**20


def measure_steps(sizes: Sequence[int], rounds: int, batch_size: int = 4) -> dict[int, Any]:
    """Compare DepthNet's training step with composites from records and from the library.

    The steps run in turn, on the embedded data set, and include the wait for the batch.

    Returns:
      For each size the median seconds of `records` and `library`, and their `ratio`.
    """
    results = {}
    for size in sizes:
        runs = {source: _Run(source, size, batch_size) for source in ("records", "library")}
        for _ in range(rounds):
            for run in runs.values():
                began = time.perf_counter()
                run.step()
                run.seconds.append(time.perf_counter() - began)
        medians = {source: statistics.median(run.seconds) for source, run in runs.items()}
        pairs = zip(runs["records"].seconds, runs["library"].seconds)
        ratio = statistics.median(a / b for a, b in pairs)
        results[size] = medians | {"ratio": ratio}
        print(
            f"step {size:4} px, batch {batch_size}: from records {medians['records']:.3f} s, "
            f"from the library {medians['library']:.3f} s; ratio {ratio:.2f}",
            flush=True,
        )
    return results


class _Run:
    """A training run of one epoch; its first step has been done."""

    def __init__(self, source: str, size: int, batch_size: int) -> None:
        from configs import depthnet
        from modest.run import devices
        from modest.training.setup import TrainingSetup

        config = depthnet.get_config()
        config.stages, config.batch_size, config.data.source = ((size, 1),), batch_size, source
        self._setup = TrainingSetup(config)
        self._batches, self._library = self._setup.batches(0, 0)
        self._state = devices.replicate(self._setup.new_state())
        self.seconds: list[float] = []
        self.step()

    def step(self) -> None:
        from modest.run import devices

        batch = devices.shard(next(self._batches))
        self._state, _ = self._setup.step(self._state, batch, self._library)


def measure_making(sizes: Sequence[int], rounds: int, batch_size: int = 64) -> dict[int, float]:
    """Return the images/s of making composites on the device, without a network, by size."""
    import jax

    from configs import depthnet
    from modest.data.batches import device_composites, library_loader, loader

    config = depthnet.get_config()
    builder = loader.prepare_from_config(config.data)
    options = config.data.library.to_dict()

    @jax.jit
    def make(key, library, batch):
        return device_composites.make(key, library, batch, options)

    results = {}
    for size in sizes:
        library = jax.device_put(library_loader.load(builder, size))
        counts = len(library.backgrounds), len(library.figures)
        batch = next(device_composites.batches(*counts, batch_size, batch_size, 0, 0))
        jax.block_until_ready(make(jax.random.key(0), library, batch))  # compiles
        times = []
        for number in range(rounds):
            began = time.perf_counter()
            jax.block_until_ready(make(jax.random.key(number), library, batch))
            times.append(time.perf_counter() - began)
        results[size] = batch_size / statistics.median(times)
        print(f"made on the device, {size:4} px: {results[size]:7.0f} images/s", flush=True)
    return results


def main() -> None:
    """Run the command; see the module."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.data", description=__doc__.splitlines()[0]
    )
    parser.add_argument("--sizes", nargs="*", type=int, default=[64, 128, 224], help="px")
    help_ = "numbers of composites to compose and prepare"
    parser.add_argument("--counts", nargs="*", type=int, default=[1000, 10_000], help=help_)
    parser.add_argument("--rounds", type=int, default=5)
    help_ = "number of batches over which memory is measured"
    parser.add_argument("--batches", type=int, default=10_000, help=help_)
    parser.add_argument("--out", help="JSON file to write")
    arguments = parser.parse_args()
    if arguments.batches < 2:
        parser.error("--batches: must be at least 2")
    runtime.prepare()
    cores = f"{os.cpu_count()} cores"
    machine = f"{platform.machine()}, {cores}, Python {platform.python_version()}"
    results: dict[str, Any] = {"machine": machine, "built": {}}
    print(machine)
    with tempfile.TemporaryDirectory() as name:
        work = pathlib.Path(name)
        for count in arguments.counts:
            results["built"][count] = compose_and_prepare(count, work)
        directory, prepared = work / str(arguments.counts[0]), work / "prepared"
        results["read"] = measure_reading(directory, prepared, arguments.sizes, arguments.rounds)
        results["memory"] = measure_memory(arguments.batches, directory, prepared)
        results["made"] = measure_making(arguments.sizes, arguments.rounds)
        results["step"] = measure_steps(arguments.sizes, 4 * arguments.rounds)
    if arguments.out:
        pathlib.Path(arguments.out).write_text(json.dumps(results, indent=2) + "\n")


if __name__ == "__main__":
    main()
