"""The tables and the examples of the report, as HTML."""

from collections.abc import Iterable, Sequence
from html import escape

import numpy as np

from modest.evaluation import bootstrap
from modest.evaluation.report import examples
from modest.evaluation.report.plots import colour
from modest.evaluation.report.runs import Run, Value
from modest.run import configs, workdirs

# What the summary shows: name, title, whether higher is better.
HEADLINE = (
    ("mask/iou", "mask IoU", True),
    ("mask/boundary_f1", "boundary F1", True),
    ("mask/ece", "ECE", False),
    ("depth/rmse", "depth RMSE", False),
    ("depth/abs_rel", "abs rel", False),
    ("depth/delta1", "delta < 1.25", True),
)
BY_SPLIT = (
    "mask/iou mask/iou_at_best mask/dice mask/precision mask/recall mask/boundary_f1 "
    "mask/boundary_iou mask/mad mask/mse mask/gradient mask/ece depth/rmse depth/mae depth/abs_rel "
    "depth/sq_rel depth/log10 depth/rmse_log depth/silog depth/delta1 depth/delta2 depth/delta3 "
    "depth/ssim loss"
).split()
REGIONS = {"": "all", "foreground": "foreground", "background": "background", "contour": "contour"}
ALIGNMENTS = {"": "none", "median": "median", "scale_and_shift": "scale and shift"}
OF_REGION = ("rmse", "abs_rel", "silog", "delta1")
IN_QUADRANT = (("mask/iou", "mask IoU"), ("depth/rmse", "depth RMSE"))
BY = {"mask/iou": "mask IoU", "depth/rmse": "depth RMSE"}


def summary(runs: Sequence[Run]) -> str:
    """Return the table of all runs, with the best value of each metric in bold."""
    shown = [
        column for column in HEADLINE if any(run.value(run.main_split, column[0]) for run in runs)
    ]
    best = {}
    for name, _, higher in shown:
        of_runs = [run.value(run.main_split, name) for run in runs]
        means = [value.mean for value in of_runs if value and value.mean is not None]
        if len(runs) > 1 and means and all(run.is_evaluated_as(runs[0]) for run in runs):
            best[name] = max(means) if higher else min(means)
    rows = []
    for number, run in enumerate(runs):
        values = [(run.value(run.main_split, name), name) for name, *_ in shown]
        cells = [
            _cell(value, value is not None and value.mean == best.get(name))
            for value, name in values
        ]
        statistics = run.of_split(run.main_split)
        of = f", {statistics['pictures']} pictures" if statistics else ""
        name = f"{swatch(number)}{_lines(run.name, run.main_split + of)}"
        rows.append([name, _text(_facts(run)), *cells])
    return _table(["run", "network", *(title for _, title, _ in shown)], rows)


def differences(runs: Sequence[Run]) -> str:
    """Return how the other runs differ from the first one, on the same pictures.

    Bold are differences whose interval does not contain 0. Empty if no other run has the table of
    the same pictures.
    """
    first, *others = runs
    reference = first.pictures.get(first.main_split)
    rows = []
    for number, run in enumerate(others, 1):
        table = run.pictures.get(first.main_split)
        if reference is None or table is None or not run.is_evaluated_as(first):
            continue
        if not table.is_same_pictures(reference):
            continue
        shared = table.values.keys() & reference.values.keys()
        values = {
            name: table.values[name] - reference.values[name]
            for name, *_ in HEADLINE
            if name in shared
        }
        lows, highs = bootstrap.intervals(values, reference.backgrounds)
        cells = []
        for name, *_ in HEADLINE:
            if name not in values or np.isnan(lows[name]):
                cells.append("<td>-</td>")
                continue
            differs = lows[name] > 0 or highs[name] < 0
            value = Value(float(np.nanmean(values[name])), lows[name], highs[name])
            cells.append(_cell(value, differs, sign="+"))
        rows.append([f"{swatch(number)}{escape(run.name)}", *cells])
    if not rows:
        return ""
    head = [f"minus {first.name}", *(title for _, title, _ in HEADLINE)]
    return _table(head, rows)


def swatch(number: int) -> str:
    """Return a spot of the colour that a run has in the plots."""
    return f'<span class="swatch" style="background:{colour(number)}"></span>'


def quadrants(run: Run) -> str:
    """Return seen and unseen backgrounds by seen and unseen figures, one table of two by two."""
    cells = {}
    for split in run.splits:
        seen = run.of_split(split).get("seen")
        if seen and split != "validation":
            cells[(seen["background"], seen["figure"])] = split
    if not cells:
        return ""
    rows = []
    for background, title in ((True, "background seen"), (False, "background unseen")):
        row = [f"<th>{title}</th>"]
        for figure in (True, False):
            row.append(_quadrant(run, cells.get((background, figure))))
        rows.append(row)
    head = "<tr><th></th><th>figure seen</th><th>figure unseen</th></tr>"
    body = "".join(f"<tr>{''.join(row)}</tr>" for row in rows)
    return f'<table class="quadrants"><thead>{head}</thead><tbody>{body}</tbody></table>'


def by_split(run: Run) -> str:
    """Return the metrics of all splits, each with its interval, and the pooled value of one."""
    names = [name for name in BY_SPLIT if any(run.value(split, name) for split in run.splits)]
    heads = []
    for split in run.splits:
        statistics = run.of_split(split)
        number = statistics.get("pictures") or int(run.results.get(split, {}).get("examples", 0))
        of = f"\n{statistics['backgrounds']} backgrounds" if statistics else ""
        heads.append(f"{split}\n{number} pictures{of}")
    rows = []
    for name in names:
        value = run.value(run.main_split, name)
        cells = [_cell(run.value(split, name)) for split in run.splits]
        rows.append([_text(name), *cells, _cell(value and value.of_all_pixels)])
    threshold = run.details.get("threshold")
    note = ""
    if threshold is not None:
        note = (
            f"<p><code>mask/iou_at_best</code> is the IoU at the threshold {threshold:.2f}, which "
            "is best on the validation split. Every other metric has the threshold 0.5.</p>"
        )
    return _table(["metric", *heads, f"{run.main_split}\npooled"], rows) + note


