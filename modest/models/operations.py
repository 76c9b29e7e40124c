"""A network's prediction as operations, one for each primitive of oneDNN's, from its trace. `program.py` makes them run.

The layers' own operations are equations of the trace, since it was made within `convolution.kept_whole`. What can be done in one
pass is joined: sums and factors for the channels (a BatchNorm) with the convolution before, ReLU and sigmoid with what they follow,
a sum of two maps with a 1x1 convolution that gives one of them, and leaving out every second pixel with the 1x1 convolution after.
"""

import dataclasses

import jax
import numpy as np


class NotTranslated(Exception):
    """There is no primitive for what a function does."""


@dataclasses.dataclass(eq=False)
class Operation:
    """What one primitive does: to which results of others, and then to its own in the same pass."""

    kind: str  # input, conv, max_pool, upsample, add, concatenate; or every_second, which a convolution takes in as its strides
    sources: tuple
    shape: tuple  # [B,H,W,C] of the result
    kernel: np.ndarray | None = None
    bias: np.ndarray | None = None
    strides: tuple = (1, 1)
    then: tuple = ()  # "relu", "sigmoid", or an operation whose result is added

    def reads(self):
        return [*self.sources, *(other for other in self.then if isinstance(other, Operation))]


def translate(jaxpr, constants, inputs):
    """The results of a trace (`jax.make_jaxpr`) as operations, from its inputs as such; what depends on no input is computed now.

    Raises `NotTranslated`.
    """
    known = dict(zip(jaxpr.constvars, constants)) | dict(zip(jaxpr.invars, inputs))
    read = lambda variable: variable.val if hasattr(variable, "val") else known[variable]
    for equation in jaxpr.eqns:
        values, parameters = [read(variable) for variable in equation.invars], equation.params
        called = equation.primitive.name in ("jit", "pjit", "custom_jvp_call", "custom_vjp_call")
        inner = (parameters.get("jaxpr") or parameters.get("call_jaxpr")) if called else None
        whole = called and str(parameters.get("name")).startswith("modest_")
        name = parameters["name"] if whole else equation.primitive.name
        if not any(isinstance(value, Operation) for value in values):
            variables = [variable for variable in equation.invars if not hasattr(variable, "val")]
            alone = jaxpr.replace(eqns=[equation], constvars=[], invars=variables, outvars=equation.outvars)
            results = jax.core.eval_jaxpr(alone, (), *map(read, variables))
        elif name in OPERATIONS:
            results = [OPERATIONS[name](*values, **({} if whole else parameters))]
            if results[0].shape != equation.outvars[0].aval.shape or equation.outvars[0].aval.dtype != np.float32:
                raise NotTranslated(f"{name} that changes the shape or the type")
        elif inner is not None:
            results = translate(inner.jaxpr, inner.consts, values)
        else:
            raise NotTranslated(f"no primitive for {name}")
        known.update(zip(equation.outvars, results))
    return [read(variable) for variable in jaxpr.outvars]


def _conv(x, kernel, bias=None, then=()):
    kernel, strides = np.asarray(kernel), (1, 1)
    if x.kind == "every_second" and kernel.shape[:2] == (1, 1):
        shape, strides, (x,) = x.shape, (2, 2), x.sources
    else:
        shape = x.shape
    bias = np.zeros(kernel.shape[3], np.float32) if bias is None else np.asarray(bias, np.float32).reshape(-1)
    return Operation("conv", (x,), (*shape[:3], kernel.shape[3]), kernel, bias, strides, then)


def _add(x, y, **_):
    """A sum with numbers for the channels is part of the convolution before; one with a map, of a 1x1 convolution before."""
    if not isinstance(x, Operation) or not isinstance(y, Operation):
        x, numbers = _per_channel(x, y)
        return dataclasses.replace(x, bias=x.bias + numbers)
    for one, other in ((x, y), (y, x)):
        if one.kind == "conv" and one.kernel.shape[:2] == (1, 1) and not one.then:
            return dataclasses.replace(one, then=(other,))
    return Operation("add", (x, y), x.shape)


def _multiply(x, y, **_):
    x, numbers = _per_channel(x, y)
    return dataclasses.replace(x, kernel=x.kernel * numbers, bias=x.bias * numbers)


def _per_channel(x, y):
    """Of two, the convolution and the numbers, as `[C]`."""
    x, numbers = (x, y) if isinstance(x, Operation) else (y, x)
    fits = not isinstance(numbers, Operation) and np.shape(numbers) in ((), (1,) * 4, (1, 1, 1, x.shape[3]))
    if not fits or x.kind != "conv" or x.then:
        raise NotTranslated("a sum or a product of other than a convolution and numbers for its channels")
    return x, np.asarray(numbers, np.float32).reshape(-1)


def _then(what):
    def operation(x, **_):
        if x.kind not in ("conv", "add") or any(isinstance(after, str) for after in x.then):
            raise NotTranslated(f"{what} of {x.kind}")
        return dataclasses.replace(x, then=(*x.then, what))

    return operation


def _relu(x, y, **_):
    x, numbers = (x, y) if isinstance(x, Operation) else (y, x)
    if isinstance(numbers, Operation) or np.any(numbers):
        raise NotTranslated("a maximum of other than a map and 0")
    return _then("relu")(x)


def _concatenate(*maps, dimension, **_):
    if dimension != 3 or not all(isinstance(x, Operation) for x in maps):
        raise NotTranslated("joining of other than channels")
    return Operation("concatenate", maps, (*maps[0].shape[:3], sum(x.shape[3] for x in maps)))


def _every_second(x, start_indices, limit_indices, strides, **_):
    if any(start_indices) or tuple(limit_indices) != x.shape or tuple(strides or ()) != (1, 2, 2, 1):
        raise NotTranslated("a part of other than every second pixel")
    batch, height, width, channels = x.shape
    return Operation("every_second", (x,), (batch, -(-height // 2), -(-width // 2), channels))


def _max_pool(x):
    batch, height, width, channels = x.shape
    return Operation("max_pool", (x,), (batch, height // 2, width // 2, channels))


def _upsample(x):
    batch, height, width, channels = x.shape
    return Operation("upsample", (x,), (batch, 2 * height, 2 * width, channels))


OPERATIONS = {
    "modest_conv": _conv,
    "modest_conv_relu": lambda x, kernel, bias: _conv(x, kernel, bias, ("relu",)),
    "modest_max_pool": _max_pool,
    "modest_upsample": _upsample,
    "add": _add,
    "mul": _multiply,
    "max": _relu,
    "logistic": _then("sigmoid"),
    "concatenate": _concatenate,
    "slice": _every_second,
    "name": lambda x, **_: x,  # marks what rematerialisation keeps
}
