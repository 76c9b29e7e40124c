"""Convolutions by oneDNN's own library, called from within XLA's CPU backend.

XLA calls the library (`libdnnl.py`) through functions of its own interface for that (jaxlib's `xla/ffi/api/c_api.h`, whose
structures are below); pointers go from one to the other. What is had this way is Winograd's convolution (Lavin and Gray, "Fast
Algorithms for Convolutional Neural Networks", 2016), and the gradients of a convolution: by the kernel XLA takes two to four times
as long, and by the map it has to turn the kernel.
"""

import ctypes
import functools
import math
import warnings
from ctypes import POINTER, c_char_p, c_int, c_int64, c_size_t, c_void_p

import jax
import jax.numpy as jnp

from modest.models import libdnnl


def suits(x):
    """Whether `conv` and the gradients can be had here for `x`: on a CPU, in float32, of something, with the library installed."""
    return x.dtype == jnp.float32 and x.size > 0 and jax.default_backend() == "cpu" and available()


def suits_conv(x, kernel):
    """Whether `conv` can be had, by Winograd's way, and gains."""
    return suits(x) and _gains_by_winograd(x.shape, kernel.shape)


def conv(x, kernel):
    """Zero-padded convolution that keeps the size: `[B,H,W,I]`, `[k,l,I,O]` with odd k, l -> `[B,H,W,O]`, float32.

    By Winograd's way where that gains. Has no gradient, nor have the next two.
    """
    return _call("modest_conv", (*x.shape[:3], kernel.shape[3]), x, kernel)


def by_map(g, kernel):
    """The gradient of `conv` by its map, from that by its result: `[B,H,W,O]`, `[k,l,I,O]` -> `[B,H,W,I]`, float32."""
    return _call("modest_gradient_by_map", (*g.shape[:3], kernel.shape[2]), g, kernel)


def by_kernel(x, g, size):
    """The gradient of `conv` by its kernel, from that by its result: `[B,H,W,I]`, `[B,H,W,O]` -> `[*size,I,O]`, float32."""
    return _call("modest_gradient_by_kernel", (*size, x.shape[-1], g.shape[-1]), x, g)


def _call(name, shape, *arguments):
    return jax.ffi.ffi_call(name, jax.ShapeDtypeStruct(shape, jnp.float32), vmap_method="sequential")(*arguments)


@functools.cache
def available():
    """Whether the library is installed; from then on XLA knows the functions."""
    if libdnnl.library() is None:
        return False
    try:
        for name, function in FUNCTIONS.items():
            jax.ffi.register_ffi_target(name, jax.ffi.pycapsule(function), platform="cpu")
    except Exception as error:  # jaxlib names no type for it
        warnings.warn(f"convolutions are XLA's own, slower ones; this jaxlib does not take ours: {error}", stacklevel=2)
        return False
    return True


# The calls of oneDNN, prepared for the shapes of the arguments and the result.


class _Call:
    """A primitive on what lies at pointers, those of the arguments and of the result.

    Each is given as its place, its shape, which axis is oneDNN's first, second, ..., and the layout that the primitive wants; where
    it lies otherwise, it is copied.
    """

    def __init__(self, descriptor, arguments, result):
        self._steps, self._outside, places = libdnnl.Steps(), [], []
        for place, *array in arguments:
            there, layout, here, wanted = self._memories(*array)
            if here is not there:
                self._steps.add_reorder(there, layout, here, wanted)
            places.append((place, here))
        place, *array = result
        there, layout, here, wanted = self._memories(*array)
        self._steps.add(descriptor, *places, (place, here))
        if here is not there:
            self._steps.add_reorder(here, wanted, there, layout)

    def _memories(self, shape, order, wanted):
        """Where an array is, and its layout there; where it is in the layout wanted, and that."""
        layout = libdnnl.layout(shape, order)
        if libdnnl.same(layout, wanted) or (order == libdnnl.NHWC and shape[3] == 16):
            layout = wanted
        there = libdnnl.memory(layout)
        self._outside.append(there)
        return there, layout, there if layout is wanted else self._steps.temporary(wanted), wanted

    def __call__(self, *pointers):
        with libdnnl.lock:
            for memory, pointer in zip(self._outside, pointers, strict=True):
                libdnnl.point(memory, pointer)
            self._steps.run()


@functools.cache
def _prepare_conv(x, kernel, y):
    descriptor, of_x, of_y = _describe("forward", _gains_by_winograd(x, kernel), x, kernel, y)
    of_kernel = libdnnl.chosen(descriptor, libdnnl.OF_KERNEL)
    arguments = (libdnnl.SOURCE, x, libdnnl.NHWC, of_x), (libdnnl.KERNEL, kernel, libdnnl.HWIO, of_kernel)
    return _Call(descriptor, arguments, (libdnnl.DESTINATION, y, libdnnl.NHWC, of_y))


