"""oneDNN's C API, called through ctypes.

The package `onednn-cpu-gomp` contains only the shared library of oneDNN
(github.com/uxlfoundation/oneDNN, Apache 2.0), for Linux on x86-64. The extra `modest[cpu]` pins
version 3.1, the last one that has Winograd convolutions on AVX-512. Newer 3.x versions also work,
without Winograd; one example is conda's `onednn-cpu-omp`, which installs to the same place.

An `Object` owns one object of oneDNN. Whatever the memory format, oneDNN lists the axes of a shape
in its own order: NCHW for feature maps, OIHW for weights. All arrays here are float32.
"""

import ctypes
import functools
import math
import os
import site
import sysconfig
import weakref
from ctypes import c_int, c_void_p
from typing import Any

import numpy as np

from modest.kernels.onednn.signatures import ARGUMENT_TYPES, RETURN_TYPES, Dims

# Values from dnnl_types.h, with the names that they have there, without `dnnl_` or `DNNL_`.
RUNTIME_OMP = 2
CPU = 1  # engine kind
STREAM_IN_ORDER = 1
UNIMPLEMENTED = 3  # status
F32 = 3  # data type
FORMAT_TAG_ANY, NCHW16C = 1, 78
MEMORY_NONE = None
SCRATCHPAD_MODE_USER = 1
FORWARD_TRAINING, FORWARD_INFERENCE = 64, 96
CONVOLUTION_DIRECT, CONVOLUTION_WINOGRAD = 1, 2
ELTWISE_RELU, ELTWISE_ABS, ELTWISE_LOGISTIC = 0x20, 0x24, 0x29
POOLING_MAX, BINARY_ADD, BINARY_SUB, RESAMPLING_LINEAR = 0x1FF, 0x1FFF0, 0x1FFF5, 0x2FFF1
# Which argument of a primitive a memory object is.
ARG_SRC, ARG_SRC_1, ARG_DST, ARG_WEIGHTS, ARG_BIAS, ARG_SCRATCHPAD = 1, 2, 17, 33, 41, 80
ARG_DIFF_SRC, ARG_DIFF_DST, ARG_DIFF_WEIGHTS, ARG_MULTIPLE_SRC = 129, 145, 161, 1024
ARG_BINARY_POST_OP = 32768 | ARG_SRC_1  # the operand of the first post-op, if that is binary
# Which memory descriptor to query from a primitive descriptor.
QUERY_WEIGHTS_MD, QUERY_DIFF_WEIGHTS_MD, QUERY_SCRATCHPAD_MD = 131, 132, 136
# Bits of `dnnl_cpu_isa_t`: an instruction set has those of all that it includes.
INSTRUCTION_SETS = {"avx512": 0x27, "avx2": 0x07, "avx": 0x03, "sse41": 0x01}

# The axes of our arrays in oneDNN's order.
NHWC_AXES, HWIO_AXES, VECTOR_AXES = (0, 3, 1, 2), (3, 2, 0, 1), (0,)

CACHE_LINE = 64  # bytes

# OpenMP's threads spin while they wait for work, by default so long that a thread without a core of
# its own delays all others by a time slice. GOMP_SPINCOUNT limits the spinning of libgomp.
SPIN_COUNT = 1000


class Unavailable(Exception):
    """oneDNN cannot be used. The message says why."""


class Object:
    """An object of oneDNN, which is destroyed when nothing refers to it.

    ctypes passes its handle to a function that takes a `c_void_p`.
    """

    def __init__(self, kind: str, handle: c_void_p) -> None:
        """Own the object of a `kind`, such as `memory`, with this handle."""
        self._as_parameter_ = handle
        destroy = functools.partial(getattr(load(), f"dnnl_{kind}_destroy"), handle)
        weakref.finalize(self, destroy).atexit = False

    @property
    def address(self) -> int:
        """Return the handle as a number, for structures and arrays of handles."""
        assert self._as_parameter_.value is not None
        return self._as_parameter_.value


@functools.cache
def load() -> Any:
    """Return oneDNN's shared library, version 3 with OpenMP threads.

    Raises:
      Unavailable: it is not installed, or cannot be loaded.
    """
    if "OMP_WAIT_POLICY" not in os.environ:
        os.environ.setdefault("GOMP_SPINCOUNT", str(SPIN_COUNT))
    for directory in (sysconfig.get_path("data"), site.getuserbase()):
        path = os.path.join(directory, "lib", "libdnnl.so.3")
        if not os.path.exists(path):
            continue
        try:
            dnnl = ctypes.CDLL(path)
        except OSError as error:
            raise Unavailable(f"oneDNN cannot be loaded: {error}") from None
        dnnl.dnnl_version.restype = RETURN_TYPES["version"]
        version = dnnl.dnnl_version().contents
        if (version.major, version.cpu_runtime) == (3, RUNTIME_OMP):
            for name, types in ARGUMENT_TYPES.items():
                function = getattr(dnnl, f"dnnl_{name}")
                function.argtypes, function.restype = types, RETURN_TYPES.get(name, c_int)
            return dnnl
    raise Unavailable(
        'oneDNN 3 is not installed; the extra "cpu" of this package has it for Linux on x86-64'
    )


def description() -> str:
    """Return oneDNN's version and the instruction set that it uses, such as "3.1 avx512"."""
    version = load().dnnl_version().contents
    isa = load().dnnl_get_effective_cpu_isa()
    included = [name for name, bits in INSTRUCTION_SETS.items() if isa & bits == bits]
    return f"{version.major}.{version.minor} {included[0] if included else 'scalar'}"


