"""Everything that is worth measuring on a GPU that is at hand for some minutes.

    python -m benchmarks.gpu [--minutes 12] [--parts tests,start,...] [--out runs/gpu] [--dry]

Begin with `parts.py`, which says what is done, in which order, and for how long at most.
"""
