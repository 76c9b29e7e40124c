"""What is worth measuring on a GPU, in the order of worth, for a few minutes on one.

    python -m benchmarks.gpu [--minutes 12] [--parts tests,start,...] [--out runs/gpu] [--dry]

Begin with `parts.py`, which says what is done, in which order, and for how long at most.
"""
