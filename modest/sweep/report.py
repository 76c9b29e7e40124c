"""The results of a sweep: a table and validation curves, from nothing but the files of its runs."""

import itertools
import json
import pathlib
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from matplotlib.figure import Figure
from ml_collections import ConfigDict

from modest.errors import InputError
from modest.evaluation import figures
from modest.run import configs, files, workdirs
from modest.run.logbook import read_metrics, say
from modest.sweep.plan import Run

METRICS = ("mask/iou", "mask/boundary_f1", "depth/rmse", "depth/abs_rel", "depth/delta1")
# The palette of Okabe and Ito, which is distinguishable with any colour vision.
COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000")
STYLES = ("-", "--", ":", "-.")  # the first seven settings, the next seven, ...

Setting = tuple[str, ...]  # the values of a row of the table, without the seed
Lines = Sequence[Mapping[str, Any]]  # the lines of metrics.jsonl
Results = Mapping[str, Mapping[str, float]]  # the content of eval.json, {split: {metric: value}}


def belongs_to(config: ConfigDict, workdir: pathlib.Path) -> bool:
    """Return whether the run in a directory has exactly this config."""
    saved = configs.load(workdir)
    if saved is None:
        return False
    return all(
        configs.as_json(configs.get(saved, key)) == configs.as_json(config[key]) for key in config
    )


def results_of(config: ConfigDict, workdir: pathlib.Path) -> dict[str, dict[str, float]] | None:
    """Return the `eval.json` of a finished run with this config, or None.

    A run writes `config.json` when it starts or resumes, and `eval.json` when it ends. So it is
    finished if `eval.json` is newer than `config.json`.
    """
    started, ended = workdir / configs.FILE, workdir / workdirs.EVAL
    if not ended.is_file() or not belongs_to(config, workdir):
        return None
    if ended.stat().st_mtime_ns < started.stat().st_mtime_ns:
        return None
    return json.loads(ended.read_text())


def summarise(
    results: Mapping[Setting, Sequence[Results]],
) -> tuple[str, dict[Setting, dict[str, Any]]]:
    """Return mean and sample standard deviation over the runs of each setting.

    Args:
      results: the results of all runs of each setting.

    Returns:
      The split: `test`, or else the first one that all runs were evaluated on. And a row per
      setting: `{"n": runs, metric: {"mean", "spread"}, ...}`; the spread of one run is None.

    Raises:
      InputError: no split is common to all runs.
    """
    every = [splits for runs in results.values() for splits in runs]
    shared = [name for name in every[0] if all(name in splits for splits in every)]
    if not shared:
        raise InputError(
            "no split on which all runs were evaluated; give all of them the same eval.splits"
        )
    split = "test" if "test" in shared else shared[0]
    rows: dict[Setting, dict[str, Any]] = {}
    for setting, runs in results.items():
        rows[setting] = {"n": len(runs)}
        for name in METRICS:
            numbers = [splits[split][name] for splits in runs if name in splits[split]]
            if numbers:
                rows[setting][name] = mean_and_spread(numbers)
    return split, rows


def mean_and_spread(numbers: Sequence[float]) -> dict[str, float | None]:
    """Return `{"mean", "spread"}`; the sample standard deviation of one number is None."""
    spread = float(np.std(numbers, ddof=1)) if len(numbers) > 1 else None
    return {"mean": float(np.mean(numbers)), "spread": spread}


def mean_and_spread_text(mean: float, spread: float | None) -> str:
    """Return a mean and its spread as text, such as "0.9050 ± 0.0030"."""
    return f"{mean:.4f}" if spread is None else f"{mean:.4f} ± {spread:.4f}"


def markdown(keys: Sequence[str], rows: Mapping[Setting, Mapping[str, Any]]) -> str:
    """Return the rows of `summarise` as a Markdown table; `keys` name the values of a setting."""
    shown = [name for name in METRICS if any(name in row for row in rows.values())]
    cells = [[*keys, "n", *shown]]
    for setting, row in rows.items():
        numbers = [mean_and_spread_text(**row[name]) if name in row else "-" for name in shown]
        cells.append([*setting, str(row["n"]), *numbers])
    widths = [max(map(len, column)) for column in zip(*cells)]
    cells.insert(1, ["-" * width for width in widths])
    lines = (" | ".join(cell.ljust(width) for cell, width in zip(line, widths)) for line in cells)
    return "".join(f"| {line} |\n" for line in lines)