def by_region(run: Run) -> str:
    """Return depth metrics of the main split by region and alignment; empty if there are none."""
    split = run.main_split
    if run.value(split, "depth/foreground/rmse") is None:
        return ""
    rows = []
    for region, region_title in REGIONS.items():
        for alignment, title in ALIGNMENTS.items():
            path = "/".join(part for part in ("depth", region, alignment) if part)
            cells = [_cell(run.value(split, f"{path}/{name}")) for name in OF_REGION]
            rows.append([_text(region_title), _text(title), *cells])
    return _table(["region", "alignment", *OF_REGION], rows)


def pictures(run: Run) -> str:
    """Return the best, typical and worst pictures of a run by each metric."""
    parts = []
    for key, arrays in run.extremes.items():
        split, _, name = key.partition("/")
        rows = []
        for i in range(len(arrays["bg"])):
            images = "".join(
                f'<img src="{examples.data_uri(picture)}" alt="{title}" title="{title}">'
                for title, picture in examples.columns(arrays, i)
            )
            caption = _caption(run, split, arrays["group"][i], int(arrays["row"][i]))
            rows.append(f"<figure><figcaption>{caption}</figcaption>{images}</figure>")
        titles = "".join(f"<span>{title}</span>" for title, _ in examples.columns(arrays, 0))
        parts.append(
            f"<h4>{escape(split)}, by {BY.get(name, escape(name))}</h4>"
            f'<div class="pictures"><div class="titles">{titles}</div>{"".join(rows)}</div>'
        )
    return "".join(parts)


def missing(run: Run) -> str:
    """Return a note about what the work directory does not have; empty if it has everything."""
    lacking = [
        name
        for name, has in (
            (workdirs.EVAL_DETAILS, run.details),
            (workdirs.EVAL_PICTURES, run.pictures),
            (workdirs.EVAL_EXTREMES, run.extremes),
        )
        if not has
    ]
    if not lacking:
        return ""
    effect = "Intervals, calibration, regions or pictures are therefore missing here."
    return (
        f'<p class="note"><b>{escape(run.name)}</b> has no {", ".join(lacking)}. {effect} '
        f"To write them: <code>{escape(run.evaluate_again)}</code></p>"
    )


def _facts(run):
    """Return what the network is and how it was trained, in lines of text."""
    model, seed = (configs.get(run.config, key) for key in ("model.name", "seed"))
    parameters = run.details.get("parameters")
    training = [] if seed is None else [f"seed {seed}"]
    if run.lines:
        last = run.lines[-1]
        training += [f"{last['epoch']} epochs", _duration(last["seconds"])]
    lines = [model or "-"]
    lines += [f"{parameters:,} parameters"] if parameters is not None else []
    return "\n".join([*lines, ", ".join(training)])


def _duration(seconds):
    if seconds < 600:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 36000 else f"{seconds / 3600:.1f} h"


def _quadrant(run, split):
    if split is None:
        return "<td>-</td>"
    lines = [f"<div><b>{escape(split)}</b></div>"]
    for name, title in IN_QUADRANT:
        value = run.value(split, name)
        if value is not None and value.mean is not None:
            lines.append(f"<div>{title} {value.mean:.4f} {_interval(value)}</div>")
    return f"<td>{''.join(lines)}</td>"


def _caption(run, split, group, row):
    """Return which picture it is and how good, as far as the table of pictures says it."""
    table = run.pictures.get(split)
    parts = [f"<b>{escape(str(group))}</b>"]
    if table is not None and row < len(table):
        parts.append(escape(f"{table.backgrounds[row]} + {table.figures[row]}"))
        parts += [
            f"{title} {table.values[name][row]:.3f}"
            for name, title in BY.items()
            if name in table.values
        ]
    return " &middot; ".join(parts)


def _cell(value: Value | None, is_bold: bool = False, sign: str = "") -> str:
    if value is None or value.mean is None:
        return "<td>-</td>"
    mean = f"{value.mean:{sign}.4f}"
    mean = f"<b>{mean}</b>" if is_bold else mean
    return f"<td>{mean} {_interval(value, sign)}</td>"


def _interval(value, sign=""):
    if value.low is None:
        return ""
    dash = " to " if sign else "&ndash;"
    return f'<span class="small">{value.low:{sign}.4f}{dash}{value.high:{sign}.4f}</span>'


def _text(text):
    return f"<td>{_lines(*text.split(chr(10)))}</td>"


def _lines(first, *others):
    """Return lines of text, all but the first one small."""
    return escape(first) + "".join(f'<span class="small">{escape(line)}</span>' for line in others)


def _table(head: Iterable[str], rows: Iterable[Sequence[str]]) -> str:
    """Return a table. Cells are HTML with their tag; the first one of a row may be plain HTML."""
    titles = "".join(f"<th>{_lines(*title.split(chr(10)))}</th>" for title in head)
    lines = []
    for first, *cells in rows:
        first = first if first.startswith("<td>") else f"<td>{first}</td>"
        lines.append(f"<tr>{first}{''.join(cells)}</tr>")
    head = f"<thead><tr>{titles}</tr></thead>"
    return f'<div class="wide"><table>{head}<tbody>{"".join(lines)}</tbody></table></div>'
