"""What a training step costs by picture size, batch and number of devices; and what the full recipe would.

    python -m benchmarks.scaling [--rounds 5] [--teraflops 10,50,200] [--out runs/scaling]

All steps are DepthNet's, float32, on this machine's CPU. Devices are virtual and share its cores: N of them beside one, with one
global batch, show what splitting and synchronising cost, not what they win. The points of a series get ready, each in a process of
its own, and then work in turn. Written are `scaling.json` and `scaling.png`.

The projection counts operations, three times those of the forward pass by JAX, and divides by what a device sustains.
"""

import argparse
import json
import os
import pathlib
import statistics

from matplotlib.figure import Figure

from benchmarks.speed import Contender
from modest import report

SIZES, BATCHES, DEVICES = (32, 64, 96, 128, 160, 224), (1, 2, 4, 8, 16, 32), (1, 2, 4, 8)
SERIES = {  # name: (size, batch, devices) of each point
    "size": [(size, 4, 1) for size in SIZES],
    "batch": [(64, batch, 1) for batch in BATCHES],
    "devices": [(64, 8, devices) for devices in DEVICES],
}
COMPOSITES = 400_000  # the original's


def measure(points, rounds):
    """Of each point `{"size", "batch", "devices", "seconds" a step, "quartiles" apart, "flops" a step}`."""
    ready = []
    for size, batch, devices in points:
        flags = f"{os.environ.get('XLA_FLAGS', '')} --xla_force_host_platform_device_count={devices}"
        ready.append(Contender("modest", "train", "depthnet", size, batch, JAX_PLATFORMS="cpu", XLA_FLAGS=flags))
    for _ in range(rounds):
        for contender in ready:
            contender.work()
    rows = []
    for (size, batch, devices), contender in zip(points, ready):
        contender.end()
        seconds = [line["seconds"] for line in contender.rounds]
        low, middle, high = statistics.quantiles(seconds, n=4) if rounds > 1 else seconds * 3
        rows.append({"size": size, "batch": batch, "devices": devices, "seconds": middle, "quartiles": high - low})
        rows[-1]["flops"] = contender.start["flops"]
        rate = contender.start["flops"] / middle / 1e9
        print(f"{size:4} px x {batch:2} on {devices}: {middle:7.3f} +-{high - low:6.3f} s, {rate:4.0f} GFLOP/s", flush=True)
    return rows


def project(stages, rows):
    """Floating point operations of the original's composites, once an epoch, through `stages` of (size, epochs)."""
    by_size = {row["size"]: row["flops"] / row["batch"] for row in rows}
    return COMPOSITES * sum(epochs * by_size[size] for size, epochs in stages)


def draw(series, path):
    """Three panels: seconds a picture by size, pictures a second by batch, the share of one device's speed by devices."""
    figure = Figure(figsize=(11, 3.4), layout="constrained")
    by_size, by_batch, by_devices = figure.subplots(1, 3)
    x, y = [row["size"] for row in series["size"]], [row["seconds"] / row["batch"] for row in series["size"]]
    by_size.plot(x, y, "o-", label="measured")
    by_size.plot(x, [y[-1] * (size / x[-1]) ** 2 for size in x], "--", color="0.6", label="in proportion to pixels")
    by_size.set(xscale="log", yscale="log", xlabel="px", ylabel="seconds a picture", title=f"batch {series['size'][0]['batch']}")
    by_size.set_xticks(x, map(str, x))
    by_size.minorticks_off()
    by_size.legend()
    rows = series["batch"]
    by_batch.plot([row["batch"] for row in rows], [row["batch"] / row["seconds"] for row in rows], "o-")
    by_batch.set(xscale="log", xlabel="batch", ylabel="pictures a second", title=f"{rows[0]['size']} px", ylim=(0, None))
    by_batch.set_xticks([row["batch"] for row in rows], [row["batch"] for row in rows])
    rows = series["devices"]
    by_devices.bar([str(row["devices"]) for row in rows], [rows[0]["seconds"] / row["seconds"] for row in rows])
    title = f"{rows[0]['size']} px, batch {rows[0]['batch']} in all, the same cores"
    by_devices.set(xlabel="virtual devices", ylabel="speed, of one device's", title=title)
    for axis in figure.axes:
        axis.grid(alpha=0.3)
        axis.title.set_fontsize(10)
    report.save(figure, path)


def main():
    """The command; see the module."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.scaling", description=__doc__.partition("\n")[0])
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--teraflops", default="10,50,200", help="what a device is assumed to sustain, for the projection")
    parser.add_argument("--out", type=pathlib.Path, default=pathlib.Path("runs/scaling"))
    arguments = parser.parse_args()
    from configs import depthnet

    series = {name: measure(points, arguments.rounds) for name, points in SERIES.items()}
    stages = depthnet.get_config("museum").stages
    flops = project(stages, series["size"])
    print(f"{COMPOSITES} composites, stages {stages}: {flops:.3g} operations")
    for sustained in map(float, arguments.teraflops.split(",")):
        print(f"  at {sustained:g} TFLOP/s sustained: {flops / sustained / 1e12 / 3600:.1f} hours")
    arguments.out.mkdir(parents=True, exist_ok=True)
    (arguments.out / "scaling.json").write_text(json.dumps(series, indent=1))
    draw(series, arguments.out / "scaling.png")
    print(f"written: {arguments.out / 'scaling.json'}, {arguments.out / 'scaling.png'}")


if __name__ == "__main__":
    main()
