"""Translation of a traced network into operations, each of which is one oneDNN primitive.

The trace is made inside `keep_operations_whole`, so that each operation of `modest.kernels` is one
equation of it. `program.py` executes the result. Operations that can be done in one pass over
memory are fused:

- A sum or product with one value per channel (BatchNorm) changes the kernel and bias of the
  convolution before it.
- ReLU, sigmoid and absolute value become post-ops of the operation before them.
- A sum of two feature maps becomes a post-op of the 1x1 convolution that computes one of them.
- Taking every second pixel becomes the strides of the 1x1 convolution after it.
"""

import dataclasses
from collections.abc import Sequence
from typing import Any

import numpy as np
from jax.extend.core import ClosedJaxpr, Jaxpr, Literal, jaxpr_as_fun

from modest.kernels.onednn.named_operations import PREFIX

CALLS = ("jit", "pjit", "custom_jvp_call", "custom_vjp_call")  # JAX's primitives that call a jaxpr


class NotTranslatable(Exception):
    """oneDNN has no primitive for a part of the function. The message says which part."""


@dataclasses.dataclass(eq=False)
class Operation:
    """One primitive and its result.

    Attributes:
      kind: `input`, `conv`, `max_pool`, `upsample`, `add`, `subtract`, `concatenate`, or
        `subsample` (every second pixel), which must become part of a convolution.
      inputs: operations whose results it reads.
      shape: `[B,H,W,C]` of its result.
      kernel: `[k,l,I,O]` of a convolution.
      bias: `[O]` of a convolution.
      strides: vertical and horizontal stride of a convolution.
      post_ops: what is done to the result in the same pass: `relu`, `sigmoid`, `abs`, or adding the
        result of the given operation.
    """

    kind: str
    inputs: tuple["Operation", ...]
    shape: tuple[int, ...]
    kernel: np.ndarray | None = None
    bias: np.ndarray | None = None
    strides: tuple[int, int] = (1, 1)
    post_ops: tuple["str | Operation", ...] = ()

    def all_inputs(self) -> list["Operation"]:
        """Return the operations whose results it reads, those of post-ops last."""
        added = [post_op for post_op in self.post_ops if isinstance(post_op, Operation)]
        return [*self.inputs, *added]


def translate(jaxpr: Jaxpr, constants: Sequence[Any], inputs: Sequence[Any]) -> list[Any]:
    """Translate a trace.

    Args:
      jaxpr: the trace, made by `jax.make_jaxpr` inside `keep_operations_whole`.
      constants: the constants of the trace.
      inputs: the inputs of the trace, operations or arrays.

    Returns:
      Its outputs. An output that depends on no operation is computed now and is an array; the
      others are operations.

    Raises:
      NotTranslatable: there is no primitive for an equation.
    """
    values = dict(zip(jaxpr.constvars, constants)) | dict(zip(jaxpr.invars, inputs))

    def value(variable):
        return variable.val if isinstance(variable, Literal) else values[variable]

    for equation in jaxpr.eqns:
        operands = [value(variable) for variable in equation.invars]
        if any(isinstance(operand, Operation) for operand in operands):
            results = _translate_equation(equation, operands)
        else:
            results = _evaluate(jaxpr, equation, operands)
        values.update(zip(equation.outvars, results))
    return [value(variable) for variable in jaxpr.outvars]


def _evaluate(jaxpr, equation, operands):
    """Return the results of an equation that depends on no operation."""
    pairs = list(zip(equation.invars, operands))
    pairs = [pair for pair in pairs if not isinstance(pair[0], Literal)]
    invars = [variable for variable, _ in pairs]
    alone = jaxpr.replace(eqns=[equation], constvars=[], invars=invars, outvars=equation.outvars)
    return jaxpr_as_fun(ClosedJaxpr(alone, ()))(*(operand for _, operand in pairs))


def _translate_equation(equation, operands):
    """Return the results of an equation that reads the result of an operation."""
    parameters = equation.params
    is_call = equation.primitive.name in CALLS
    is_named_operation = is_call and str(parameters.get("name")).startswith(PREFIX)
    name = parameters["name"] if is_named_operation else equation.primitive.name
    if name in TRANSLATIONS:
        result = TRANSLATIONS[name](*operands, **({} if is_named_operation else parameters))
        expected = equation.outvars[0].aval
        if result.shape != expected.shape or expected.dtype != np.float32:
            raise NotTranslatable(f"{name} changes the shape or the dtype")
        return [result]
    inner = (parameters.get("jaxpr") or parameters.get("call_jaxpr")) if is_call else None
    if inner is None:
        raise NotTranslatable(f"no primitive for {name}")
    return translate(inner.jaxpr, inner.consts, operands)


