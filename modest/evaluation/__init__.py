"""Evaluation: exact metrics over a split, of single pictures and together; figures and a report.

`evaluator` compiles the evaluation, which runs during training and afterwards. `evaluate` is the
final one: `details` computes the metrics of single pictures, `tables` writes them, `statistics` and
`bootstrap` say what they mean together. `figures` and `report` draw from the files of a work
directory, without JAX. May import `data`, `state` and every package before them in the list of
docs/design.md. Begin with `evaluator.py`.
"""
