"""Benchmarks and fault injection; commands, `python -m benchmarks.NAME --help`.

`speed`, `scaling`, `memory` and `layers` measure networks, `gpu` all that is worth measuring on a
GPU, `data` measures data sets, `kills` and `faults` break things on purpose. `jobs/` holds what
they run. The benchmarks may import every module of `modest`, which imports none of them. Begin with
`speed`.
"""

import pathlib

ROOT = pathlib.Path(__file__).resolve().parents[1]  # of the clone
