"""oneDNN's C API, called through ctypes.

The package `onednn-cpu-gomp` contains only the shared library of oneDNN
(github.com/uxlfoundation/oneDNN, Apache 2.0), for Linux on x86-64. `requirements.txt` pins version
3.1, the last one that has Winograd convolutions on AVX-512. Newer 3.x versions also work, without
Winograd; one example is conda's `onednn-cpu-omp`, which installs to the same place.

Handles of oneDNN's objects are `c_void_p`. Objects are created once for each shape and are never
destroyed.

Whatever the memory format, oneDNN lists the axes of a shape in its own order: NCHW for feature
maps, OIHW for weights. All arrays here are float32.
"""

import ctypes
import functools
import math
import os
import site
import sysconfig
import warnings
from ctypes import POINTER, c_char_p, c_float, c_int, c_int64, c_size_t, c_uint, c_void_p
from typing import Any

import numpy as np

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
ELTWISE_RELU, ELTWISE_LOGISTIC = 0x20, 0x29
POOLING_MAX, BINARY_ADD, RESAMPLING_LINEAR = 0x1FF, 0x1FFF0, 0x2FFF1
# Which argument of a primitive a memory object is.
ARG_SRC, ARG_SRC_1, ARG_DST, ARG_WEIGHTS, ARG_BIAS, ARG_SCRATCHPAD = 1, 2, 17, 33, 41, 80
ARG_DIFF_SRC, ARG_DIFF_DST, ARG_DIFF_WEIGHTS, ARG_MULTIPLE_SRC = 129, 145, 161, 1024
ARG_BINARY_POST_OP = 32768 | ARG_SRC_1  # the operand of the first post-op, if that is binary
# Which memory descriptor to query from a primitive descriptor.
QUERY_WEIGHTS_MD, QUERY_DIFF_WEIGHTS_MD, QUERY_SCRATCHPAD_MD = 131, 132, 136

# The axes of our arrays in oneDNN's order.
NHWC_AXES, HWIO_AXES, VECTOR_AXES = (0, 3, 1, 2), (3, 2, 0, 1), (0,)

CACHE_LINE = 64  # bytes

Dims = c_int64 * 12


class Version(ctypes.Structure):
    """`dnnl_version_t`."""

    _fields_ = [
        ("major", c_int),
        ("minor", c_int),
        ("patch", c_int),
        ("hash", c_char_p),
        ("cpu_runtime", c_uint),
        ("gpu_runtime", c_uint),
    ]


class ExecArg(ctypes.Structure):
    """`dnnl_exec_arg_t`."""

    _fields_ = [("arg", c_int), ("memory", c_void_p)]


@functools.cache
def load() -> Any:
    """Return oneDNN's shared library, or None if there is no version 3 with OpenMP threads.

    Warns if the file exists and cannot be loaded.
    """
    for directory in (sysconfig.get_path("data"), site.getuserbase()):
        path = os.path.join(directory, "lib", "libdnnl.so.3")
        try:
            dnnl = ctypes.CDLL(path)
        except OSError as error:
            if os.path.exists(path):
                warnings.warn(
                    f"oneDNN cannot be loaded; XLA computes convolutions, which is slower: {error}",
                    stacklevel=2,
                )
            continue
        dnnl.dnnl_version.restype = POINTER(Version)
        dnnl.dnnl_primitive_desc_query_md.restype = c_void_p
        dnnl.dnnl_memory_desc_get_size.restype = c_size_t
        version = dnnl.dnnl_version().contents
        if (version.major, version.cpu_runtime) == (3, RUNTIME_OMP):
            return dnnl
    return None


def call(name: str, *arguments: Any) -> None:
    """Call `dnnl_{name}`.

    Raises:
      NotImplementedError: oneDNN has no implementation of the primitive for these arguments.
      RuntimeError: the call failed for another reason.
    """
    status = load()[f"dnnl_{name}"](*arguments)
    if status:
        kind = NotImplementedError if status == UNIMPLEMENTED else RuntimeError
        raise kind(f"dnnl_{name}: status {status}")


def create(kind: str, *arguments: Any, suffix: str = "") -> c_void_p:
    """Return the handle of a new object, made by `dnnl_{kind}_create{suffix}`.

    Raises:
      NotImplementedError, RuntimeError: as `call` does.
    """
    handle = c_void_p()
    call(f"{kind}_create{suffix}", ctypes.byref(handle), *arguments)
    return handle


