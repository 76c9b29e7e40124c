"""Evaluation: exact metrics over a split, and the figures of a run.

`evaluate` compiles the evaluation, runs it during training and afterwards, and writes `eval.json`;
`figures` draws figures from the files of a work directory, without JAX. May import `data`, `state`
and every package before them in the list of docs/design.md. Begin with `evaluate.py`.
"""
