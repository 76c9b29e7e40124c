"""Figures of a run, drawn from nothing but the files in its work directory."""

import io
import pathlib
import zipfile
import zlib
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from matplotlib.figure import Figure

from modest.constants import DEPTH_METRES
from modest.errors import InputError
from modest.run import files, workdirs
from modest.run.logbook import read_metrics

CURVES = (("loss", "loss"), ("mask/iou", "mask IoU"), ("depth/rmse", "depth RMSE (1 = 10 m)"))
COLUMNS = {
    "bg": "background",
    "bg_fg": "with a person",
    "mask": "mask: truth",
    "output_mask": "mask: prediction",
    "depth": "depth: truth",
    "output_depth": "depth: prediction",
}

Pictures = Mapping[str, np.ndarray]  # uint8 [N,H,W,C] by kind, the keys of COLUMNS


def write(workdir: str | pathlib.Path) -> list[pathlib.Path]:
    """Draw every figure for which the work directory has the data; return the paths."""
    workdir = pathlib.Path(workdir)
    directory, written = workdir / workdirs.FIGURES, []
    lines = read_metrics(workdir)
    if any("val/loss" in line for line in lines):
        written.append(save(curves(lines), directory / "curves.png"))
    stored = workdir / workdirs.PREDICTIONS
    if stored.is_file():
        written.append(save(predictions(read_pictures(stored)), directory / "predictions.png"))
    return written


def read_pictures(path: pathlib.Path) -> dict[str, dict[str, np.ndarray]]:
    """Return `{split: {kind: array}}` from a file of pictures, whose names are `split/kind`.

    Raises:
      InputError: the file is damaged.
    """
    examples: dict[str, dict[str, np.ndarray]] = {}
    try:
        with np.load(io.BytesIO(path.read_bytes())) as file:
            for name in file:
                split, kind = name.rsplit("/", 1)
                examples.setdefault(split, {})[kind] = file[name]
    except (OSError, ValueError, EOFError, zipfile.BadZipFile, zlib.error) as error:
        raise InputError(f"{path}: damaged ({error}); evaluate again to write it") from None
    return examples


def curves(lines: Sequence[Mapping[str, Any]]) -> Figure:
    """Draw loss, mask IoU and depth RMSE by epoch, for training and validation.

    Args:
      lines: the lines of `metrics.jsonl`.
    """
    shown = [(key, title) for key, title in CURVES if any(f"val/{key}" in line for line in lines)]
    figure = Figure(figsize=(4.5 * len(shown), 3.4), layout="constrained")
    axes = figure.subplots(1, len(shown), squeeze=False)
    for axis, (key, title) in zip(axes[0], shown):
        for prefix, label in (("train", "training"), ("val", "validation")):
            means = means_by_epoch(lines, f"{prefix}/{key}")
            axis.plot(list(means), list(means.values()), "o-", markersize=3, label=label)
        axis.set(xlabel="epoch", title=title)
        axis.grid(alpha=0.3)
        axis.legend()
    return figure


def means_by_epoch(lines: Sequence[Mapping[str, Any]], key: str) -> dict[int, float]:
    """Return `{epoch: mean}` of a key of the lines of `metrics.jsonl`."""
    by_epoch: dict[int, list[float]] = {}
    for line in lines:
        if key in line:
            by_epoch.setdefault(line["epoch"], []).append(line[key])
    return {epoch: float(np.mean(values)) for epoch, values in by_epoch.items()}


def learning_rates(results: Mapping[str, Any]) -> Figure:
    """Draw the loss over the learning rate, from the results of `lr_range.run`."""
    figure = Figure(figsize=(5, 3.4), layout="constrained")
    axis = figure.subplots()
    axis.plot(results["learning_rate"], results["loss"], color="0.8", label="loss")
    axis.plot(results["learning_rate"], results["smoothed"], label="smoothed")
    for name, colour in (("steepest", "C1"), ("tenth_of_lowest", "C2")):
        label = f"{name.replace('_', ' ')}: {results[name]:.2g}"
        axis.axvline(results[name], color=colour, linestyle="--", label=label)
    top = 2 * results["smoothed"][0]
    axis.set(xscale="log", xlabel="learning rate", ylabel="training loss", ylim=(0, top))
    axis.grid(alpha=0.3)
    axis.legend()
    return figure


def predictions(examples: Mapping[str, Pictures]) -> Figure:
    """Draw one row per example: the pictures, and truth beside prediction.

    Depth is coloured, dark near and bright far, on the same scale for truth and prediction.

    Args:
      examples: `{split: {"bg", "bg_fg", "mask", "output_mask", ...: uint8 [N,H,W,C]}}`. A split
        without a name has no labels.
    """
    columns = [kind for kind in COLUMNS if all(kind in part for part in examples.values())]
    rows = [(split, i) for split, part in examples.items() for i in range(len(part["bg"]))]
    size = 1.75 * len(columns), 1.8 * len(rows) + 0.3
    figure = Figure(figsize=size, layout="constrained")
    axes = figure.subplots(len(rows), len(columns), squeeze=False)
    for number, (split, i) in enumerate(rows):
        row, part = axes[number], examples[split]
        depths = [part[kind][i] for kind in ("depth", "output_depth") if kind in part]
        farthest = max([x.max() for x in depths], default=255) / 255 * DEPTH_METRES
        for axis, kind in zip(row, columns):
            drawn = _draw(axis, kind, part[kind][i], farthest)
            if number == 0:
                axis.set_title(COLUMNS[kind], fontsize=9)
        if split:
            row[0].set_ylabel(f"{split} {i}", fontsize=7)
        if "output_depth" in part:  # the last column
            figure.colorbar(drawn, ax=row, label="m", shrink=0.9, pad=0.01)
    return figure


def tile(examples: Pictures) -> np.ndarray:
    """Return the same pictures without text as one uint8 `[H,W,3]`, one row per example."""
    columns = [examples[kind] for kind in COLUMNS if kind in examples]
    columns = [np.broadcast_to(x, (*x.shape[:-1], 3)) for x in columns]
    return np.concatenate([np.concatenate(list(x), axis=0) for x in columns], axis=1)


def save(figure: Figure, path: pathlib.Path, software: str = "") -> pathlib.Path:
    """Write a figure as PNG, and return the path. Creates the directory if needed.

    Args:
      figure: the figure.
      path: of the file.
      software: the text "Software" in it; by default that of Matplotlib.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    stream = io.BytesIO()
    figure.savefig(stream, dpi=110, metadata={"Software": software} if software else None)
    files.write(path, stream.getvalue())
    return path


def _draw(axis, kind, picture, farthest):
    """Draw one uint8 picture; depth in metres, up to `farthest`."""
    axis.set(xticks=[], yticks=[])
    if kind.endswith("depth"):
        metres = picture[..., 0] / 255 * DEPTH_METRES
        return axis.imshow(metres, cmap="magma", vmin=0, vmax=farthest)
    shown = picture[..., 0] if picture.shape[-1] == 1 else picture
    return axis.imshow(shown, cmap="gray", vmin=0, vmax=255)
