"""Operations that stay whole, as one named equation, in the trace that oneDNN runs.

`onednn.translation` recognises an operation by its name instead of by the XLA operations it is
made of.
"""

import contextlib
import contextvars
import functools
from collections.abc import Callable, Iterator
from typing import Any

import jax

PREFIX = "modest_"  # of the names of equations

# Not a global: several threads may trace at the same time.
_keep_whole = contextvars.ContextVar("keep_whole", default=False)


@contextlib.contextmanager
def keep_operations_whole() -> Iterator[None]:
    """Trace every operation marked by `named_operation` as one equation inside the block.

    The equation is a call of a jitted function named `PREFIX` plus the name of the operation.
    """
    token = _keep_whole.set(True)
    try:
        yield
    finally:
        _keep_whole.reset(token)


def named_operation(function: Callable[..., jax.Array]) -> Callable[..., jax.Array]:
    """Mark a function of arrays as an operation that `keep_operations_whole` keeps whole."""

    @functools.wraps(function)
    def operation(*arguments: Any) -> jax.Array:
        if not _keep_whole.get():
            return function(*arguments)

        def untraced(*arguments):  # a new function each time, so that JAX finds no cached trace
            return function(*arguments)

        untraced.__name__ = PREFIX + function.__name__
        return jax.jit(untraced)(*arguments)

    return operation
