"""modest: monocular depth and foreground segmentation from a pair of pictures, in JAX and Flax.

Begin with `training/loop.py`, and read `docs/design.md` for the layout. Importing this package
imports none of its parts.
"""

__version__ = "0.1.0"
