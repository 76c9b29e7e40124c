"""The command line: one file per tool, which parses arguments and calls the rest of the package.

May import everything; in the package only `modest/__main__.py` imports it. A tool imports the
package that does its work after parsing, so that `--help` is immediate. `process.py` turns errors
and signals into an exit status. Begin with `experiment.py`: train, eval, summary and lr-range.
"""
