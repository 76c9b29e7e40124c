"""oneDNN convolutions and their gradients, called by XLA's CPU backend through its FFI.

The FFI is XLA's foreign function interface. XLA passes the addresses of its buffers. oneDNN has
what XLA lacks: Winograd convolutions (Lavin and Gray, "Fast Algorithms for Convolutional Neural
Networks", 2016) and faster gradients. XLA takes two to four times as long for the weight gradient,
and has to flip the kernel for the input gradient.
"""

import functools
import math
from collections.abc import Sequence
from typing import NamedTuple

import jax
import jax.numpy as jnp

from modest.kernels.onednn import c_api, primitives, xla_ffi

PREPARED = 512  # convolutions that are kept; each has its own primitives


@functools.cache
def register() -> None:
    """Register the handlers with XLA.

    Raises:
      c_api.Unavailable: oneDNN cannot be loaded, or this jaxlib refuses the handlers.
    """
    c_api.load()
    try:
        for target, handler in HANDLERS.items():
            jax.ffi.register_ffi_target(target, jax.ffi.pycapsule(handler), platform="cpu")
    except Exception as error:  # jaxlib documents no type
        raise c_api.Unavailable(f"this jaxlib does not accept the handlers: {error}") from None


def conv(x: jax.Array, kernel: jax.Array) -> jax.Array:
    """Compute a zero-padded convolution that keeps the size, by Winograd where that is faster.

    Neither this function nor its gradients in this module are differentiable. Each raises whatever
    error oneDNN has in preparing it.

    Args:
      x: float32 `[B,H,W,I]`.
      kernel: float32 `[k,l,I,O]`, k and l odd.

    Returns:
      float32 `[B,H,W,O]`.
    """
    return _ffi_call("modest_conv", (*x.shape[:3], kernel.shape[3]), x, kernel)


def input_gradient(g: jax.Array, kernel: jax.Array) -> jax.Array:
    """Return the input gradient of `conv` for an output cotangent (oneDNN's "backward data").

    Args:
      g: output cotangent, float32 `[B,H,W,O]`.
      kernel: float32 `[k,l,I,O]`, k and l odd.

    Returns:
      float32 `[B,H,W,I]`.
    """
    return _ffi_call("modest_conv_input_gradient", (*g.shape[:3], kernel.shape[2]), g, kernel)


def weight_gradient_3x3(x: jax.Array, g: jax.Array) -> jax.Array:
    """Return the weight gradient of a 3x3 `conv` for an output cotangent ("backward weights").

    Args:
      x: input of `conv`, float32 `[B,H,W,I]`.
      g: output cotangent, float32 `[B,H,W,O]`.

    Returns:
      float32 `[3,3,I,O]`.
    """
    return _ffi_call("modest_conv_weight_gradient", (3, 3, x.shape[3], g.shape[3]), x, g)


def _ffi_call(target, shape, *arguments):
    if jax.default_backend() == "cpu":
        PREPARE[target](*(x.shape for x in arguments), shape)  # an error is raised now
    result = jax.ShapeDtypeStruct(shape, jnp.float32)
    return jax.ffi.ffi_call(target, result, vmap_method="sequential")(*arguments)


class _Argument(NamedTuple):
    """An array that XLA passes to a primitive."""

    arg: int  # c_api.ARG_...
    shape: tuple[int, ...]
    axes: tuple[int, ...]  # c_api.NHWC_AXES or HWIO_AXES
    md: c_api.Object  # memory descriptor that the primitive expects


class _Executable:
    """A primitive with the reorders it needs, because XLA's arrays are row-major."""

    def __init__(
        self, primitive_desc: c_api.Object, arguments: Sequence[_Argument], result: _Argument
    ) -> None:
        self._sequence = primitives.PrimitiveSequence()
        self._xla_memories: list[c_api.Object] = []  # refer to XLA's buffers during a call
        exec_args = []
        for argument in arguments:
            xla_memory, xla_md, memory = self._memories(argument)
            if memory is not xla_memory:
                self._sequence.append_reorder(xla_memory, xla_md, memory, argument.md)
            exec_args.append((argument.arg, memory))
        xla_memory, xla_md, memory = self._memories(result)
        self._sequence.append(primitive_desc, [*exec_args, (result.arg, memory)])
        if memory is not xla_memory:
            self._sequence.append_reorder(memory, result.md, xla_memory, xla_md)

    def _memories(self, argument):
        """Return XLA's memory object and its descriptor, and the primitive's memory object.

        Both memory objects are the same if no reorder is needed.
        """
        md = c_api.plain_md(argument.shape, argument.axes)
        blocked_is_plain = argument.axes == c_api.NHWC_AXES and argument.shape[3] == 16
        if blocked_is_plain or c_api.equal_mds(md, argument.md):
            md = argument.md
        xla_memory = c_api.memory(md)
        self._xla_memories.append(xla_memory)
        is_shared = md is argument.md
        return xla_memory, md, xla_memory if is_shared else self._sequence.temporary(argument.md)

    def __call__(self, *addresses: int) -> None:
        """Execute on the data at these addresses: those of the arguments, then of the result.

        XLA may call it from any thread.
        """
        with primitives.execution_lock:
            for memory, address in zip(self._xla_memories, addresses, strict=True):
                c_api.set_data(memory, address)
            self._sequence.execute()


