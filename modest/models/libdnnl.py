"""The gradient of a convolution by its kernel, computed by the shared library of oneDNN, for XLA's CPU backend.

XLA has no call for this gradient of the oneDNN inside jaxlib (`onednn.py`), and its own way takes two to four times as long. The
package `onednn-cpu-gomp` is the library alone (Apache 2.0, Linux on x86-64); conda's `onednn-cpu-omp` puts a newer one in the same
place. It is called by its C interface (oneDNN's `dnnl.h`, version 3) in a function that XLA calls by its own (jaxlib's
`xla/ffi/api/c_api.h`). Pointers go from one to the other, and no map is copied. Structures and numbers below are those of these two
files.
"""

import ctypes
import functools
import math
import os
import site
import sysconfig
import threading
import warnings
from ctypes import POINTER, c_char_p, c_int, c_int64, c_size_t, c_uint, c_void_p

import jax
import jax.numpy as jnp

NAME = "modest_gradient_by_kernel"  # by which XLA knows the function
_lock = threading.Lock()  # a call has all cores, and memory that is used again: one at a time


def suits(x):
    """Whether the gradient can be had here for `x`: on a CPU, in float32, of something, with the library installed."""
    return x.dtype == jnp.float32 and x.size > 0 and jax.default_backend() == "cpu" and available()


def by_kernel(x, g, size):
    """The gradient of a zero-padded convolution that keeps the size, by its kernel, from that by its result.

    `[B,H,W,I]`, `[B,H,W,O]` -> `[*size,I,O]`, float32, for a kernel of `size` (odd, odd). Has no gradient itself.
    """
    result = jax.ShapeDtypeStruct((*size, x.shape[-1], g.shape[-1]), jnp.float32)
    return jax.ffi.ffi_call(NAME, result, vmap_method="sequential")(x, g)


@functools.cache
def available():
    """Whether the library is installed; from then on XLA knows the function."""
    if _library() is None:
        return False
    try:
        jax.ffi.register_ffi_target(NAME, jax.ffi.pycapsule(_function), platform="cpu")
    except Exception as error:  # jaxlib names no type for it
        warnings.warn(f"gradients are XLA's own, slower ones, since this jaxlib does not take the function: {error}", stacklevel=2)
        return False
    return True


# The call from XLA. Its structures start with their size and a pointer to extensions.

HEAD = [("struct_size", c_size_t), ("extension", c_void_p)]
API_VERSION = 0, 3  # those of the header that the structures were taken from
METADATA, EXECUTE, INTERNAL, FLOAT32_OF_XLA = 1, 3, 13, 11


class Buffer(ctypes.Structure):
    _fields_ = [*HEAD, ("dtype", c_int), ("data", c_void_p), ("rank", c_int64), ("shape", POINTER(c_int64))]


class Buffers(ctypes.Structure):
    _fields_ = [*HEAD, ("count", c_int64), ("types", c_void_p), ("buffers", POINTER(POINTER(Buffer)))]


class Error(ctypes.Structure):
    _fields_ = [*HEAD, ("message", c_char_p), ("code", c_int)]


class ApiVersion(ctypes.Structure):
    _fields_ = [*HEAD, ("major", c_int), ("minor", c_int)]


class Api(ctypes.Structure):
    create_error = ctypes.CFUNCTYPE(c_void_p, POINTER(Error))
    _fields_ = [*HEAD, ("version", ApiVersion), ("internal", c_void_p), ("create_error", create_error)]


class Metadata(ctypes.Structure):
    _fields_ = [("struct_size", c_size_t), ("version", ApiVersion)]


class MetadataExtension(ctypes.Structure):
    _fields_ = [("struct_size", c_size_t), ("type", c_int), ("next", c_void_p), ("metadata", POINTER(Metadata))]


class CallFrame(ctypes.Structure):
    _fields_ = [
        ("struct_size", c_size_t),
        ("extension", POINTER(MetadataExtension)),
        ("api", POINTER(Api)),
        ("context", c_void_p),
        ("stage", c_int),
        ("arguments", Buffers),
        ("results", Buffers),
    ]


@ctypes.CFUNCTYPE(c_void_p, POINTER(CallFrame))
def _function(frame):
    """`by_kernel`, called by XLA: gives nothing, or an error."""
    frame = frame.contents
    if (
        frame.extension and frame.extension.contents.type == METADATA
    ):  # when it is registered: which version of the interface is it written for?
        version = frame.extension.contents.metadata.contents.version
        version.major, version.minor = API_VERSION
        return None
    try:
        if frame.stage == EXECUTE:
            x, g, result = (of.buffers[i].contents for of in (frame.arguments, frame.results) for i in range(of.count))
            if any((buffer.dtype, buffer.rank) != (FLOAT32_OF_XLA, 4) for buffer in (x, g, result)):
                raise TypeError("float32 of four axes only")
            shapes = (tuple(buffer.shape[:4]) for buffer in (x, g, result))
            with _lock:
                _prepare(*shapes)(x.data, g.data, result.data)
    except BaseException as error:  # must not get lost on the way through XLA, which would take what is in memory for the result
        error = Error(ctypes.sizeof(Error), None, f"{NAME}: {error!r}".encode(), INTERNAL)
        return frame.api.contents.create_error(ctypes.byref(error))


