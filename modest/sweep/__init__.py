"""Sweeps: many runs of one config that differ in a few values, run one after another and compared.

`plan` makes the runs, `runner` starts `python -m modest train` for each, and `report` tabulates
their results from the files that they leave. May import `run` and `evaluation`. Begin with
`plan.py`; the command is `commands/sweep.py`.
"""
