"""The page of the report: `write` puts its parts together."""

import importlib.resources
import pathlib
import string
from collections.abc import Sequence
from html import escape

from modest.evaluation.report import plots, runs, sections
from modest.evaluation.report.runs import Run
from modest.run import files

TEMPLATE = "template.html"


def write(workdirs: Sequence[pathlib.Path], out: pathlib.Path) -> pathlib.Path:
    """Write the report of the runs in some work directories, and return its path.

    Args:
      workdirs: the work directories, each with an evaluation.
      out: the HTML file to write.

    Raises:
      InputError: a directory was not evaluated, or a file of it is damaged; or `out` cannot be
        written.
    """
    text = render(runs.read(workdirs))
    files.write(out, text.encode())
    return out


def render(of_runs: Sequence[Run]) -> str:
    """Return the page as text. It contains its pictures and refers to no other file."""
    template = importlib.resources.files("modest.evaluation.report").joinpath(TEMPLATE)
    names = ", ".join(run.name for run in of_runs)
    legend = "".join(
        f"<span>{sections.swatch(number)}{escape(run.name)}</span>"
        for number, run in enumerate(of_runs)
    )
    parts = {
        "title": escape(f"Report: {names}"),
        "notes": "".join(sections.missing(run) for run in of_runs),
        "summary": sections.summary(of_runs),
        "differences": _differences(of_runs),
        "legend": f'<p class="legend">{legend}</p>',
        "curves": plots.curves(of_runs) or _absent("no run has a validation"),
        "distributions": plots.distributions(of_runs) or _absent("no run has a table of pictures"),
        "calibration": plots.calibration(of_runs) or _absent("no run has calibration"),
        "quadrants": "".join(_quadrants(number, run) for number, run in enumerate(of_runs)),
        "runs": "".join(_of_run(number, run, len(of_runs)) for number, run in enumerate(of_runs)),
    }
    return string.Template(template.read_text(encoding="utf-8")).substitute(parts)


def _differences(of_runs):
    table = sections.differences(of_runs)
    if not table:
        return ""
    explanation = (
        "<p>Differences on the same pictures, with 95 % intervals. Bold ones differ from 0 beyond "
        "the chance of which backgrounds are in the split; that of the seed is not included.</p>"
    )
    return f"<h3>Differences</h3>{table}{explanation}"


def _quadrants(number, run):
    heading = f"<h3>{sections.swatch(number)}{escape(run.name)}</h3>"
    absent = _absent(
        "not known here which backgrounds and figures the training has seen: the evaluation is of "
        "other data, of an earlier version, or not split by identity"
    )
    return f"<div>{heading}{sections.quadrants(run) or absent}</div>"


def _of_run(number, run, count):
    is_open = " open" if count == 1 or number == 0 else ""
    shown = sections.pictures(run) or _absent("no pictures were kept")
    regions = sections.by_region(run) or _absent("no depth by region")
    return (
        f"<details{is_open}><summary>{sections.swatch(number)}{escape(run.name)}</summary>"
        f"<p>{escape(str(run.workdir))}</p>"
        f"<h3>Best, typical and worst pictures</h3>{shown}"
        f"<h3>Metrics by split</h3>{sections.by_split(run)}"
        f"<h3>Depth by region and alignment, {escape(run.main_split)}</h3>{regions}</details>"
    )


def _absent(reason):
    return f'<p class="note">Nothing to show: {reason}.</p>'
