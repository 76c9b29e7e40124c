"""modest: monocular depth and foreground segmentation from a pair of pictures, in JAX and Flax.

Begin with `training/loop.py`, and read `docs/design.md` for the layout. Importing this package
imports none of its parts.
"""

import os

# XLA's messages, of which fatal ones only: before JAX is imported, which reads the variable. See
# `backend/compilation_cache.py`.
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

__version__ = "0.1.0"
