"""Figures from a work directory's files: `figures/curves.png` and `figures/predictions.png`.

python -m modest.report --workdir runs/depthnet      draws them again
"""

import argparse
import pathlib
import sys

import numpy as np
from matplotlib.figure import Figure

from modest.logbook import read_metrics
from modest.vocabulary import DEPTH_METRES

FIGURES = "figures"
CURVES = (("loss", "loss"), ("mask/iou", "mask IoU"), ("depth/rmse", "depth RMSE (1 = 10 m)"))
COLUMNS = {
    "bg": "background",
    "bg_fg": "with a person",
    "mask": "mask: truth",
    "output_mask": "mask: prediction",
    "depth": "depth: truth",
    "output_depth": "depth: prediction",
}


def write(workdir):
    """Draws every figure that the files in `workdir` allow; returns their paths."""
    workdir = pathlib.Path(workdir)
    written = []
    lines = read_metrics(workdir)
    if any("val/loss" in line for line in lines):
        written.append(save(curves(lines), workdir / FIGURES / "curves.png"))
    if (workdir / "predictions.npz").is_file():
        with np.load(workdir / "predictions.npz") as file:
            examples = _by_split(file)
        written.append(save(predictions(examples), workdir / FIGURES / "predictions.png"))
    return written


def curves(lines):
    """A figure of loss, mask IoU and depth RMSE by epoch, training and validation, from the lines of `metrics.jsonl`."""
    shown = [(name, title) for name, title in CURVES if any(f"val/{name}" in line for line in lines)]
    figure = Figure(figsize=(4.5 * len(shown), 3.4), layout="constrained")
    axes = figure.subplots(1, len(shown), squeeze=False)
    for axis, (name, title) in zip(axes[0], shown):
        for prefix, label in (("train", "training"), ("val", "validation")):
            by_epoch = {}
            for line in lines:
                if f"{prefix}/{name}" in line:
                    by_epoch.setdefault(line["epoch"], []).append(line[f"{prefix}/{name}"])
            axis.plot(list(by_epoch), [np.mean(values) for values in by_epoch.values()], "o-", markersize=3, label=label)
        axis.set(xlabel="epoch", title=title)
        axis.grid(alpha=0.3)
        axis.legend()
    return figure


def learning_rates(results):
    """A figure of the loss by the learning rate, from the results of `lr_range`."""
    figure = Figure(figsize=(5, 3.4), layout="constrained")
    axis = figure.subplots()
    axis.plot(results["learning_rate"], results["loss"], color="0.8", label="loss")
    axis.plot(results["learning_rate"], results["smoothed"], label="smoothed")
    for name, colour in (("steepest", "C1"), ("tenth_of_lowest", "C2")):
        axis.axvline(results[name], color=colour, linestyle="--", label=f"{name.replace('_', ' ')}: {results[name]:.2g}")
    axis.set(xscale="log", xlabel="learning rate", ylabel="training loss", ylim=(0, 2 * results["smoothed"][0]))
    axis.grid(alpha=0.3)
    axis.legend()
    return figure


def predictions(examples):
    """A figure of pictures, truth beside prediction; `examples` is `{split: {bg, bg_fg, mask, output_mask, ...: uint8 [N,H,W,C]}}`.

    Depth is coloured, dark near and bright far, on one scale for truth and prediction of an example.
    """
    columns = [kind for kind in COLUMNS if all(kind in part for part in examples.values())]
    rows = [(split, i) for split, part in examples.items() for i in range(len(part["bg"]))]
    figure = Figure(figsize=(1.75 * len(columns), 1.8 * len(rows) + 0.3), layout="constrained")
    axes = figure.subplots(len(rows), len(columns), squeeze=False)
    for row, (split, i) in enumerate(rows):
        part = examples[split]
        far = max([part[kind][i].max() for kind in ("depth", "output_depth") if kind in part], default=255)
        for axis, kind in zip(axes[row], columns):
            picture = part[kind][i]
            if kind.endswith("depth"):
                drawn = axis.imshow(picture[..., 0] / 255 * DEPTH_METRES, cmap="magma", vmin=0, vmax=far / 255 * DEPTH_METRES)
            else:
                axis.imshow(picture.squeeze(), cmap="gray", vmin=0, vmax=255)
            axis.set(xticks=[], yticks=[])
            if row == 0:
                axis.set_title(COLUMNS[kind], fontsize=9)
        axes[row, 0].set_ylabel(f"{split} {i}", fontsize=7)
        if "output_depth" in part:
            figure.colorbar(drawn, ax=axes[row], label="m", shrink=0.9, pad=0.01)
    return figure


def tile(examples):
    """The same pictures without a word, as one uint8 `[H,W,3]`: a row an example."""
    columns = [examples[kind] for kind in COLUMNS if kind in examples]
    columns = [np.broadcast_to(pictures, (*pictures.shape[:-1], 3)) for pictures in columns]
    return np.concatenate([np.concatenate(list(pictures), axis=0) for pictures in columns], axis=1)


def _by_split(file):
    """`{split: {kind: array}}` of an opened `predictions.npz`, whose names are `split/kind`."""
    examples = {}
    for name in file.files:
        split, kind = name.rsplit("/", 1)
        examples.setdefault(split, {})[kind] = file[name]
    return examples


def save(figure, path):
    """Writes a figure as PNG, its directory made if need be; returns the path."""
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, dpi=110)
    return path


def main(argv=None):
    """The command; see the module."""
    parser = argparse.ArgumentParser(prog="python -m modest.report", description="Draws a work directory's figures again.")
    parser.add_argument("--workdir", required=True, type=pathlib.Path)
    arguments = parser.parse_args(argv)
    if not arguments.workdir.is_dir():
        parser.error(f"--workdir={arguments.workdir}: no such directory")
    for path in write(arguments.workdir):
        print(path)


if __name__ == "__main__":
    sys.exit(main())
