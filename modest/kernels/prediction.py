"""Compilation of a network for prediction: by oneDNN on a CPU, otherwise by XLA."""

import functools
from collections.abc import Callable

import jax
import numpy as np

from modest.kernels import selection
from modest.kernels.onednn import program
from modest.types import PyTree

PROGRAMS = 8  # combinations of shapes that are kept; each has its own weights and buffers


def compile(function: Callable[..., PyTree], variables: PyTree) -> Callable[..., PyTree]:
    """Compile `function(variables, *inputs)` for prediction.

    Each combination of input shapes is compiled at its first call. Falls back to `jax.jit`, with a
    line in the log, if oneDNN cannot compute the function. Inputs that are not finite are always
    computed by XLA, because the max-pooling and the ReLU of oneDNN do not keep NaN.

    Args:
      function: pure function of pytrees of arrays; all but the first are `[B,H,W,C]`.
      variables: the pytree that is passed to `function` as its first argument.

    Returns:
      A function of the other arguments, `*inputs`.
    """
    by_xla = functools.partial(jax.jit(function), variables)
    if not selection.uses_onednn():
        return by_xla

    @functools.lru_cache(PROGRAMS)
    def for_shapes(structure, *shapes_and_dtypes):
        def of_leaves(*leaves):
            return function(variables, *jax.tree.unflatten(structure, leaves))

        leaves = [jax.ShapeDtypeStruct(*x) for x in shapes_and_dtypes]
        try:
            return program.compile_for_shapes(of_leaves, *leaves)
        except Exception as error:  # whatever prevents it is no reason to stop
            selection.log_fallback(str(error))
            return None

    def compiled(*inputs):
        leaves, structure = jax.tree.flatten(inputs)
        arrays = [np.asarray(x) for x in leaves]
        if not all(np.isfinite(x.sum()) for x in arrays):
            return by_xla(*inputs)
        by_onednn = for_shapes(structure, *((x.shape, x.dtype) for x in arrays))
        return by_onednn(*arrays) if by_onednn else by_xla(*inputs)

    return compiled
