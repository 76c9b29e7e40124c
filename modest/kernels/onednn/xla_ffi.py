"""XLA's foreign function interface (FFI) for CPU, with handlers written in Python.

XLA calls a handler several times, once for each stage, with a call frame: the stage, and the
buffers of arguments and results. Here only the last stage, execute, does any work.

The structures are those of jaxlib's `xla/ffi/api/c_api.h`, with its field names. Trailing fields
that are not needed are left out.
"""

import ctypes
from collections.abc import Callable
from ctypes import POINTER, c_char_p, c_int, c_int64, c_size_t, c_void_p
from typing import Any

API_VERSION = 0, 3  # version of the header from which the structures were copied
EXTENSION_METADATA = 1
STAGE_EXECUTE = 3
ERROR_CODE_INTERNAL = 13
DATA_TYPE_F32 = 11

STRUCT_HEADER: list[Any] = [("struct_size", c_size_t), ("extension_start", c_void_p)]


class Buffer(ctypes.Structure):
    """`XLA_FFI_Buffer`: an array in memory."""

    _fields_ = [
        *STRUCT_HEADER,
        ("dtype", c_int),
        ("data", c_void_p),
        ("rank", c_int64),
        ("dims", POINTER(c_int64)),
    ]


class Buffers(ctypes.Structure):
    """`XLA_FFI_Args` and `XLA_FFI_Rets`, which have the same fields."""

    _fields_ = [
        *STRUCT_HEADER,
        ("size", c_int64),
        ("types", c_void_p),
        ("buffers", POINTER(POINTER(Buffer))),  # `args` or `rets` in the header
    ]


class ErrorCreateArgs(ctypes.Structure):
    """`XLA_FFI_Error_Create_Args`."""

    _fields_ = [*STRUCT_HEADER, ("message", c_char_p), ("errc", c_int)]


class ApiVersion(ctypes.Structure):
    """`XLA_FFI_Api_Version`."""

    _fields_ = [*STRUCT_HEADER, ("major_version", c_int), ("minor_version", c_int)]


class Api(ctypes.Structure):
    """`XLA_FFI_Api`, up to the function that makes an error."""

    _fields_ = [
        *STRUCT_HEADER,
        ("api_version", ApiVersion),
        ("internal_api", c_void_p),
        ("error_create", ctypes.CFUNCTYPE(c_void_p, POINTER(ErrorCreateArgs))),
    ]


class Metadata(ctypes.Structure):
    """`XLA_FFI_Metadata`, up to the version."""

    _fields_ = [("struct_size", c_size_t), ("api_version", ApiVersion)]


class MetadataExtension(ctypes.Structure):
    """`XLA_FFI_Metadata_Extension`."""

    _fields_ = [
        ("struct_size", c_size_t),
        ("type", c_int),
        ("next", c_void_p),
        ("metadata", POINTER(Metadata)),
    ]


class CallFrame(ctypes.Structure):
    """`XLA_FFI_CallFrame`, up to the results."""

    _fields_ = [
        ("struct_size", c_size_t),
        ("extension_start", POINTER(MetadataExtension)),
        ("api", POINTER(Api)),
        ("ctx", c_void_p),
        ("stage", c_int),
        ("args", Buffers),
        ("rets", Buffers),
    ]


def handler(name: str, prepare: Callable[..., Callable[..., None]]) -> Any:
    """Return an FFI handler, a C function that XLA can call. The caller must keep it alive.

    Args:
      name: begins the message of every error.
      prepare: takes the shapes of the arguments and then of the results, and returns a function of
        the addresses of their data, in the same order. Every array is float32 with four axes.
    """

    @ctypes.CFUNCTYPE(c_void_p, POINTER(CallFrame))
    def handle(pointer):
        frame = pointer.contents
        if _is_metadata_query(frame):
            return None
        try:
            if frame.stage == STAGE_EXECUTE:
                _execute(frame, prepare)
        except BaseException as error:  # must reach XLA, or it reads uninitialised output
            return _create_error(frame, f"{name}: {error!r}")
        return None  # success

    return handle


def _is_metadata_query(frame):
    """Return whether XLA only asks for the API version, and if so answer.

    It asks when a handler is registered.
    """
    extension = frame.extension_start
    if not extension or extension.contents.type != EXTENSION_METADATA:
        return False
    version = extension.contents.metadata.contents.api_version
    version.major_version, version.minor_version = API_VERSION
    return True


def _execute(frame, prepare):
    buffers = []
    for group in (frame.args, frame.rets):
        buffers += [group.buffers[i].contents for i in range(group.size)]
    if any((buffer.dtype, buffer.rank) != (DATA_TYPE_F32, 4) for buffer in buffers):
        raise TypeError("only float32 arrays with four axes are supported")
    execute = prepare(*(tuple(buffer.dims[:4]) for buffer in buffers))
    execute(*(buffer.data for buffer in buffers))


def _create_error(frame, message):
    """Return an `XLA_FFI_Error`, which XLA frees."""
    size = ctypes.sizeof(ErrorCreateArgs)
    arguments = ErrorCreateArgs(size, None, message.encode(), ERROR_CODE_INTERNAL)
    return frame.api.contents.error_create(ctypes.byref(arguments))