@functools.cache
def _prepare_by_map(g, kernel, x):
    descriptor, of_x, of_g = _describe("backward_data", _gains_by_winograd(x, kernel), x, kernel, g)
    of_kernel = libdnnl.chosen(descriptor, libdnnl.OF_KERNEL)
    arguments = (libdnnl.GRADIENT_BY_DESTINATION, g, libdnnl.NHWC, of_g), (libdnnl.KERNEL, kernel, libdnnl.HWIO, of_kernel)
    return _Call(descriptor, arguments, (libdnnl.GRADIENT_BY_SOURCE, x, libdnnl.NHWC, of_x))


@functools.cache
def _prepare_by_kernel(x, g, kernel):
    winograd = math.prod(x[:3]) >= 1500 and libdnnl.suits_winograd(x, kernel, few=32)
    descriptor, of_x, of_g = _describe("backward_weights", winograd, x, kernel, g)
    of_kernel = libdnnl.chosen(descriptor, libdnnl.OF_GRADIENT_BY_KERNEL)
    arguments = (libdnnl.SOURCE, x, libdnnl.NHWC, of_x), (libdnnl.GRADIENT_BY_DESTINATION, g, libdnnl.NHWC, of_g)
    return _Call(descriptor, arguments, (libdnnl.GRADIENT_BY_KERNEL, kernel, libdnnl.HWIO, of_kernel))


def _gains_by_winograd(x, kernel):
    """With pixels enough to outweigh putting the kernel in order, and work enough to outweigh waking oneDNN's threads."""
    pixels = math.prod(x[:3])
    return pixels >= 2000 and pixels * math.prod(kernel[2:]) >= 1e7 and libdnnl.suits_winograd(x, kernel)


def _describe(kind, winograd, x, kernel, y):
    """A convolution's primitive of a kind for these shapes, and the layouts of its maps; the kernel's is for oneDNN to choose."""
    height, width, inputs, outputs = kernel
    algorithm, any_kernel = libdnnl.WINOGRAD if winograd else libdnnl.DIRECT, libdnnl.any_layout(outputs, inputs, height, width)
    of_x, of_y = (libdnnl.blocked_layout(map) if winograd else libdnnl.layout(map, libdnnl.NHWC) for map in (x, y))
    forward = libdnnl.convolution(algorithm, libdnnl.TRAINING, of_x, any_kernel, of_y, kernel[:2])
    if kind == "forward":
        return forward, of_x, of_y
    no_bias = (None,) if kind == "backward_weights" else ()
    arguments = libdnnl.engine(), algorithm, of_x, any_kernel, *no_bias, of_y, *libdnnl.window(kernel[:2]), forward
    return libdnnl.create(f"convolution_{kind}_primitive_desc", *arguments, libdnnl.plain_attributes()), of_x, of_y


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


def _function(name, prepare):
    """What XLA calls: the call prepared for the shapes that it gives, on its pointers. Gives nothing, or an error."""

    @ctypes.CFUNCTYPE(c_void_p, POINTER(CallFrame))
    def function(frame):
        frame = frame.contents
        if frame.extension and frame.extension.contents.type == METADATA:
            # Asked when it is registered: which version of the interface is it written for?
            version = frame.extension.contents.metadata.contents.version
            version.major, version.minor = API_VERSION
            return None
        try:
            if frame.stage == EXECUTE:
                buffers = [of.buffers[i].contents for of in (frame.arguments, frame.results) for i in range(of.count)]
                if any((buffer.dtype, buffer.rank) != (FLOAT32_OF_XLA, 4) for buffer in buffers):
                    raise TypeError("float32 of four axes only")
                call = prepare(*(tuple(buffer.shape[:4]) for buffer in buffers))
                call(*(buffer.data for buffer in buffers))
        except BaseException as error:  # must not get lost on the way, or XLA would take what is in memory for the result
            error = Error(ctypes.sizeof(Error), None, f"{name}: {error!r}".encode(), INTERNAL)
            return frame.api.contents.create_error(ctypes.byref(error))

    return function


FUNCTIONS = {
    name: _function(name, prepare)
    for name, prepare in (
        ("modest_conv", _prepare_conv),
        ("modest_gradient_by_map", _prepare_by_map),
        ("modest_gradient_by_kernel", _prepare_by_kernel),
    )
}
