"""`python -m modest report`: draw the figures of a run again, from the files that it left."""

import argparse
import pathlib

from modest.errors import InputError


def main(argv: list[str]) -> None:
    """Draw the figures and print their paths.

    Raises:
      InputError: there is no such directory.
    """
    parser = argparse.ArgumentParser(prog="python -m modest report", allow_abbrev=False)
    parser.add_argument("--workdir", required=True, type=pathlib.Path, help="directory of the run")
    workdir = parser.parse_args(argv).workdir
    if not workdir.is_dir():
        raise InputError(f"--workdir={workdir}: no such directory")
    from modest.evaluation import figures

    for path in figures.write(workdir):
        print(path)