# The call of oneDNN. It takes axes in the order NCHW and OIHW; how they lie in memory is told apart from that.

OPENMP, CPU, IN_ORDER = 2, 1, 1
FLOAT32, ANY_LAYOUT, ALLOCATE = 3, 1, c_void_p(-1)
TRAINING, DIRECT, LAYOUT_OF_RESULT, LAYOUT_OF_SCRATCHPAD = 64, 1, 132, 136
SOURCE, DESTINATION, GRADIENT_BY_DESTINATION, GRADIENT_BY_WEIGHTS, SCRATCHPAD = 1, 17, 145, 161, 80
BY_USER = 1
Sizes = c_int64 * 12


class Version(ctypes.Structure):
    _fields_ = [("major", c_int), ("minor", c_int), ("patch", c_int), ("hash", c_char_p), ("cpu", c_uint), ("gpu", c_uint)]


class Argument(ctypes.Structure):
    _fields_ = [("place", c_int), ("memory", c_void_p)]


@functools.cache
def _library():
    """oneDNN, version 3, with OpenMP's threads; None where there is none."""
    for directory in (sysconfig.get_path("data"), site.getuserbase()):
        try:
            library = ctypes.CDLL(os.path.join(directory, "lib", "libdnnl.so.3"))
        except OSError:
            continue
        library.dnnl_version.restype = POINTER(Version)
        library.dnnl_primitive_desc_query_md.restype = c_void_p
        version = library.dnnl_version().contents
        if (version.major, version.cpu) == (3, OPENMP):
            return library
    return None


@functools.cache
def _prepare(x, g, kernel):
    """A function of the pointers to two maps and the result, for these shapes.

    oneDNN computes into a layout of its choice; a reordering takes that to HWIO. Scratch memory is given to it: what it takes by
    itself may belong to the thread that prepares, and XLA calls from any.
    """
    engine = _engine()
    x, g, result = _layout(x, (0, 3, 1, 2)), _layout(g, (0, 3, 1, 2)), _layout(kernel, (3, 2, 0, 1))
    height, width, inputs, outputs = kernel
    own = _create("memory_desc", 4, Sizes(outputs, inputs, height, width), FLOAT32, ANY_LAYOUT, suffix="_with_tag")
    padding = Sizes(height // 2, width // 2)
    window = Sizes(1, 1), Sizes(0, 0), padding, padding  # strides, dilation
    forward = _create("convolution_forward_primitive_desc", engine, TRAINING, DIRECT, x, own, None, g, *window, None)
    attributes = _create("primitive_attr")
    _do("primitive_attr_set_scratchpad_mode", attributes, BY_USER)
    arguments = engine, DIRECT, x, own, None, g, *window, forward, attributes
    chosen = _create("convolution_backward_weights_primitive_desc", *arguments)
    layout_in = lambda description, what: c_void_p(_library().dnnl_primitive_desc_query_md(description, what, 0))
    own = layout_in(chosen, LAYOUT_OF_RESULT)
    order = _create("reorder_primitive_desc", own, engine, result, engine, attributes)

    outer = [_create("memory", layout, engine, None) for layout in (x, g, result)]
    inner = _create("memory", own, engine, ALLOCATE)
    scratch = [_create("memory", layout_in(of, LAYOUT_OF_SCRATCHPAD), engine, ALLOCATE) for of in (chosen, order)]
    places = (SOURCE, outer[0]), (GRADIENT_BY_DESTINATION, outer[1]), (GRADIENT_BY_WEIGHTS, inner), (SCRATCHPAD, scratch[0])
    steps = (
        (_create("primitive", chosen), (Argument * 4)(*places)),
        (_create("primitive", order), (Argument * 3)((SOURCE, inner), (DESTINATION, outer[2]), (SCRATCHPAD, scratch[1]))),
    )

    def run(*pointers):
        for memory, pointer in zip(outer, pointers):
            _do("memory_set_data_handle", memory, c_void_p(pointer))
        for primitive, arguments in steps:
            _do("primitive_execute", primitive, _stream(), len(arguments), arguments)
        _do("stream_wait", _stream())

    return run


def _layout(shape, order):
    """Of an array with its last axis innermost, whose axes oneDNN takes in this order."""
    strides = [math.prod(shape[axis + 1 :]) for axis in range(len(shape))]
    shape, strides = (Sizes(*(numbers[axis] for axis in order)) for numbers in (shape, strides))
    return _create("memory_desc", len(order), shape, FLOAT32, strides, suffix="_with_strides")


@functools.cache
def _engine():
    return _create("engine", CPU, c_size_t(0))


@functools.cache
def _stream():
    return _create("stream", _engine(), IN_ORDER)


def _create(kind, *arguments, suffix=""):
    handle = c_void_p()
    _do(f"{kind}_create{suffix}", ctypes.byref(handle), *arguments)
    return handle


def _do(name, *arguments):
    status = _library()[f"dnnl_{name}"](*arguments)
    if status:
        raise RuntimeError(f"dnnl_{name}: status {status}")
