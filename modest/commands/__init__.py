"""The command line: one file per tool, which parses arguments and calls the rest of the package.

May import everything; nothing imports it but `modest/__main__.py` and `launch.py`. A tool imports
its package only after parsing, so that `--help` is immediate. `process.py` turns errors and signals
into an exit status. Begin with `experiment.py`: train, eval, summary and lr-range.
"""