def call(name: str, *arguments: Any) -> None:
    """Call `dnnl_{name}`.

    Raises:
      NotImplementedError: oneDNN has no implementation of the primitive for these arguments.
      RuntimeError: the call failed for another reason.
    """
    status = getattr(load(), f"dnnl_{name}")(*arguments)
    if status:
        kind = NotImplementedError if status == UNIMPLEMENTED else RuntimeError
        raise kind(f"dnnl_{name}: status {status}")


def create(kind: str, *arguments: Any, function: str = "") -> Object:
    """Return a new object.

    Args:
      kind: kind of the object, such as `memory`.
      *arguments: arguments of the function that makes it.
      function: its name without `dnnl_`; by default `{kind}_create`.

    Raises:
      NotImplementedError, RuntimeError: as `call` does.
    """
    handle = c_void_p()
    call(function or f"{kind}_create", ctypes.byref(handle), *arguments)
    return Object(kind, handle)


def primitive_desc(kind: str, *arguments: Any) -> Object:
    """Return the descriptor of a primitive, such as `convolution_forward`.

    Raises:
      NotImplementedError, RuntimeError: as `call` does.
    """
    return create("primitive_desc", *arguments, function=f"{kind}_primitive_desc_create")


@functools.cache
def engine() -> Object:
    """Return the engine of the CPU."""
    return create("engine", CPU, 0)


@functools.cache
def stream() -> Object:
    """Return the in-order stream on which all primitives are executed."""
    return create("stream", engine(), STREAM_IN_ORDER)


def plain_md(shape: tuple[int, ...], axes: tuple[int, ...]) -> Object:
    """Return the memory descriptor of a row-major array.

    Args:
      shape: shape of the array.
      axes: the array's axes in oneDNN's order: `NHWC_AXES`, `HWIO_AXES` or `VECTOR_AXES`.
    """
    strides = [math.prod(shape[axis + 1 :]) for axis in range(len(shape))]
    dims = Dims(*(shape[axis] for axis in axes))
    strides_of_dims = Dims(*(strides[axis] for axis in axes))
    with_strides = "memory_desc_create_with_strides"
    return create("memory_desc", len(axes), dims, F32, strides_of_dims, function=with_strides)


def any_md(*dims: int) -> Object:
    """Return a memory descriptor of a shape (in oneDNN's order) that leaves the format open.

    A primitive descriptor that is made from it chooses the memory format; `query_md` returns it.
    """
    return _md_with_tag(dims, FORMAT_TAG_ANY)


def blocked_md(shape: tuple[int, ...]) -> Object:
    """Return the memory descriptor of a feature map in the blocked format that Winograd needs.

    oneDNN calls the format nChw16c. The array is stored as `[B,C/16,H,W,16]`; with 16 channels that
    is the same as NHWC.

    Args:
      shape: `[B,H,W,C]`.
    """
    batch, height, width, channels = shape
    return _md_with_tag((batch, channels, height, width), NCHW16C)


def _md_with_tag(dims, tag):
    with_tag = "memory_desc_create_with_tag"
    return create("memory_desc", len(dims), Dims(*dims), F32, tag, function=with_tag)


def query_md(primitive_desc: Object, query: int) -> Object:
    """Return a memory descriptor that a primitive descriptor has chosen; `query` says which."""
    owned_by_primitive_desc = load().dnnl_primitive_desc_query_md(primitive_desc, query, 0)
    return create("memory_desc", owned_by_primitive_desc, function="memory_desc_clone")


def equal_mds(first: Object, second: Object) -> bool:
    """Return whether two memory descriptors are equal."""
    return bool(load().dnnl_memory_desc_equal(first, second))


def size_of(md: Object) -> int:
    """Return the size in bytes of an array with this memory descriptor."""
    return load().dnnl_memory_desc_get_size(md)


def memory(md: Object, array: np.ndarray | None = None) -> Object:
    """Return a new memory object.

    Args:
      md: memory descriptor of the array.
      array: the array that it refers to. The caller must keep it alive. Without an array, call
        `set_data` before the memory object is used.
    """
    data = MEMORY_NONE if array is None else array.ctypes.data
    return create("memory", md, engine(), data)


def set_data(memory: Object, address: int) -> None:
    """Let a memory object refer to the data at an address."""
    call("memory_set_data_handle", memory, address)


def aligned_bytes(size: int) -> np.ndarray:
    """Return an uninitialised uint8 array `[size]` that starts at a cache line."""
    array = np.empty(size + CACHE_LINE, np.uint8)
    return array[-array.ctypes.data % CACHE_LINE :][:size]


def attributes(*post_ops: Any) -> Object:
    """Return primitive attributes with these post-ops and a scratchpad that the caller provides.

    By default oneDNN allocates the scratchpad, which may then belong to the thread that created the
    primitive. But here another thread may execute it.

    Args:
      *post_ops: `ELTWISE_...`, or the memory descriptor of a feature map to add. They are applied
        in this order.
    """
    attr = create("primitive_attr")
    chain = create("post_ops")
    call("primitive_attr_set_scratchpad_mode", attr, SCRATCHPAD_MODE_USER)
    for post_op in post_ops:
        if isinstance(post_op, Object):
            call("post_ops_append_binary", chain, BINARY_ADD, post_op)
        else:
            call("post_ops_append_eltwise", chain, post_op, 0, 0)
    call("primitive_attr_set_post_ops", attr, chain)
    return attr


@functools.cache
def default_attributes() -> Object:
    """Return the attributes of a primitive without post-ops."""
    return attributes()
