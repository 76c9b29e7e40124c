"""Ours against PyTorch on one machine: training steps, inference, and inference over one background, of the same networks.

    pip install -r benchmarks/requirements.txt
    python -m benchmarks.speed [--jobs train,infer,video] [--networks depthnet,masknet] [--sizes 64,128,224] [--batches 1,8,32]
        [--contenders "modest,torch,..."] [--rounds 7] [--out runs/speed]

For every case all contenders get ready, each in a process of its own, and then work in turn, about a second each, for so many
rounds. Printed and written to `speed.json` and `speed.png`: images/s (median over the rounds, and the quartiles' distance), what
share of the best PyTorch mode's speed that is (median of the rounds' ratios), GFLOP/s and its share of the peak (the faster of a
large matrix product and a 3x3 convolution of 128 channels, by either framework), peak memory of the process, seconds to get ready.
"""

import argparse
import importlib.metadata
import json
import os
import pathlib
import platform
import statistics
import subprocess
import sys
import tempfile

from matplotlib.figure import Figure

from benchmarks import contenders
from modest import report

ROOT = pathlib.Path(__file__).resolve().parents[1]


class Contender:
    """A process that does a job; ready when made."""

    def __init__(self, name, *case, **environment):
        self.name = name
        self._errors = tempfile.TemporaryFile("w+")  # not a pipe: compilers fill one with warnings, and wait
        self._process = subprocess.Popen(
            [sys.executable, "-m", "benchmarks.contenders", name, *map(str, case)],
            cwd=ROOT, env=os.environ | environment, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=self._errors, text=True,
        )  # fmt: skip
        self.start, self.rounds = self._read(), []

    def work(self):
        """One round."""
        self._process.stdin.write("\n")
        self._process.stdin.flush()
        self.rounds.append(self._read())

    def end(self):
        self._process.communicate()

    def _read(self):
        line = self._process.stdout.readline()
        if not line:
            self._errors.seek(0)
            raise RuntimeError(f"{self.name}: {self._errors.read().strip().splitlines()[-1]}")
        return json.loads(line)


def run_case(names, case, rounds):
    """`[{...}]`, what was measured of each contender in one case (job, network, size, batch)."""
    ready = [Contender(name, *case) for name in names]
    for _ in range(rounds):
        for contender in ready:
            contender.work()
    for contender in ready:
        contender.end()
    seconds = {c.name: [line["seconds"] for line in c.rounds] for c in ready}
    peers = [name for name in names if name in contenders.TORCH | contenders.TORCH_ON_GPU]
    best = min(peers, key=lambda name: statistics.median(seconds[name]), default=names[0])
    flops = next((c.start["flops"] for c in ready if c.start["flops"]), None)
    rows = []
    for c in ready:
        rates = [case[-1] / s for s in seconds[c.name]]
        low, middle, high = statistics.quantiles(rates, n=4) if rounds > 1 else rates * 3
        rows.append(
            dict(zip(("job", "network", "size", "batch"), case))
            | {"contender": c.name, "images_per_second": middle, "quartiles": high - low}
            | {"ratio": statistics.median(theirs / own for theirs, own in zip(seconds[best], seconds[c.name]))}
            | {"gflops": flops and flops / statistics.median(seconds[c.name]) / 1e9, "seconds": seconds[c.name]}
            | {"memory_mib": max(line["memory"] for line in c.rounds) / 2**20, "ready_seconds": c.start["ready"]}
        )
    return rows


def peaks(frameworks):
    """GFLOP/s by framework and kind."""
    return {name: Contender(name, "peak").start for name in frameworks}


def print_row(row, peak):
    case = f"{row['job']:5} {row['network']:8} {row['size']:4} px x {row['batch']:2}"
    rate = f"{row['images_per_second']:8.2f} +-{row['quartiles']:5.2f} images/s {row['ratio']:5.2f}x"
    work = f"{row['gflops']:6.0f} GFLOP/s {row['gflops'] / peak:4.0%}" if row["gflops"] else " " * 19
    print(f"{case}  {row['contender']:28} {rate} {work} {row['memory_mib']:6.0f} MiB {row['ready_seconds']:6.1f} s", flush=True)


