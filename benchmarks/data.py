"""Data: reading, building, composing, and composites made on the device. Prints figures, and writes them as JSON with `--out`.

    python -m benchmarks.data [--sizes 64 128 224] [--counts 1000 10000] [--rounds 5] [--out data.json]

Reading is compared with the way of the PyTorch original, written here anew: every picture of an example opened with Pillow, put
into [0, 1] and normalised in float64, and resized after that. Both have the same number of threads and take turns; a ratio is the
median over the rounds. Build and compose run in a process of their own, whose peak memory is told.
"""

import argparse
import itertools
import json
import os
import pathlib
import platform
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor

import numpy as np
from PIL import Image

from modest import runtime

THREADS = os.cpu_count() or 1
MEAN, STD = np.array([0.53431, 0.47368, 0.41221]), np.array([0.24217, 0.24577, 0.25699])


def compose(out, backgrounds, figures, places):
    """A data set in the MODEST layout, drawn: rooms, people, exact depth."""
    from modest.data import recipe, workshop

    made = recipe.Recipe(out=str(out), depth="scene", rooms=backgrounds, people=figures, places=places)
    return workshop.make(made, THREADS)


def build(directory, prepared):
    """The TFDS data set of such a directory."""
    from modest.data import museum

    builder = museum.prepare("folder", str(directory), str(prepared))
    splits = {name: info for name, info in builder.info.splits.items() if name not in museum.LIBRARY}
    return sum(info.num_examples for info in splits.values()), sum(info.num_bytes for info in splits.values())


def in_a_process(function, *arguments):
    """What one of the functions above gives in a process of its own, its seconds, and its peak memory in MiB, children included."""
    code = (
        "import sys, json, time, resource\n"
        "from benchmarks import data\n"
        "name, *arguments = json.loads(sys.argv[1])\n"
        "if __name__ == '__main__':\n"
        "    start = time.perf_counter()\n"
        "    result = getattr(data, name)(*arguments)\n"
        "    seconds = time.perf_counter() - start\n"
        "    peaks = [resource.getrusage(who).ru_maxrss for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]\n"
        "    print(json.dumps([result, seconds, max(peaks) / 1024]))\n"
    )
    with tempfile.TemporaryDirectory() as directory:
        script = pathlib.Path(directory) / "measure.py"
        script.write_text(code)
        command = [sys.executable, str(script), json.dumps([function.__name__, *map(str_or_number, arguments)])]
        environment = os.environ | {"PYTHONPATH": str(pathlib.Path(__file__).parents[1])}
        done = subprocess.run(command, capture_output=True, text=True, env=environment)
    if done.returncode:
        raise RuntimeError(done.stderr)
    return json.loads(done.stdout.splitlines()[-1])


def str_or_number(value):
    return value if isinstance(value, int) else str(value)


