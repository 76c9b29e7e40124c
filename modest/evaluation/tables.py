"""The table of single pictures, `eval_pictures.csv`: which picture it is, and every metric of it.

Columns: `split`; `index`, the place of the picture in it; `background` and `figure`, their ids; and
one column per metric, empty where the picture has no such value. Needs no JAX.
"""

import csv
import dataclasses
import io
import pathlib
from collections.abc import Mapping

import numpy as np

from modest.errors import InputError
from modest.run import files

KEYS = ("split", "index", "background", "figure")


@dataclasses.dataclass(frozen=True)
class Table:
    """The pictures of one split, in the order of the split.

    Attributes:
      indices: the place of each picture in the split.
      backgrounds, figures: the ids of each picture.
      values: `{metric: [N] float64}`; NaN where a picture has no such value.
    """

    indices: list[int]
    backgrounds: list[str]
    figures: list[str]
    values: dict[str, np.ndarray]

    def __len__(self) -> int:
        """Return the number of pictures."""
        return len(self.indices)

    def is_same_pictures(self, other: "Table") -> bool:
        """Return whether `other` has the same pictures in the same order."""
        keys = (self.indices, self.backgrounds, self.figures)
        return keys == (other.indices, other.backgrounds, other.figures)


def write(path: pathlib.Path, tables: Mapping[str, Table]) -> None:
    """Write the tables of several splits as one CSV file. Floats keep all digits of float32."""
    stream = io.StringIO()
    writer = csv.writer(stream, lineterminator="\n")
    names = list(dict.fromkeys(name for table in tables.values() for name in table.values))
    writer.writerow([*KEYS, *names])
    for split, table in tables.items():
        columns = [_column(table, name) for name in names]
        keys = (table.indices, table.backgrounds, table.figures)
        writer.writerows([split, *row] for row in zip(*keys, *columns))
    files.write(path, stream.getvalue().encode())


def read(path: pathlib.Path) -> dict[str, Table]:
    """Return the tables that `write` has written, by split.

    Raises:
      InputError: the file is damaged.
    """
    rows: dict[str, list[list[str]]] = {}
    try:
        with path.open(newline="", encoding="utf-8") as file:
            header, *lines = csv.reader(file)
            for split, *row in lines:
                rows.setdefault(split, []).append(row)
        return {split: _parsed(header, part) for split, part in rows.items()}
    except (OSError, ValueError, csv.Error) as error:
        raise InputError(
            f"{path}: cannot be read ({error}); evaluate again, or restore it from a copy"
        ) from None


def _column(table, name):
    if name not in table.values:
        return [""] * len(table)
    return ["" if np.isnan(x) else f"{x:.9g}" for x in table.values[name]]


def _parsed(header, rows):
    if tuple(header[: len(KEYS)]) != KEYS or any(len(row) != len(header) - 1 for row in rows):
        raise ValueError("not the columns of a table of pictures")
    indices, backgrounds, figures, *columns = zip(*rows)
    values = {
        name: np.asarray([float(x) if x else np.nan for x in column])
        for name, column in zip(header[len(KEYS) :], columns)
    }
    values = {name: column for name, column in values.items() if not np.isnan(column).all()}
    return Table([int(i) for i in indices], list(backgrounds), list(figures), values)
