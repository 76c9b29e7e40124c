"""Type aliases of annotations."""

from collections.abc import Mapping
from typing import Any, TypeAlias

import jax
import numpy as np

Array: TypeAlias = jax.Array | np.ndarray
Batch: TypeAlias = Mapping[str, Any]  # name -> array, see `constants.py`
PyTree: TypeAlias = Any
