"""The plots of the report, as SVG that takes its text colour from the page."""

import io
from collections.abc import Sequence

import matplotlib
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from modest.evaluation import figures
from modest.evaluation.report.runs import Run

# The palette of Okabe and Ito without black, for a light and for a dark page.
COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9")
STYLES = ("-", "--", ":", "-.")  # the first six runs, the next six, ...
INK = "#123457"  # stands for the colour of the text
LOWEST_IOU = 0.5  # of the axis of the distribution


def colour(number: int) -> str:
    """Return the colour of a run."""
    return COLOURS[number % len(COLOURS)]


def curves(runs: Sequence[Run]) -> str:
    """Draw loss, mask IoU and depth RMSE of the validation by epoch, with those of the training."""
    every = [line for run in runs for line in run.lines]
    shown = [c for c in figures.CURVES if any(f"val/{c[0]}" in line for line in every)]
    if not shown:
        return ""
    figure, axes = _figure(len(shown))
    for axis, (key, title) in zip(axes, shown):
        for number, run in enumerate(runs):
            for prefix, width in (("train", 0.8), ("val", 2.0)):
                means = figures.means_by_epoch(run.lines, f"{prefix}/{key}")
                axis.plot(list(means), list(means.values()), **_look(number), linewidth=width)
        axis.set(title=title, xlabel="epoch")
        axis.xaxis.set_major_locator(MaxNLocator(integer=True))
    return _svg(figure, "Training curves: thick validation, thin training")


def distributions(runs: Sequence[Run]) -> str:
    """Draw the share of pictures of the main split up to each value of a metric."""
    panels = (("mask/iou", "mask IoU"), ("depth/rmse", "depth RMSE (1 = 10 m)"))
    shown = [(name, title) for name, title in panels if any(name in _values(run) for run in runs)]
    if not shown:
        return ""
    figure, axes = _figure(len(shown))
    for axis, (name, title) in zip(axes, shown):
        for number, run in enumerate(runs):
            values = _values(run).get(name, np.zeros(0))
            values = np.sort(values[~np.isnan(values)])
            shares = (np.arange(len(values)) + 1) / max(len(values), 1)
            axis.step(values, shares, where="post", **_look(number), linewidth=1.6)
        axis.set(title=title, xlabel="of a picture", ylabel="share of pictures up to it")
        if name == "mask/iou":
            axis.set_xlim(min(LOWEST_IOU, axis.get_xlim()[0]), 1)
    return _svg(figure, "Distribution of the metrics over pictures")


def calibration(runs: Sequence[Run]) -> str:
    """Draw the share of foreground over the predicted probability, and the IoU over thresholds."""
    shown = [(number, run) for number, run in enumerate(runs) if _has_mask(run)]
    if not shown:
        return ""
    figure, (reliability, sweep) = _figure(2)
    reliability.plot([0, 1], [0, 1], color=INK, linewidth=0.7)
    for number, run in shown:
        statistics = run.of_split(run.main_split)
        bins, at = statistics["calibration"], statistics["thresholds"]
        points = [
            point for point in zip(bins["probability"], bins["foreground"]) if None not in point
        ]
        reliability.plot(*zip(*points), ".-", color=colour(number), linewidth=1.6)
        sweep.plot(at["threshold"], at["iou"], **_look(number), linewidth=2.0)
        chosen = run.of_split("validation").get("thresholds")
        if chosen:
            sweep.plot(chosen["threshold"], chosen["iou"], **_look(number), linewidth=0.8)
            if (best := run.details.get("threshold")) is not None:
                sweep.axvline(best, color=colour(number), linewidth=0.8, linestyle=":")
    reliability.set(
        title="calibration", xlabel="predicted probability", ylabel="share of foreground"
    )
    sweep.set(title="threshold", xlabel="threshold of the mask", ylabel="mean IoU")
    return _svg(figure, "Calibration of the probabilities, and IoU by threshold")


def _has_mask(run):
    return "calibration" in run.of_split(run.main_split)


def _values(run):
    table = run.pictures.get(run.main_split)
    return {} if table is None else table.values


def _look(number):
    return {"color": colour(number), "linestyle": STYLES[number // len(COLOURS) % len(STYLES)]}


def _figure(panels: int) -> tuple[Figure, list[Axes]]:
    figure = Figure(figsize=(3.3 * panels, 2.7), layout="constrained")
    axes = figure.subplots(1, panels, squeeze=False)[0]
    for axis in axes:
        axis.grid(alpha=0.2, color=INK)
        axis.tick_params(colors=INK, labelsize=8)
        axis.spines[["top", "right"]].set_visible(False)
        axis.spines[["left", "bottom"]].set_color(INK)
        for text in (axis.title, axis.xaxis.label, axis.yaxis.label):
            text.set(color=INK, fontsize=9)
    return figure, list(axes)


def _svg(figure, description):
    """Return a figure as an SVG element; equal figures give equal text."""
    stream = io.StringIO()
    options = {"svg.fonttype": "none", "svg.hashsalt": "modest"}
    with matplotlib.rc_context(options):
        figure.savefig(stream, format="svg", transparent=True, metadata={"Date": None})
    element = stream.getvalue().partition("<svg ")[2].replace(INK, "currentColor")
    return f'<svg role="img" aria-label="{description}" {element}'
