"""Structures and argument types of oneDNN's C functions, from its headers dnnl.h and dnnl_types.h.

With the types, ctypes refuses a wrong argument. Without them, a wrong call would corrupt memory.
"""

import ctypes
from ctypes import POINTER, c_char_p, c_float, c_int, c_int64, c_size_t, c_uint, c_void_p
from typing import Any

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


_NEW = POINTER(c_void_p)  # where a function puts the handle of a new object
_WINDOW = (Dims, Dims, Dims, Dims)  # strides, dilation, left and right padding
# Argument types of oneDNN's functions, without `dnnl_`. They return a status, unless `RETURN_TYPES`
# says otherwise. `c_void_p` is an object.
ARGUMENT_TYPES: dict[str, tuple[Any, ...]] = {
    "version": (),
    "get_effective_cpu_isa": (),
    "engine_create": (_NEW, c_int, c_size_t),
    "engine_destroy": (c_void_p,),
    "stream_create": (_NEW, c_void_p, c_uint),
    "stream_destroy": (c_void_p,),
    "stream_wait": (c_void_p,),
    "memory_desc_create_with_strides": (_NEW, c_int, Dims, c_int, Dims),
    "memory_desc_create_with_tag": (_NEW, c_int, Dims, c_int, c_int),
    "memory_desc_clone": (_NEW, c_void_p),
    "memory_desc_destroy": (c_void_p,),
    "memory_desc_equal": (c_void_p, c_void_p),
    "memory_desc_get_size": (c_void_p,),
    "memory_create": (_NEW, c_void_p, c_void_p, c_void_p),
    "memory_destroy": (c_void_p,),
    "memory_set_data_handle": (c_void_p, c_void_p),
    "primitive_attr_create": (_NEW,),
    "primitive_attr_destroy": (c_void_p,),
    "primitive_attr_set_scratchpad_mode": (c_void_p, c_int),
    "primitive_attr_set_post_ops": (c_void_p, c_void_p),
    "post_ops_create": (_NEW,),
    "post_ops_destroy": (c_void_p,),
    "post_ops_append_eltwise": (c_void_p, c_int, c_float, c_float),
    "post_ops_append_binary": (c_void_p, c_int, c_void_p),
    "primitive_desc_query_md": (c_void_p, c_int, c_int),
    "primitive_desc_destroy": (c_void_p,),
    "primitive_create": (_NEW, c_void_p),
    "primitive_destroy": (c_void_p,),
    "primitive_execute": (c_void_p, c_void_p, c_int, POINTER(ExecArg)),
    "convolution_forward_primitive_desc_create": (
        *(_NEW, c_void_p, c_int, c_int),
        *(c_void_p,) * 4,  # source, weights, bias, destination
        *(*_WINDOW, c_void_p),
    ),
    "convolution_backward_data_primitive_desc_create": (
        *(_NEW, c_void_p, c_int),
        *(c_void_p,) * 3,  # source, weights, destination
        *(*_WINDOW, c_void_p, c_void_p),
    ),
    "convolution_backward_weights_primitive_desc_create": (
        *(_NEW, c_void_p, c_int),
        *(c_void_p,) * 4,  # source, weights, bias, destination
        *(*_WINDOW, c_void_p, c_void_p),
    ),
    "pooling_forward_primitive_desc_create": (
        *(_NEW, c_void_p, c_int, c_int, c_void_p, c_void_p),
        *(Dims, *_WINDOW, c_void_p),  # one more than in a convolution: the kernel's size
    ),
    "resampling_forward_primitive_desc_create": (
        *(_NEW, c_void_p, c_int, c_int, POINTER(c_float), c_void_p, c_void_p, c_void_p),
    ),
    "binary_primitive_desc_create": (_NEW, c_void_p, c_int, *(c_void_p,) * 4),
    "concat_primitive_desc_create": (
        *(_NEW, c_void_p, c_void_p, c_int, c_int, POINTER(c_void_p), c_void_p),
    ),
    "reorder_primitive_desc_create": (_NEW, *(c_void_p,) * 5),
}
RETURN_TYPES: dict[str, Any] = {
    "version": POINTER(Version),
    "memory_desc_get_size": c_size_t,
    "primitive_desc_query_md": c_void_p,
}
