"""Operations that can be traced as one named equation each, for prediction by oneDNN.

`onednn.translation` recognises such an operation by its name. Otherwise it would have to recognise
the XLA operations of which it consists.
"""

import contextlib
import contextvars
import functools
from collections.abc import Callable, Iterator
from typing import Any

import jax

PREFIX = "modest_"  # the names of the equations begin with it

# Not a global: several threads may trace at the same time.
_keep_whole = contextvars.ContextVar("keep_whole", default=False)


@contextlib.contextmanager
def keep_operations_whole() -> Iterator[None]:
    """Inside the block, trace every function marked by `named_operation` as one equation.

    The equation is a call of a jitted function named `PREFIX` plus the name of the operation.
    """
    token = _keep_whole.set(True)
    try:
        yield
    finally:
        _keep_whole.reset(token)


def named_operation(function: Callable[..., jax.Array]) -> Callable[..., jax.Array]:
    """Mark a function of arrays that `keep_operations_whole` shall trace as one equation."""

    @functools.wraps(function)
    def operation(*arguments: Any) -> jax.Array:
        if not _keep_whole.get():
            return function(*arguments)

        def untraced(*arguments):  # a new function each time, so that JAX finds no cached trace
            return function(*arguments)

        untraced.__name__ = PREFIX + function.__name__
        return jax.jit(untraced)(*arguments)

    return operation