def original_batches(directory, names, size, batch_size):
    """The original's way: four JPEGs an example, decoded whole, normalised in float64, then resized."""
    scale = lambda array: np.asarray(Image.fromarray(array.astype(np.float32)).resize((size, size), Image.Resampling.BILINEAR))

    def colour(path):
        picture = np.asarray(Image.open(path).convert("RGB")) / 255.0
        picture = (picture - MEAN) / STD
        return np.stack([scale(picture[..., channel]) for channel in range(3)])

    def grey(path):
        return scale(np.asarray(Image.open(path).convert("L")) / 255.0)[None]

    def example(line):
        bg, bg_fg, mask, depth = line
        return (
            colour(directory / "bg" / f"{bg}.jpeg"),
            colour(directory / "bg_fg" / f"{bg_fg}.jpeg"),
            grey(directory / "bg_fg_mask" / f"{mask}.jpeg"),
            grey(directory / "bg_fg_depth_map" / f"{depth}.jpeg"),
        )

    order = np.random.default_rng(0).permutation(len(names))
    with ThreadPoolExecutor(THREADS) as pool:
        examples = pool.map(lambda index: example(names[index]), order)
        for _ in range(len(names) // batch_size):
            yield [np.stack(part) for part in zip(*itertools.islice(examples, batch_size))]


def rate(batches, batch_size):
    """Images a second over a whole pass."""
    start, count = time.perf_counter(), 0
    for _ in batches:
        count += batch_size
    return count / (time.perf_counter() - start)


def reading(directory, prepared, sizes, rounds, batch_size=32):
    """{size: {"ours", "original", "ratio"}} images a second with `THREADS` threads."""
    from modest.data import loader, museum

    builder = museum.prepare("folder", str(directory), str(prepared))
    names = [line.split() for line in (directory / "file_map.txt").read_text().splitlines()]
    names = names[: builder.info.splits["train"].num_examples]
    results = {}
    for size in sizes:
        examples = loader.Examples(builder, "train", size)
        ours, original = [], []
        for number in range(rounds):
            ours.append(rate(loader.train_batches(examples, batch_size, 0, number, threads=THREADS), batch_size))
            original.append(rate(original_batches(directory, names, size, batch_size), batch_size))
        ratios = sorted(a / b for a, b in zip(ours, original))
        results[size] = {
            "ours": statistics.median(ours),
            "original": statistics.median(original),
            "ratio": statistics.median(ratios),
            "spread": [ratios[0], ratios[-1]],
        }
        print(
            f"read {size:4} px: {results[size]['ours']:7.0f} images/s, the original's way {results[size]['original']:6.0f}; "
            f"ratio {results[size]['ratio']:.1f} ({ratios[0]:.1f} to {ratios[-1]:.1f})",
            flush=True,
        )
    return results


def memory_over(batches_wanted, directory, prepared, size=64, batch_size=32):
    """Resident memory in MiB after a tenth of so many batches, and after all of them."""
    from modest.data import loader, museum

    examples = loader.Examples(museum.prepare("folder", str(directory), str(prepared)), "train", size)
    epochs = itertools.count()
    batches = itertools.chain.from_iterable(loader.train_batches(examples, batch_size, 0, e, threads=THREADS) for e in epochs)
    marks = []
    for number, _ in enumerate(itertools.islice(batches, batches_wanted), 1):
        if number in (batches_wanted // 10, batches_wanted):
            marks.append(resident())
    print(f"memory after {batches_wanted // 10} batches {marks[0]:.0f} MiB, after {batches_wanted} {marks[1]:.0f} MiB", flush=True)
    return marks


def resident():
    """MiB of this process now."""
    pages = int(pathlib.Path("/proc/self/statm").read_text().split()[1])
    return pages * resource.getpagesize() / 2**20


def sources(prepared, sizes, rounds, batch_size=4):
    """Seconds of DepthNet's training step with composites from the disk and from the library, in turn, batches included."""
    from configs import depthnet
    from modest import parallel
    from modest.trainer import Trainer

    results = {}
    for size in sizes:
        runs = {}
        for source in ("records", "library"):
            config = depthnet.get_config()
            config.stages, config.batch_size, config.data.source = ((size, 1),), batch_size, source
            config.data.prepared_dir = str(prepared)
            trainer = Trainer(config)
            batches, library = trainer.batches(0, 0)
            runs[source] = {"trainer": trainer, "batches": batches, "library": library, "seconds": []}
            runs[source]["state"], _ = trainer.step(parallel.replicate(trainer.init()), parallel.shard(next(batches)), library)
        for _ in range(rounds):
            for run in runs.values():
                start = time.perf_counter()
                run["state"], _ = run["trainer"].step(run["state"], parallel.shard(next(run["batches"])), run["library"])
                run["seconds"].append(time.perf_counter() - start)
        medians = {source: statistics.median(run["seconds"]) for source, run in runs.items()}
        ratio = statistics.median(a / b for a, b in zip(runs["records"]["seconds"], runs["library"]["seconds"]))
        results[size] = medians | {"ratio": ratio}
        print(
            f"step {size:4} px, batch {batch_size}: from records {medians['records']:.3f} s, "
            f"from the library {medians['library']:.3f} s; ratio {ratio:.2f}",
            flush=True,
        )
    return results


def making(sizes, rounds, batch_size=64):
    """{size: images a second} of composites made from the library alone, without a network."""
    import jax

    from configs import depthnet
    from modest.data import library, loader

    config = depthnet.get_config()
    builder = loader.prepare(config.data)
    options, results = config.data.library.to_dict(), {}
    for size in sizes:
        loaded = jax.device_put(library.load(builder, size))
        batch = next(library.batches(len(loaded.backgrounds), len(loaded.figures), batch_size, batch_size, 0, 0))
        make = jax.jit(lambda key, loaded, batch: library.make(key, loaded, batch, options))
        jax.block_until_ready(make(jax.random.key(0), loaded, batch))
        times = []
        for number in range(rounds):
            start = time.perf_counter()
            jax.block_until_ready(make(jax.random.key(number), loaded, batch))
            times.append(time.perf_counter() - start)
        results[size] = batch_size / statistics.median(times)
        print(f"made on the device, {size:4} px: {results[size]:7.0f} images/s", flush=True)
    return results


def main():
    parser = argparse.ArgumentParser(prog="python -m benchmarks.data", description=__doc__.splitlines()[0])
    parser.add_argument("--sizes", nargs="*", type=int, default=[64, 128, 224], help="px")
    parser.add_argument("--counts", nargs="*", type=int, default=[1000, 10_000], help="composites to compose and build")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--batches", type=int, default=10_000, help="over which memory is watched")
    parser.add_argument("--out", help="a JSON file to write")
    arguments = parser.parse_args()
    runtime.prepare()
    results = {"machine": f"{platform.machine()}, {os.cpu_count()} cores, Python {platform.python_version()}", "built": {}}
    print(results["machine"])
    with tempfile.TemporaryDirectory() as work:
        work = pathlib.Path(work)
        for count in arguments.counts:
            figures = 10
            backgrounds = max(count // (figures * 20), 10)
            made, compose_seconds, compose_peak = in_a_process(compose, work / str(count), backgrounds, figures, 10)
            (examples, size), build_seconds, build_peak = in_a_process(build, work / str(count), work / "prepared")
            results["built"][count] = {
                "composites": made,
                "compose": {"seconds": compose_seconds, "peak_mib": compose_peak},
                "build": {"examples": examples, "bytes": size, "seconds": build_seconds, "peak_mib": build_peak},
            }
            print(
                f"{made} composites: composed {made / compose_seconds:.0f}/s, peak {compose_peak:.0f} MiB a process; built "
                f"{examples / build_seconds:.0f} examples/s, {size / build_seconds / 2**20:.1f} MiB/s, peak {build_peak:.0f} MiB",
                flush=True,
            )
        directory = work / str(arguments.counts[0])
        results["read"] = reading(directory, work / "prepared", arguments.sizes, arguments.rounds)
        results["memory"] = memory_over(arguments.batches, directory, work / "prepared")
        results["made"] = making(arguments.sizes, arguments.rounds)
        results["step"] = sources("", arguments.sizes, 4 * arguments.rounds)
    if arguments.out:
        pathlib.Path(arguments.out).write_text(json.dumps(results, indent=2) + "\n")


if __name__ == "__main__":
    main()
