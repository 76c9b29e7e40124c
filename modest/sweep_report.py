"""What came of a sweep, by the files of its runs alone: a table of mean and spread over the seeds, and validation by epoch."""

import itertools
import json

import numpy as np
from matplotlib.figure import Figure

from modest import config as configs
from modest import files, report
from modest.logbook import read_metrics, say, write_json
from modest.vocabulary import InputError

EVAL_FILE = "eval.json"  # the one of evaluate.py, which imports JAX
METRICS = ("mask/iou", "mask/boundary_f1", "depth/rmse", "depth/abs_rel", "depth/delta1")
COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000")  # Okabe and Ito's, told apart by everybody
STYLES = ("-", "--", ":", "-.")  # of the first seven settings, the next, ...


def is_of(config, workdir):
    """Whether what is in a run's directory was made with just this config."""
    before = configs.load(workdir)
    return before is not None and all(configs.as_json(configs.get(before, k)) == configs.as_json(config[k]) for k in config)


def results_of(config, workdir):
    """`eval.json` of a run that is done with this config, `{split: {metric: value}}`; None where it is not.

    A run writes `config.json` when it starts or goes on, and `eval.json` at its end.
    """
    began, ended = workdir / configs.FILE, workdir / EVAL_FILE
    done = ended.is_file() and is_of(config, workdir) and ended.stat().st_mtime_ns >= began.stat().st_mtime_ns
    return json.loads(ended.read_text()) if done else None


def summarise(results):
    """Mean and spread (sample standard deviation) of the runs of each setting; `results` is `{setting: [eval.json of a run, ...]}`.

    Returns:
      `(split, {setting: {"n": runs, metric: {"mean", "spread"}, ...}})`; the spread of one run is None. The split is `test`, or
      else the first that all were evaluated on.
    """
    every = [splits for runs in results.values() for splits in runs]
    shared = [name for name in every[0] if all(name in splits for splits in every)]
    if not shared:
        raise InputError("the runs were not evaluated on one same split; give all of them the same eval.splits")
    split = "test" if "test" in shared else shared[0]
    rows = {}
    for setting, runs in results.items():
        rows[setting] = {"n": len(runs)}
        for name in METRICS:
            numbers = [splits[split][name] for splits in runs if name in splits[split]]
            if numbers:
                spread = float(np.std(numbers, ddof=1)) if len(numbers) > 1 else None
                rows[setting][name] = {"mean": float(np.mean(numbers)), "spread": spread}
    return split, rows


def markdown(keys, rows):
    """The table of `summarise`'s rows, a line a setting; `keys` are the names of a setting's values."""
    shown = [name for name in METRICS if any(name in row for row in rows.values())]
    cells = [[*keys, "n", *shown]]
    for setting, row in rows.items():
        cells.append([*setting, str(row["n"]), *(_number(**row[name]) if name in row else "-" for name in shown)])
    widths = [max(map(len, column)) for column in zip(*cells)]
    cells.insert(1, ["-" * width for width in widths])
    return "".join("| " + " | ".join(cell.ljust(width) for cell, width in zip(line, widths)) + " |\n" for line in cells)


def _number(mean, spread):
    return f"{mean:.4f}" if spread is None else f"{mean:.4f} ± {spread:.4f}"


def curves(logs):
    """A figure of validation by epoch: a colour a setting, thin a run, thick their mean, as far as all of them are.

    `logs` is `{setting: [lines of metrics.jsonl of a run, ...]}`, at least one line of which is a validation.
    """
    every = [line for runs in logs.values() for lines in runs for line in lines]
    shown = [(f"val/{name}", title) for name, title in report.CURVES[1:] if any(f"val/{name}" in line for line in every)]
    figure = Figure(figsize=(5 * len(shown) + 2, 3.8), layout="constrained")
    axes = figure.subplots(1, len(shown), squeeze=False)
    for axis, (name, title) in zip(axes[0], shown):
        for (setting, runs), (style, colour) in zip(logs.items(), itertools.cycle(itertools.product(STYLES, COLOURS))):
            runs = [{line["epoch"]: line[name] for line in lines if name in line} for lines in runs]
            for run in runs:
                axis.plot(list(run), list(run.values()), style, color=colour, linewidth=0.7, alpha=0.6)
            epochs = [epoch for epoch in runs[0] if all(epoch in run for run in runs)]
            means = [np.mean([run[epoch] for run in runs]) for epoch in epochs]
            axis.plot(epochs, means, style, color=colour, linewidth=2.2, label=", ".join(setting) or "all")
        axis.set(xlabel="epoch", title=f"validation: {title}")
        axis.grid(alpha=0.3)
    figure.legend(*axes[0, 0].get_legend_handles_labels(), loc="outside right upper", fontsize=8, ncols=1 + len(logs) // 16)
    return figure


def write(workdir, planned, failed):
    """Writes `sweep.json`, `sweep.md` and `figures/sweep.png` from the runs' files, as far as they are done; prints the table."""
    results, logs, undone = {}, {}, []
    for run, config in planned:
        values, lines = results_of(config, run.workdir), read_metrics(run.workdir)
        if any("val/loss" in line for line in lines) and is_of(config, run.workdir):
            logs.setdefault(run.setting, []).append(lines)
        if values is None:
            undone.append(run.workdir.name + (f" (status {failed[run.workdir.name]})" if run.workdir.name in failed else ""))
        else:
            results.setdefault(run.setting, []).append(values)
    if not results:
        say(f"{workdir}: no run is done")
        return
    keys = [key for key in planned[0][0].values if key != "seed"]
    split, rows = summarise(results)
    text = f"Split `{split}`, mean ± sample standard deviation of n runs.\n\n{markdown(keys, rows)}"
    text += "".join(f"\nNot done: {name}\n" for name in undone)
    table = [{"setting": dict(zip(keys, setting))} | row for setting, row in rows.items()]
    write_json(workdir / "sweep.json", {"split": split, "rows": table, "not_done": undone})
    files.write(workdir / "sweep.md", text.encode())
    say(text)
    for path in (workdir / "sweep.json", workdir / "sweep.md"):
        say(str(path))
    if logs:
        say(str(report.save(curves(logs), workdir / report.FIGURES / "sweep.png")))