# Each `_prepare` function takes the shapes of the arguments and of the result.


@functools.lru_cache(PREPARED)
def _prepare_forward(x, kernel, y):
    winograd = _forward_uses_winograd(x, kernel)
    primitive_desc, x_md, y_md = _primitive_desc("forward", winograd, x, kernel, y)
    weights_md = c_api.query_md(primitive_desc, c_api.QUERY_WEIGHTS_MD)
    arguments = [
        _Argument(c_api.ARG_SRC, x, c_api.NHWC_AXES, x_md),
        _Argument(c_api.ARG_WEIGHTS, kernel, c_api.HWIO_AXES, weights_md),
    ]
    result = _Argument(c_api.ARG_DST, y, c_api.NHWC_AXES, y_md)
    return _Executable(primitive_desc, arguments, result)


@functools.lru_cache(PREPARED)
def _prepare_input_gradient(g, kernel, x):
    winograd = _forward_uses_winograd(x, kernel)
    primitive_desc, x_md, g_md = _primitive_desc("backward_data", winograd, x, kernel, g)
    weights_md = c_api.query_md(primitive_desc, c_api.QUERY_WEIGHTS_MD)
    arguments = [
        _Argument(c_api.ARG_DIFF_DST, g, c_api.NHWC_AXES, g_md),
        _Argument(c_api.ARG_WEIGHTS, kernel, c_api.HWIO_AXES, weights_md),
    ]
    result = _Argument(c_api.ARG_DIFF_SRC, x, c_api.NHWC_AXES, x_md)
    return _Executable(primitive_desc, arguments, result)


@functools.lru_cache(PREPARED)
def _prepare_weight_gradient(x, g, kernel):
    winograd = _weight_gradient_uses_winograd(x, kernel)
    primitive_desc, x_md, g_md = _primitive_desc("backward_weights", winograd, x, kernel, g)
    weights_md = c_api.query_md(primitive_desc, c_api.QUERY_DIFF_WEIGHTS_MD)
    arguments = [
        _Argument(c_api.ARG_SRC, x, c_api.NHWC_AXES, x_md),
        _Argument(c_api.ARG_DIFF_DST, g, c_api.NHWC_AXES, g_md),
    ]
    result = _Argument(c_api.ARG_DIFF_WEIGHTS, kernel, c_api.HWIO_AXES, weights_md)
    return _Executable(primitive_desc, arguments, result)


def _forward_uses_winograd(x, kernel):
    """Return whether Winograd is faster, given the shapes of the input and the kernel.

    It is not with few pixels, where reordering the kernel takes longer than Winograd saves, nor
    with few multiplications, where waking oneDNN's threads takes longer.
    """
    pixels = math.prod(x[:3])
    is_large = pixels >= 2000 and pixels * math.prod(kernel[2:]) >= 1e7
    return is_large and primitives.winograd_is_faster(x, kernel)


def _weight_gradient_uses_winograd(x, kernel):
    is_large = math.prod(x[:3]) >= 1500
    return is_large and primitives.winograd_is_faster(x, kernel, least_size_16_channels=32)


def _primitive_desc(kind, winograd, x, kernel, y):
    """Return a primitive descriptor and the memory descriptors of input and output.

    Args:
      kind: `forward`, `backward_data` or `backward_weights`.
      winograd: use Winograd, and blocked formats for input and output.
      x, kernel, y: shapes of input, kernel and output. oneDNN chooses the kernel's memory format.
    """
    height, width, inputs, outputs = kernel
    if winograd:
        algorithm = c_api.CONVOLUTION_WINOGRAD
        x_md, y_md = c_api.blocked_md(x), c_api.blocked_md(y)
    else:
        algorithm = c_api.CONVOLUTION_DIRECT
        x_md, y_md = (c_api.plain_md(shape, c_api.NHWC_AXES) for shape in (x, y))
    weights_md = c_api.any_md(outputs, inputs, height, width)
    forward = primitives.convolution_forward(
        algorithm, c_api.FORWARD_TRAINING, x_md, weights_md, y_md, kernel[:2]
    )
    if kind == "forward":
        return forward, x_md, y_md
    no_bias = (None,) if kind == "backward_weights" else ()
    backward = c_api.primitive_desc(
        f"convolution_{kind}",
        c_api.engine(),
        algorithm,
        x_md,
        weights_md,
        *no_bias,
        y_md,
        *primitives.strides_dilation_padding(kernel[:2]),
        forward,  # a hint that oneDNN requires
        c_api.default_attributes(),
    )
    return backward, x_md, y_md


PREPARE = {
    "modest_conv": _prepare_forward,
    "modest_conv_input_gradient": _prepare_input_gradient,
    "modest_conv_weight_gradient": _prepare_weight_gradient,
}
# Kept alive here for as long as XLA may call them.
HANDLERS = {target: xla_ffi.handler(target, prepare) for target, prepare in PREPARE.items()}