@functools.cache
def engine() -> c_void_p:
    """Return the engine of the CPU."""
    return create("engine", CPU, c_size_t(0))


@functools.cache
def stream() -> c_void_p:
    """Return the in-order stream on which all primitives are executed."""
    return create("stream", engine(), STREAM_IN_ORDER)


def plain_md(shape: tuple[int, ...], axes: tuple[int, ...]) -> c_void_p:
    """Return the memory descriptor of a row-major array.

    Args:
      shape: shape of the array.
      axes: the array's axes in oneDNN's order: `NHWC_AXES`, `HWIO_AXES` or `VECTOR_AXES`.
    """
    strides = [math.prod(shape[axis + 1 :]) for axis in range(len(shape))]
    dims = Dims(*(shape[axis] for axis in axes))
    strides_of_dims = Dims(*(strides[axis] for axis in axes))
    return create("memory_desc", len(axes), dims, F32, strides_of_dims, suffix="_with_strides")


def any_md(*dims: int) -> c_void_p:
    """Return a memory descriptor of a shape (in oneDNN's order) that leaves the format open.

    A primitive descriptor that is made from it chooses the memory format; `query_md` returns it.
    """
    return create("memory_desc", len(dims), Dims(*dims), F32, FORMAT_TAG_ANY, suffix="_with_tag")


def blocked_md(shape: tuple[int, ...]) -> c_void_p:
    """Return the memory descriptor of a feature map in the blocked format that Winograd needs.

    oneDNN calls the format nChw16c. The array is stored as `[B,C/16,H,W,16]`; with 16 channels that
    is the same as NHWC.

    Args:
      shape: `[B,H,W,C]`.
    """
    batch, height, width, channels = shape
    dims = Dims(batch, channels, height, width)
    return create("memory_desc", 4, dims, F32, NCHW16C, suffix="_with_tag")


def query_md(primitive_desc: c_void_p, query: int) -> c_void_p:
    """Return a memory descriptor that a primitive descriptor has chosen; `query` says which."""
    return c_void_p(load().dnnl_primitive_desc_query_md(primitive_desc, query, 0))


def equal_mds(first: c_void_p, second: c_void_p) -> bool:
    """Return whether two memory descriptors are equal."""
    return bool(load().dnnl_memory_desc_equal(first, second))


def size_of(md: c_void_p) -> int:
    """Return the size in bytes of an array with this memory descriptor."""
    return load().dnnl_memory_desc_get_size(md)


def memory(md: c_void_p, array: np.ndarray | None = None) -> c_void_p:
    """Return a new memory object.

    Args:
      md: memory descriptor of the array.
      array: the array that it refers to. The caller must keep it alive. Without an array, call
        `set_data` before the memory object is used.
    """
    data = MEMORY_NONE if array is None else c_void_p(array.ctypes.data)
    return create("memory", md, engine(), data)


def set_data(memory: c_void_p, address: int) -> None:
    """Let a memory object refer to the data at an address."""
    call("memory_set_data_handle", memory, c_void_p(address))


def aligned_bytes(size: int) -> np.ndarray:
    """Return an uninitialised uint8 array `[size]` that starts at a cache line."""
    array = np.empty(size + CACHE_LINE, np.uint8)
    return array[-array.ctypes.data % CACHE_LINE :][:size]


def attributes(*post_ops: Any) -> c_void_p:
    """Return primitive attributes with these post-ops and a scratchpad that the caller provides.

    By default oneDNN allocates the scratchpad, which may then belong to the thread that created the
    primitive. But here another thread may execute it.

    Args:
      *post_ops: `ELTWISE_RELU`, `ELTWISE_LOGISTIC`, or the memory descriptor of a feature map to
        add. They are applied in this order.
    """
    attr = create("primitive_attr")
    chain = create("post_ops")
    call("primitive_attr_set_scratchpad_mode", attr, SCRATCHPAD_MODE_USER)
    for post_op in post_ops:
        if post_op in (ELTWISE_RELU, ELTWISE_LOGISTIC):
            call("post_ops_append_eltwise", chain, post_op, c_float(0), c_float(0))
        else:
            call("post_ops_append_binary", chain, BINARY_ADD, post_op)
    call("primitive_attr_set_post_ops", attr, chain)
    return attr


@functools.cache
def default_attributes() -> c_void_p:
    """Return the attributes of a primitive without post-ops."""
    return attributes()
