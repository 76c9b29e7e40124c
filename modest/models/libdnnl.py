"""oneDNN's own shared library, by its C interface: what `calls.py` and `program.py` are made of.

The package `onednn-cpu-gomp` is the library alone (github.com/uxlfoundation/oneDNN, Apache 2.0, Linux on x86-64). Version 3.1, the
last that has Winograd's convolution on AVX-512, is what `requirements.txt` names; a newer version 3, such as conda's
`onednn-cpu-omp` puts in the same place, serves without it. Numbers and structures are those of its `dnnl_types.h`.

oneDNN takes axes in the order NCHW and OIHW; how an array lies in memory is told apart from that, by a layout.
"""

import ctypes
import functools
import math
import os
import site
import sysconfig
import threading
import warnings
from ctypes import POINTER, c_char_p, c_float, c_int, c_int64, c_size_t, c_uint, c_void_p

import numpy as np

OPENMP, CPU, IN_ORDER, UNIMPLEMENTED = 2, 1, 1, 3
FLOAT32, ANY, BLOCKED, NO_POINTER = 3, 1, 78, None
TRAINING, INFERENCE, DIRECT, WINOGRAD = 64, 96, 1, 2
ADD, RELU, LOGISTIC, MAXIMUM, LINEAR = 0x1FFF0, 0x20, 0x29, 0x1FF, 0x2FFF1
SOURCE, SECOND_SOURCE, DESTINATION, KERNEL, BIAS, SCRATCHPAD, MANY_SOURCES = 1, 2, 17, 33, 41, 80, 1024
GRADIENT_BY_SOURCE, GRADIENT_BY_DESTINATION, GRADIENT_BY_KERNEL, SECOND_OF_POST_OPERATION = 129, 145, 161, 32768 | 2
OF_KERNEL, OF_GRADIENT_BY_KERNEL, OF_SCRATCHPAD = 131, 132, 136
BY_USER = 1
NHWC, HWIO, VECTOR = (0, 3, 1, 2), (3, 2, 0, 1), (0,)  # which axis of an array is oneDNN's first, second, ...
Sizes = c_int64 * 12

lock = threading.Lock()  # a call has all cores, and memory that is used again: one at a time


class Version(ctypes.Structure):
    _fields_ = [("major", c_int), ("minor", c_int), ("patch", c_int), ("hash", c_char_p), ("cpu", c_uint), ("gpu", c_uint)]


class Argument(ctypes.Structure):
    _fields_ = [("place", c_int), ("memory", c_void_p)]


@functools.cache
def library():
    """oneDNN, version 3, with OpenMP's threads; None where there is none."""
    for directory in (sysconfig.get_path("data"), site.getuserbase()):
        path = os.path.join(directory, "lib", "libdnnl.so.3")
        try:
            found = ctypes.CDLL(path)
        except OSError as error:
            if os.path.exists(path):
                warnings.warn(f"convolutions are XLA's own, slower ones: {error}", stacklevel=2)
            continue
        found.dnnl_version.restype = POINTER(Version)
        found.dnnl_primitive_desc_query_md.restype = c_void_p
        found.dnnl_memory_desc_get_size.restype = c_size_t
        version = found.dnnl_version().contents
        if (version.major, version.cpu) == (3, OPENMP):
            return found
    return None


@functools.cache
def has_winograd():
    """Whether the library is there and has Winograd's convolution for this processor."""
    if library() is None:
        return False
    of_map = any_layout(1, 16, 32, 32)
    return convolution(WINOGRAD, INFERENCE, of_map, any_layout(16, 16, 3, 3), of_map, size=(3, 3)) is not None


def layout(shape, order):
    """Of an array with its last axis innermost, whose axes oneDNN takes in this order."""
    strides = [math.prod(shape[axis + 1 :]) for axis in range(len(shape))]
    shape, strides = (Sizes(*(numbers[axis] for axis in order)) for numbers in (shape, strides))
    return create("memory_desc", len(order), shape, FLOAT32, strides, suffix="_with_strides")


def any_layout(*shape):
    """Of an array of this shape, in oneDNN's order of axes, that oneDNN may lay out as it likes."""
    return create("memory_desc", len(shape), Sizes(*shape), FLOAT32, ANY, suffix="_with_tag")


def blocked_layout(shape):
    """Of a map `[B,H,W,C]` that lies as `[B,C/16,H,W,16]`, which Winograd's convolution takes and gives. (With C = 16: as NHWC.)"""
    batch, height, width, channels = shape
    return create("memory_desc", 4, Sizes(batch, channels, height, width), FLOAT32, BLOCKED, suffix="_with_tag")


def convolution(algorithm, kind, x, kernel, y, size, strides=(1, 1), bias=None, attributes=None):
    """The descriptor of a zero-padded convolution of these layouts with a kernel of `size` (odd, odd), `attributes` as made by
    `attributes`; None where oneDNN has none."""
    try:
        descriptor = create(
            "convolution_forward_primitive_desc",
            *(engine(), kind, algorithm, x, kernel, bias, y, *window(size, strides), attributes or plain_attributes()),
        )
    except NotImplementedError:
        return None
    return descriptor