def draw(rows, title, path):
    """Bars of the ratio to the best PyTorch mode, a group for each case."""
    cases = list(dict.fromkeys((row["job"], row["network"], row["size"], row["batch"]) for row in rows))
    names = list(dict.fromkeys(row["contender"] for row in rows))
    figure = Figure(figsize=(8, 1.8 + 0.16 * len(rows)), layout="constrained")
    axes = figure.subplots()
    for i, name in enumerate(names):
        own = {(r["job"], r["network"], r["size"], r["batch"]): r["ratio"] for r in rows if r["contender"] == name}
        places = [n + (i - len(names) / 2) * 0.8 / len(names) for n in range(len(cases))]
        axes.barh(places, [own.get(case, 0) for case in cases], 0.8 / len(names), label=name)
    axes.set_yticks(range(len(cases)), [f"{job} {network}\n{size} px, batch {batch}" for job, network, size, batch in cases])
    axes.invert_yaxis()
    axes.axvline(1, color="black", linewidth=0.8)
    axes.set_xlabel("images/s, of the best PyTorch mode's")
    axes.set_title(title, fontsize="small")
    figure.legend(loc="outside lower center", ncols=3, fontsize="small")
    report.save(figure, path)


def main():
    """The command; see the module."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.speed", description=__doc__.partition("\n")[0])
    words, numbers = (lambda text: text.split(",")), (lambda text: [int(number) for number in text.split(",")])
    parser.add_argument("--jobs", type=words, default=["train", "infer", "video"])
    parser.add_argument("--networks", type=words, default=["depthnet", "masknet"])
    parser.add_argument("--sizes", type=numbers, default=[64, 128, 224])
    parser.add_argument("--batches", type=numbers, default=[1, 8, 32])
    parser.add_argument("--contenders", type=words, help="by default ours and every mode of PyTorch; on a GPU also in bfloat16")
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--out", type=pathlib.Path, default=pathlib.Path("runs/speed"))
    arguments = parser.parse_args()
    import torch

    on_gpu = torch.cuda.is_available()
    modes = contenders.MODEST | contenders.TORCH
    modes |= (contenders.MODEST_ON_GPU | contenders.TORCH_ON_GPU) if on_gpu else {}
    names = arguments.contenders or list(modes)
    if unknown := set(names) - set(modes):
        parser.error(f"--contenders: {', '.join(sorted(unknown))}: not one of {', '.join(modes)}")
    device = torch.cuda.get_device_name() if on_gpu else f"{platform.machine()}, {os.cpu_count()} cores"
    title = f"{device}, " + ", ".join(f"{name} {importlib.metadata.version(name)}" for name in ("jax", "torch"))
    found = peaks(["modest", "torch"])
    peak = max(value for kinds in found.values() for value in kinds.values())
    print(title)
    print("; ".join(f"{name}: {kind} {value:.0f} GFLOP/s" for name, kinds in found.items() for kind, value in kinds.items()))

    rows = []
    cases = [
        (job, network, size, batch)
        for job in arguments.jobs for network in arguments.networks for size in arguments.sizes for batch in arguments.batches
    ]  # fmt: skip
    for case in cases:
        able = [name for name in names if case[0] == "train" or name not in contenders.MODEST_ON_GPU]  # inference is in float32
        for row in run_case(able, case, arguments.rounds):
            print_row(row, peak)
            rows.append(row)
        draw(rows, title, arguments.out / "speed.png")
        (arguments.out / "speed.json").write_text(json.dumps({"machine": title, "peaks": found, "rows": rows}, indent=1))
    print(f"written: {arguments.out / 'speed.json'}, {arguments.out / 'speed.png'}")


if __name__ == "__main__":
    main()
