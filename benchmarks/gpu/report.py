"""The tables and the figure of `python -m benchmarks.gpu`."""

import importlib.metadata
import os
import pathlib
import platform
from collections.abc import Iterable, Sequence
from typing import Any

from matplotlib.figure import Figure

from benchmarks.gpu import trace
from modest.backend import platforms
from modest.evaluation import figures


def machine(dry: bool) -> str:
    """Return the device and the versions, as text."""
    device = f"{platform.machine()}, {os.cpu_count()} cores"
    if platforms.expects_gpu():
        device = f"{platforms.gpu_name()}, {device}"
    versions = []
    for name in ("jax", "torch"):
        try:
            versions.append(f"{name} {importlib.metadata.version(name)}")
        except importlib.metadata.PackageNotFoundError:
            versions.append(f"no {name}")
    return ("dry run; " if dry else "") + ", ".join([device, *versions])


def tables(results: dict[str, Any]) -> str:
    """Return Markdown: the status of each part, and its rows."""
    parts = results["parts"]
    rows = [(name, part["status"], f"{part['seconds']:.0f}") for name, part in parts.items()]
    lines = [results["machine"], "", *_table(("part", "status", "seconds"), rows)]
    for name, part in parts.items():
        rows = [_flat(row) for row in part["rows"]]
        columns = list(dict.fromkeys(key for row in rows for key in row))
        if rows:
            cells = ([row.get(column, "") for column in columns] for row in rows)
            lines += ["", f"## {name}", "", *_table(columns, cells)]
        if name == "profile":
            for row in part["rows"]:
                lines += ["", f"Kernels of {row['config']}:", "", *_kinds(row)]
    return "\n".join(lines)


def draw(results: dict[str, Any], path: pathlib.Path) -> None:
    """Draw the images/s of every contender, and the shares of the kinds of kernels."""
    parts = results["parts"]
    rows = [row for name in ("speed", "grid") for row in parts.get(name, {}).get("rows", ())]
    speed = [row for row in rows if "contender" in row]
    kinds = [row for row in parts.get("profile", {}).get("rows", ()) if "kinds" in row]
    height = 1.5 + 0.22 * max(len(speed), 8)
    figure = Figure(figsize=(12, height), layout="constrained")
    left, right = figure.subplots(1, 2)
    labels = [
        f"{row['job']} {row['network']} {row['size']} px x {row['batch']}, {row['contender']}"
        for row in speed
    ]
    colours = ["C1" if row["contender"].startswith("torch") else "C0" for row in speed]
    places = range(len(speed))
    left.barh(places, [row["images_per_second"] for row in speed], color=colours)
    left.set_yticks(places, labels, fontsize="x-small")
    left.invert_yaxis()
    left.set_xlabel("images/s")
    totals = [sum(kind["ms"] for kind in row["kinds"].values()) or 1 for row in kinds]
    begins = [0.0] * len(kinds)
    for kind in [*trace.KINDS, trace.OTHER]:
        shares = [
            row["kinds"].get(kind, {"ms": 0})["ms"] / total for row, total in zip(kinds, totals)
        ]
        right.barh(range(len(kinds)), shares, left=begins, label=kind)
        begins = [begin + share for begin, share in zip(begins, shares)]
    right.set_yticks(range(len(kinds)), [row["config"] for row in kinds])
    right.set_title("share of the kernels' time", fontsize="small")
    if kinds:
        right.legend(fontsize="x-small", loc="upper center", bbox_to_anchor=(0.5, -0.15), ncols=3)
    figure.suptitle(results["machine"], fontsize="small")
    figures.save(figure, path)


def _kinds(row):
    """Return a table of the kinds of kernels of one profile, per step."""
    steps = row["steps"]
    kinds = row.get("kinds", {}).items()
    cells = [
        (kind, f"{values['ms'] / steps:.3f}", f"{values['count'] / steps:.0f}")
        for kind, values in kinds
    ]
    return _table(("kind", "ms a step", "kernels a step"), cells)


def _flat(row):
    """Return a row without lists and dicts, with short numbers."""
    flat = {}
    for key, value in row.items():
        if value is None:
            flat[key] = "-"
        elif isinstance(value, float):
            flat[key] = f"{value:.4g}"
        elif not isinstance(value, (dict, list)):
            flat[key] = str(value)
        elif key == "failed":
            flat[key] = "; ".join(value)
    return flat


def _table(columns: Sequence[str], rows: Iterable[Sequence[str]]) -> list[str]:
    lines = ["| " + " | ".join(columns) + " |", "|" + "---|" * len(columns)]
    for row in rows:
        lines.append("| " + " | ".join(cell.replace("|", "/") for cell in row) + " |")
    return lines