# Translations of equations. The keyword arguments are the equation's parameters.


def _conv(x, kernel, bias=None, post_ops=()):
    kernel, strides, shape = np.asarray(kernel), (1, 1), x.shape
    if x.kind == "subsample" and kernel.shape[:2] == (1, 1):
        strides, (x,) = (2, 2), x.inputs
    if bias is None:
        bias = np.zeros(kernel.shape[3], np.float32)
    bias = np.asarray(bias, np.float32).reshape(-1)
    return Operation("conv", (x,), (*shape[:3], kernel.shape[3]), kernel, bias, strides, post_ops)


def _conv_relu(x, kernel, bias):
    return _conv(x, kernel, bias, ("relu",))


def _add(x, y, **_):
    if not isinstance(x, Operation) or not isinstance(y, Operation):
        x, values = _conv_and_channel_values(x, y)
        return dataclasses.replace(x, bias=x.bias + values)
    for one, other in ((x, y), (y, x)):
        if one.kind == "conv" and one.kernel.shape[:2] == (1, 1) and not one.post_ops:
            return dataclasses.replace(one, post_ops=(other,))
    return Operation("add", (x, y), x.shape)


def _subtract(x, y, **_):
    if not isinstance(x, Operation) or not isinstance(y, Operation) or x.shape != y.shape:
        raise NotTranslatable("a difference that is not of two feature maps")
    return Operation("subtract", (x, y), x.shape)


def _multiply(x, y, **_):
    x, values = _conv_and_channel_values(x, y)
    return dataclasses.replace(x, kernel=x.kernel * values, bias=x.bias * values)


def _conv_and_channel_values(x, y):
    """Return the operand that is a convolution, and the other as one value per channel, `[C]`."""
    x, values = (x, y) if isinstance(x, Operation) else (y, x)
    is_per_channel = not isinstance(values, Operation) and np.shape(values) in (
        (),
        (1,) * 4,
        (1, 1, 1, x.shape[3]),
    )
    if not is_per_channel or x.kind != "conv" or x.post_ops:
        raise NotTranslatable(
            "a sum or product that is not of a convolution and one value per channel"
        )
    return x, np.asarray(values, np.float32).reshape(-1)


def _maximum(x, y, **_):
    x, values = (x, y) if isinstance(x, Operation) else (y, x)
    if isinstance(values, Operation) or np.any(values):
        raise NotTranslatable("a maximum that is not of a feature map and 0")
    return _append_post_op(x, "relu")


def _sigmoid(x, **_):
    return _append_post_op(x, "sigmoid")


def _abs(x, **_):
    return _append_post_op(x, "abs")


def _append_post_op(x, name):
    has_activation = any(isinstance(post_op, str) for post_op in x.post_ops)
    if x.kind not in ("conv", "add", "subtract") or has_activation:
        raise NotTranslatable(f"{name} after {x.kind}")
    return dataclasses.replace(x, post_ops=(*x.post_ops, name))


def _concatenate(*inputs, dimension, **_):
    if dimension != 3 or not all(isinstance(x, Operation) for x in inputs):
        raise NotTranslatable("a concatenation that is not of the channels of feature maps")
    channels = sum(x.shape[3] for x in inputs)
    return Operation("concatenate", inputs, (*inputs[0].shape[:3], channels))


def _slice(x, start_indices, limit_indices, strides, **_):
    is_whole = not any(start_indices) and tuple(limit_indices) == x.shape
    if not is_whole or tuple(strides or ()) != (1, 2, 2, 1):
        raise NotTranslatable("a slice that is not x[:, ::2, ::2]")
    batch, height, width, channels = x.shape
    return Operation("subsample", (x,), (batch, -(-height // 2), -(-width // 2), channels))


def _max_pool(x):
    batch, height, width, channels = x.shape
    return Operation("max_pool", (x,), (batch, height // 2, width // 2, channels))


def _upsample(x):
    batch, height, width, channels = x.shape
    return Operation("upsample", (x,), (batch, 2 * height, 2 * width, channels))


def _identity(x, **_):
    return x


TRANSLATIONS = {
    f"{PREFIX}conv": _conv,
    f"{PREFIX}conv_relu": _conv_relu,
    f"{PREFIX}max_pool": _max_pool,
    f"{PREFIX}upsample": _upsample,
    "add": _add,
    "sub": _subtract,
    "abs": _abs,
    "mul": _multiply,
    "max": _maximum,
    "logistic": _sigmoid,
    "concatenate": _concatenate,
    "slice": _slice,
    "name": _identity,  # checkpoint_name, which matters only for rematerialisation
}