def suits_winograd(x, kernel, few=128):
    """Whether Winograd's way is there and the faster one for a map `[B,H,W,I]` and a kernel `[k,l,I,O]`.

    Not where most of its 4 x 4 results are beyond the edge, nor, below `few` px, with no more than 16 channels.
    """
    large = min(x[1:3]) >= (4 if min(kernel[2:]) > 16 else few)
    return kernel[:2] == (3, 3) and all(count % 16 == 0 for count in kernel[2:]) and large and has_winograd()


def window(size, strides=(1, 1)):
    """Strides, dilation, padding before and after, of a kernel of `size` (odd, odd) that keeps the size but for strides."""
    before = [taps // 2 for taps in size]
    return Sizes(*strides), Sizes(0, 0), Sizes(*before), Sizes(*before)


def attributes(*operations):
    """Of a primitive that takes its scratch memory from the caller (what it takes by itself may belong to the thread that prepares)
    and does `operations` to its result: RELU, LOGISTIC, or the layout of a map to add."""
    result, after = create("primitive_attr"), create("post_ops")
    do("primitive_attr_set_scratchpad_mode", result, BY_USER)
    for operation in operations:
        if operation in (RELU, LOGISTIC):
            do("post_ops_append_eltwise", after, operation, c_float(0), c_float(0))
        else:
            do("post_ops_append_binary", after, ADD, operation)
    do("primitive_attr_set_post_ops", result, after)
    return result


@functools.cache
def plain_attributes():
    """Those of a primitive whose result is left as it is."""
    return attributes()


def chosen(descriptor, of):
    """The layout that a primitive has of one of its arguments (OF_...)."""
    return c_void_p(library().dnnl_primitive_desc_query_md(descriptor, of, 0))


def same(layout, other):
    """Whether two layouts are equal."""
    return bool(library().dnnl_memory_desc_equal(layout, other))


def bytes_of(layout):
    """How much memory an array of a layout takes."""
    return library().dnnl_memory_desc_get_size(layout)


class Steps:
    """Primitives to run one after the other. What they need for the time of a run, all of the process share."""

    _shared = np.empty(0, np.uint8)

    def __init__(self):
        self._steps, self._temporary, self._size, self._scratch, self._base = [], [], 0, 0, None

    def add(self, descriptor, *arguments):
        """A primitive and its arguments, pairs of a place (SOURCE, ...) and a memory."""
        scratch = memory(chosen(descriptor, OF_SCRATCHPAD))
        self._scratch = max(self._scratch, bytes_of(chosen(descriptor, OF_SCRATCHPAD)))
        arguments = (*arguments, (SCRATCHPAD, scratch))
        self._steps.append((create("primitive", descriptor), scratch, (Argument * len(arguments))(*arguments)))

    def add_reorder(self, x, from_layout, y, to_layout):
        """A copy of memory `x` to memory `y` that changes the layout."""
        descriptor = create("reorder_primitive_desc", from_layout, engine(), to_layout, engine(), plain_attributes())
        self.add(descriptor, (SOURCE, x), (DESTINATION, y))

    def temporary(self, layout):
        """A memory that lasts for a run."""
        self._temporary.append((memory(layout), self._size))
        self._size += -(-bytes_of(layout) // 64) * 64
        return self._temporary[-1][0]

    def run(self):
        """Does them; with `lock` held."""
        if self._size + self._scratch > Steps._shared.nbytes:
            Steps._shared = aligned(self._size + self._scratch)
        if self._base != Steps._shared.ctypes.data:
            self._base = Steps._shared.ctypes.data
            for temporary, offset in (*self._temporary, *((scratch, self._size) for _, scratch, _ in self._steps)):
                point(temporary, self._base + offset)
        stream = _stream()
        for primitive, _, arguments in self._steps:
            do("primitive_execute", primitive, stream, len(arguments), arguments)
        do("stream_wait", stream)


def memory(layout, array=None):
    """A memory of a layout, that of a numpy array (which must be kept), or of what `point` says later."""
    return create("memory", layout, engine(), c_void_p(array.ctypes.data) if array is not None else NO_POINTER)


def point(memory, pointer):
    """Says where a memory is."""
    do("memory_set_data_handle", memory, c_void_p(pointer))


def aligned(size):
    """uint8 `[size]` that starts at a cache line."""
    array = np.empty(size + 64, np.uint8)
    return array[-array.ctypes.data % 64 :][:size]


@functools.cache
def engine():
    """The processor, as oneDNN knows it."""
    return create("engine", CPU, c_size_t(0))


@functools.cache
def _stream():
    return create("stream", engine(), IN_ORDER)


def create(kind, *arguments, suffix=""):
    """A new object of oneDNN's; raises `NotImplementedError` where it has no primitive of that description."""
    handle = c_void_p()
    do(f"{kind}_create{suffix}", ctypes.byref(handle), *arguments)
    return handle


def do(name, *arguments):
    """Calls `dnnl_NAME`; raises `NotImplementedError` where there is no such primitive, `RuntimeError` for other failures."""
    status = library()[f"dnnl_{name}"](*arguments)
    if status:
        kind = NotImplementedError if status == UNIMPLEMENTED else RuntimeError
        raise kind(f"dnnl_{name}: status {status}")
