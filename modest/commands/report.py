"""`python -m modest report`: draw the figures of runs again, and write a page that compares them.

    python -m modest report --workdir runs/pairnet --workdir runs/depthnet

draws `figures/` of every run from the files that it left, and writes `report.html` into the first
directory. The page contains everything that it shows; it needs no network and no scripts.
"""

import pathlib

from modest.commands import process
from modest.errors import InputError


def main(argv: list[str]) -> None:
    """Draw the figures, write the report, and print the paths.

    Raises:
      InputError: there is no such directory, it has no evaluation, or a file of it is damaged.
    """
    parser = process.parser("report", __doc__)
    help_ = "directory of a run; repeat to compare several"
    parser.add_argument("--workdir", required=True, action="append", type=pathlib.Path, help=help_)
    help_ = "the page to write (default: report.html in the first --workdir)"
    parser.add_argument("--out", type=pathlib.Path, help=help_)
    options = parser.parse_args(argv)
    for workdir in options.workdir:
        if not workdir.is_dir():
            raise InputError(f"--workdir={workdir}: no such directory")
    from modest.evaluation import figures
    from modest.evaluation.report import page
    from modest.run import workdirs

    for workdir in options.workdir:
        for path in figures.write(workdir):
            print(path)
    print(page.write(options.workdir, options.out or options.workdir[0] / workdirs.REPORT))
