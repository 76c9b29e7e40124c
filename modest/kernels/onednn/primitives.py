"""oneDNN primitives: convolution primitive descriptors, and primitives executed in sequence."""

import functools
import threading
from collections.abc import Sequence
from typing import Any

import numpy as np

from modest.kernels.onednn import c_api, signatures

WINOGRAD_TILE = 4  # F(4x4, 3x3) computes output tiles of 4x4

# Hold it while primitives are executed. They use all cores and share temporary memory.
execution_lock = threading.Lock()


@functools.cache
def has_winograd() -> bool:
    """Return whether oneDNN has Winograd convolutions for this processor."""
    md = c_api.any_md(1, 16, 32, 32)
    weights_md = c_api.any_md(16, 16, 3, 3)
    algorithm, prop_kind = c_api.CONVOLUTION_WINOGRAD, c_api.FORWARD_INFERENCE
    return convolution_forward(algorithm, prop_kind, md, weights_md, md, (3, 3)) is not None


def winograd_is_faster(
    shape: tuple[int, ...], kernel: tuple[int, ...], least_size_16_channels: int = 128
) -> bool:
    """Return whether Winograd is available and beats the direct algorithm.

    It does not for feature maps smaller than a tile, because most of the tile would be padding, and
    for small feature maps with only 16 channels.

    Args:
      shape: shape of the input or output, `[B,H,W,C]`. Only height and width matter.
      kernel: shape `[k,l,I,O]` of the kernel.
      least_size_16_channels: smallest height and width, in px, at which Winograd pays if the input
        or the output has only 16 channels.
    """
    has_16_channels = min(kernel[2:]) <= 16
    least_size = least_size_16_channels if has_16_channels else WINOGRAD_TILE
    return (
        kernel[:2] == (3, 3)
        and all(channels % 16 == 0 for channels in kernel[2:])
        and min(shape[1:3]) >= least_size
        and has_winograd()
    )


def convolution_forward(
    algorithm: int,
    prop_kind: int,
    src_md: c_api.Object,
    weights_md: c_api.Object,
    dst_md: c_api.Object,
    kernel_size: tuple[int, ...],
    strides: tuple[int, int] = (1, 1),
    bias_md: c_api.Object | None = None,
    attributes: c_api.Object | None = None,
) -> c_api.Object | None:
    """Return the primitive descriptor of a zero-padded forward convolution.

    Args:
      algorithm: `CONVOLUTION_DIRECT` or `CONVOLUTION_WINOGRAD`.
      prop_kind: `FORWARD_TRAINING` or `FORWARD_INFERENCE`.
      src_md, weights_md, dst_md: memory descriptors.
      kernel_size: height and width of the kernel, both odd.
      strides: vertical and horizontal stride.
      bias_md: memory descriptor of the bias, if there is one.
      attributes: made by `c_api.attributes`.

    Returns:
      The primitive descriptor, or None if oneDNN has no implementation.
    """
    try:
        return c_api.primitive_desc(
            "convolution_forward",
            c_api.engine(),
            prop_kind,
            algorithm,
            src_md,
            weights_md,
            bias_md,
            dst_md,
            *strides_dilation_padding(kernel_size, strides),
            attributes or c_api.default_attributes(),
        )
    except NotImplementedError:
        return None


def strides_dilation_padding(
    kernel_size: tuple[int, ...], strides: tuple[int, int] = (1, 1)
) -> tuple[Any, Any, Any, Any]:
    """Return strides, dilation, left and right padding that keep the size (before strides).

    Args:
      kernel_size: height and width of the kernel, both odd.
      strides: vertical and horizontal stride.
    """
    padding = [taps // 2 for taps in kernel_size]
    dims = signatures.Dims
    return dims(*strides), dims(0, 0), dims(*padding), dims(*padding)


class PrimitiveSequence:
    """Primitives that are executed one after the other.

    Temporary memory objects and scratchpads hold data only during an execution. They are placed in
    one buffer that all sequences of the process share. It grows to the size that the largest
    sequence needs. Temporary arrays come first, then one scratchpad that all primitives of the
    sequence reuse.
    """

    _shared_buffer = np.empty(0, np.uint8)

    def __init__(self) -> None:
        self._primitives: list[tuple[c_api.Object, Any]] = []  # primitive, its ExecArgs
        self._used: list[c_api.Object] = []  # memory objects, which must not be destroyed
        self._temporaries: list[tuple[c_api.Object, int]] = []  # memory object, offset
        self._temporary_bytes = 0
        self._scratchpads: list[c_api.Object] = []
        self._scratchpad_bytes = 0
        self._base: int | None = None  # address of the shared buffer at the last execution

    def append(
        self, primitive_desc: c_api.Object, arguments: Sequence[tuple[int, c_api.Object]]
    ) -> None:
        """Create a primitive and append it.

        Args:
          primitive_desc: its primitive descriptor.
          arguments: pairs of (`ARG_...`, memory object), without the scratchpad.
        """
        md = c_api.query_md(primitive_desc, c_api.QUERY_SCRATCHPAD_MD)
        scratchpad = c_api.memory(md)
        self._scratchpads.append(scratchpad)
        self._scratchpad_bytes = max(self._scratchpad_bytes, c_api.size_of(md))
        arguments = (*arguments, (c_api.ARG_SCRATCHPAD, scratchpad))
        exec_args = [signatures.ExecArg(arg, memory.address) for arg, memory in arguments]
        exec_arg_array = (signatures.ExecArg * len(exec_args))(*exec_args)
        self._primitives.append((c_api.create("primitive", primitive_desc), exec_arg_array))
        self._used += [memory for _, memory in arguments]

    def append_reorder(
        self, src: c_api.Object, src_md: c_api.Object, dst: c_api.Object, dst_md: c_api.Object
    ) -> None:
        """Append a reorder: copy memory object `src` to `dst`, in the memory format of `dst_md`."""
        engine = c_api.engine()
        primitive_desc = c_api.primitive_desc(
            "reorder", src_md, engine, dst_md, engine, c_api.default_attributes()
        )
        self.append(primitive_desc, [(c_api.ARG_SRC, src), (c_api.ARG_DST, dst)])

    def temporary(self, md: c_api.Object) -> c_api.Object:
        """Return a memory object that holds data only during an execution."""
        memory = c_api.memory(md)
        self._temporaries.append((memory, self._temporary_bytes))
        lines = -(-c_api.size_of(md) // c_api.CACHE_LINE)
        self._temporary_bytes += lines * c_api.CACHE_LINE
        return memory

    def execute(self) -> None:
        """Execute the primitives and wait for them. The caller must hold `execution_lock`."""
        needed = self._temporary_bytes + self._scratchpad_bytes
        if needed > PrimitiveSequence._shared_buffer.nbytes:
            PrimitiveSequence._shared_buffer = c_api.aligned_bytes(needed)
        if self._base != PrimitiveSequence._shared_buffer.ctypes.data:
            self._base = PrimitiveSequence._shared_buffer.ctypes.data
            self._place_temporaries(self._base)
        stream = c_api.stream()
        for primitive, exec_args in self._primitives:
            c_api.call("primitive_execute", primitive, stream, len(exec_args), exec_args)
        c_api.call("stream_wait", stream)

    def _place_temporaries(self, base):
        for memory, offset in self._temporaries:
            c_api.set_data(memory, base + offset)
        for scratchpad in self._scratchpads:
            c_api.set_data(scratchpad, base + self._temporary_bytes)
