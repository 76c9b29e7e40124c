"""The results of a sweep: a table and validation curves, from nothing but the files of its runs."""

import itertools
import pathlib
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from matplotlib.figure import Figure

from modest.evaluation import figures
from modest.run import files, workdirs
from modest.run.logbook import read_metrics, say
from modest.sweep import results
from modest.sweep.plan import Run
from modest.sweep.results import METRICS, Result, Setting

# The palette of Okabe and Ito, which is distinguishable with any colour vision.
COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000")
STYLES = ("-", "--", ":", "-.")  # the first seven settings, the next seven, ...

EXPLANATION = """Mean ± sample standard deviation over the seeds (95 % interval over backgrounds of
the mean over pictures); seconds of training.
"""

Lines = Sequence[Mapping[str, Any]]  # the lines of metrics.jsonl


def markdown(keys: Sequence[str], rows: Mapping[Setting, Mapping[str, Any]]) -> str:
    """Return rows of `results.summarise` as a Markdown table.

    Args:
      keys: names of the values of a setting.
      rows: the row of each setting.
    """
    shown = [name for name in METRICS if any(name in row for row in rows.values())]
    cells = [[*keys, "n", *shown, "seconds"]]
    for setting, row in rows.items():
        numbers = [results.as_text(**row[name]) if name in row else "-" for name in shown]
        seconds = "-" if row["seconds"] is None else f"{row['seconds']:.0f}"
        cells.append([*setting, str(row["n"]), *numbers, seconds])
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
    finished: dict[Setting, list[Result]] = {}
    logs: dict[Setting, list[Lines]] = {}
    unfinished = []
    for run in runs:
        name, lines = run.workdir.name, read_metrics(run.workdir)
        if any("val/loss" in line for line in lines) and results.belongs_to(
            run.settings, run.workdir
        ):
            logs.setdefault(run.setting, []).append(lines)
        if results.is_finished(run.settings, run.workdir):
            finished.setdefault(run.setting, []).append(results.read(run.workdir))
        else:
            unfinished.append(name + (f" (status {failed[name]})" if name in failed else ""))
    if not finished:
        say(f"{workdir}: no run is finished")
        return
    _write_table(workdir, [key for key in runs[0].values if key != "seed"], finished, unfinished)
    if logs:
        path = workdir / workdirs.FIGURES / "sweep.png"
        say(str(figures.save(curves(logs), path)))


def _write_table(workdir, keys, finished, unfinished):
    tables, text = {}, EXPLANATION
    for split in results.common_splits([run for runs in finished.values() for run in runs]):
        rows = {setting: results.summarise(runs, split) for setting, runs in finished.items()}
        tables[split] = [{"setting": dict(zip(keys, of))} | row for of, row in rows.items()]
        text += f"\n`{split}`\n\n{markdown(keys, rows)}"
    text += "".join(f"\nNot finished: {name}\n" for name in unfinished)
    files.write_json(workdir / "sweep.json", {"splits": tables, "not_done": unfinished})
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
