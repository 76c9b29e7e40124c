"""Evaluation: exact metrics over a split, and the figures of a run.

`evaluate` compiles the evaluation, runs it during training and afterwards, and writes `eval.json`;
`figures` draws from the files of a work directory alone, and imports no JAX. May import `data`,
`state` and everything below them. Begin with `evaluate.py`.
"""