def curves(logs: Mapping[Setting, Sequence[Lines]]) -> Figure:
    """Draw validation metrics by epoch, with one colour per setting.

    Thin lines are runs, and a thick line is their mean. It ends where the shortest run ends.

    Args:
      logs: the `metrics.jsonl` of all runs of each setting, with at least one validation.
    """
    every = [line for runs in logs.values() for lines in runs for line in lines]
    shown = [
        (f"val/{name}", title)
        for name, title in figures.CURVES[1:]
        if any(f"val/{name}" in line for line in every)
    ]
    figure = Figure(figsize=(5 * len(shown) + 2, 3.8), layout="constrained")
    axes = figure.subplots(1, len(shown), squeeze=False)
    for axis, (name, title) in zip(axes[0], shown):
        looks = itertools.cycle(itertools.product(STYLES, COLOURS))
        for (setting, runs), (style, colour) in zip(logs.items(), looks):
            by_epoch = [
                {line["epoch"]: line[name] for line in lines if name in line} for lines in runs
            ]
            _draw_setting(axis, by_epoch, style, colour, label=", ".join(setting) or "all")
        axis.set(xlabel="epoch", title=f"validation: {title}")
        axis.grid(alpha=0.3)
    handles, labels = axes[0, 0].get_legend_handles_labels()
    columns = 1 + len(logs) // 16
    figure.legend(handles, labels, loc="outside right upper", fontsize=8, ncols=columns)
    return figure


def write(workdir: pathlib.Path, runs: Sequence[Run], failed: Mapping[str, int]) -> None:
    """Write `sweep.json`, `sweep.md` and `figures/sweep.png`, and print the table.

    Args:
      workdir: directory of the sweep.
      runs: all runs; those that are not finished are listed below the table.
      failed: `{name: exit status}` of the runs that failed.
    """
    results: dict[Setting, list[Results]] = {}
    logs: dict[Setting, list[Lines]] = {}
    unfinished = []
    for run in runs:
        name, values = run.workdir.name, results_of(run.settings, run.workdir)
        lines = read_metrics(run.workdir)
        if any("val/loss" in line for line in lines) and belongs_to(run.settings, run.workdir):
            logs.setdefault(run.setting, []).append(lines)
        if values is None:
            unfinished.append(name + (f" (status {failed[name]})" if name in failed else ""))
        else:
            results.setdefault(run.setting, []).append(values)
    if not results:
        say(f"{workdir}: no run is finished")
        return
    _write_table(workdir, [key for key in runs[0].values if key != "seed"], results, unfinished)
    if logs:
        path = workdir / workdirs.FIGURES / "sweep.png"
        say(str(figures.save(curves(logs), path)))


def _write_table(workdir, keys, results, unfinished):
    split, rows = summarise(results)
    title = f"Split `{split}`, mean ± sample standard deviation of n runs."
    text = f"{title}\n\n{markdown(keys, rows)}"
    text += "".join(f"\nNot finished: {name}\n" for name in unfinished)
    table = [{"setting": dict(zip(keys, setting))} | row for setting, row in rows.items()]
    content = {"split": split, "rows": table, "not_done": unfinished}
    files.write_json(workdir / "sweep.json", content)
    files.write(workdir / "sweep.md", text.encode())
    say(text)
    for path in (workdir / "sweep.json", workdir / "sweep.md"):
        say(str(path))


def _draw_setting(axis, by_epoch, style, colour, label):
    """Draw the runs of one setting, `{epoch: value}` each, and their mean."""
    for run in by_epoch:
        axis.plot(list(run), list(run.values()), style, color=colour, linewidth=0.7, alpha=0.6)
    epochs = [epoch for epoch in by_epoch[0] if all(epoch in run for run in by_epoch)]
    means = [np.mean([run[epoch] for run in by_epoch]) for epoch in epochs]
    axis.plot(epochs, means, style, color=colour, linewidth=2.2, label=label)
