"""Measure a training step by picture size, batch size and devices, and project the full recipe.

    python -m benchmarks.scaling [--rounds 5] [--teraflops 10,50,200] [--out runs/scaling]

All steps are of DepthNet in float32, on the CPU of this machine. The devices are virtual and share
its cores. Comparing several devices with one, at the same global batch, shows what splitting and
synchronising cost, not what more hardware would gain. Each point of a series starts in a process of
its own; then they work in turn. The results are written to `scaling.json` and `scaling.png`.

The projection divides the number of operations by the speed that a device sustains. The number of
operations is three times JAX's count for the forward pass.
"""

import argparse
import json
import os
import pathlib
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from matplotlib.figure import Figure

from benchmarks.speed import Contender, quartiles, run_in_turn
from modest.evaluation import figures

SIZES = (32, 64, 96, 128, 160, 224)
BATCHES = (1, 2, 4, 8, 16, 32)
DEVICES = (1, 2, 4, 8)
Point = tuple[int, int, int]  # size in px, batch, devices
SERIES: dict[str, list[Point]] = {
    "size": [(size, 4, 1) for size in SIZES],
    "batch": [(64, batch, 1) for batch in BATCHES],
    "devices": [(64, 8, devices) for devices in DEVICES],
}
COMPOSITES = 400_000  # number of composites in the original's data set


def measure(points: Sequence[Point], rounds: int) -> list[dict[str, Any]]:
    """Measure points in turn, and print a line for each.

    Args:
      points: for each point, size in px, batch and devices.
      rounds: number of rounds.

    Returns:
      For each point `size`, `batch`, `devices`, `seconds` per step (median), `quartiles` (their
      distance in seconds) and `flops` per step.

    Raises:
      RuntimeError: the process of a point ended before its last round.
    """
    started = []
    for size, batch, devices in points:
        device_flag = f"--xla_force_host_platform_device_count={devices}"
        flags = f"{os.environ.get('XLA_FLAGS', '')} {device_flag}"
        case = ("train", "depthnet", size, batch)
        contender = Contender("modest", *case, JAX_PLATFORMS="cpu", XLA_FLAGS=flags)
        assert contender.startup  # waits for it: the points start one after another
        started.append(contender)
    if run_in_turn(started, rounds) != started:
        raise RuntimeError("a point was left out, see above")
    rows = []
    for (size, batch, devices), contender in zip(points, started):
        low, middle, high = quartiles([line["seconds"] for line in contender.rounds])
        row: dict[str, Any] = {"size": size, "batch": batch, "devices": devices}
        row |= {"seconds": middle, "quartiles": high - low, "flops": contender.startup["flops"]}
        rows.append(row)
        print(
            f"{size:4} px x {batch:2} on {devices}: {middle:7.3f} +-{high - low:6.3f} s, "
            f"{row['flops'] / middle / 1e9:4.0f} GFLOP/s",
            flush=True,
        )
    return rows


def project(stages: Iterable[tuple[int, int]], rows: Iterable[Mapping[str, Any]]) -> float:
    """Return the floating-point operations of training on the original's composites.

    Args:
      stages: size in px and epochs of each stage.
      rows: measured points that include every size.
    """
    by_size = {row["size"]: row["flops"] / row["batch"] for row in rows}
    return COMPOSITES * sum(epochs * by_size[size] for size, epochs in stages)


def draw(series: Mapping[str, Sequence[Mapping[str, Any]]], path: pathlib.Path) -> None:
    """Draw three panels, one for each series."""
    figure = Figure(figsize=(11, 3.4), layout="constrained")
    by_size, by_batch, by_devices = figure.subplots(1, 3)
    _draw_by_size(by_size, series["size"])
    _draw_by_batch(by_batch, series["batch"])
    _draw_by_devices(by_devices, series["devices"])
    for axis in figure.axes:
        axis.grid(alpha=0.3)
        axis.title.set_fontsize(10)
    figures.save(figure, path)


def _draw_by_size(axis, rows):
    """Draw the seconds per picture."""
    x = [row["size"] for row in rows]
    y = [row["seconds"] / row["batch"] for row in rows]
    axis.plot(x, y, "o-", label="measured")
    proportional = [y[-1] * (size / x[-1]) ** 2 for size in x]
    axis.plot(x, proportional, "--", color="0.6", label="proportional to pixels")
    axis.set(xscale="log", yscale="log", xlabel="px", ylabel="seconds per picture")
    axis.set_title(f"batch {rows[0]['batch']}")
    axis.set_xticks(x, map(str, x))
    axis.minorticks_off()
    axis.legend()


def _draw_by_batch(axis, rows):
    """Draw the pictures per second."""
    x = [row["batch"] for row in rows]
    axis.plot(x, [row["batch"] / row["seconds"] for row in rows], "o-")
    axis.set(xscale="log", xlabel="batch", ylabel="pictures per second", ylim=(0, None))
    axis.set_title(f"{rows[0]['size']} px")
    axis.set_xticks(x, x)


def _draw_by_devices(axis, rows):
    """Draw the speed relative to one device."""
    labels = [str(row["devices"]) for row in rows]
    axis.bar(labels, [rows[0]["seconds"] / row["seconds"] for row in rows])
    axis.set(xlabel="virtual devices", ylabel="speed relative to one device")
    axis.set_title(f"{rows[0]['size']} px, global batch {rows[0]['batch']}, the same cores")


def main() -> None:
    """Run the command; see the module."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.scaling", description=__doc__.partition("\n")[0]
    )
    parser.add_argument("--rounds", type=int, default=5)
    help_ = "sustained speeds of a device that the projection assumes"
    parser.add_argument("--teraflops", default="10,50,200", help=help_)
    parser.add_argument("--out", type=pathlib.Path, default=pathlib.Path("runs/scaling"))
    arguments = parser.parse_args()
    from configs import depthnet

    series = {name: measure(points, arguments.rounds) for name, points in SERIES.items()}
    stages = depthnet.get_config("museum").stages
    flops = project(stages, series["size"])
    print(f"{COMPOSITES} composites, stages {stages}: {flops:.3g} operations")
    for sustained in map(float, arguments.teraflops.split(",")):
        hours = flops / sustained / 1e12 / 3600
        print(f"  at {sustained:g} TFLOP/s sustained: {hours:.1f} hours")
    arguments.out.mkdir(parents=True, exist_ok=True)
    (arguments.out / "scaling.json").write_text(json.dumps(series, indent=1))
    draw(series, arguments.out / "scaling.png")
    print(f"written: {arguments.out / 'scaling.json'}, {arguments.out / 'scaling.png'}")


if __name__ == "__main__":
    main()
