"""Prediction on CPU as a sequence of oneDNN primitives, which run without XLA.

`compile_for_shapes` traces a function with JAX, translates the trace into operations
(`translation.py`), and chooses a memory format and a buffer for every feature map. The program is
faster than XLA because 3x3 convolutions use Winograd, kernels are reordered only once, feature maps
stay in oneDNN's preferred format from layer to layer, and all work is done by one pool of threads.
XLA need not compile the network either. `onednn` (`__init__.py`) explains oneDNN's terms.
"""

import collections
import dataclasses
from collections.abc import Callable, Iterable, Sequence

import jax
import numpy as np

from modest.kernels.onednn import c_api, primitives
from modest.kernels.onednn.named_operations import keep_operations_whole
from modest.kernels.onednn.primitive_descs import PRIMITIVE_DESCS
from modest.kernels.onednn.translation import NotTranslatable, Operation, translate
from modest.types import PyTree

ELTWISE = {
    "relu": c_api.ELTWISE_RELU,
    "sigmoid": c_api.ELTWISE_LOGISTIC,
    "abs": c_api.ELTWISE_ABS,
}


def compile_for_shapes(function: Callable[..., PyTree], *inputs: PyTree) -> Callable[..., PyTree]:
    """Compile a function of feature maps into a program of oneDNN primitives.

    Args:
      function: may use the operations of `modest.kernels`, `+`, `-`, absolute value, ReLU, sigmoid
        and concatenation of channels. It may return inputs unchanged. Variables that it closes over
        are read when it is compiled.
      *inputs: arrays or `jax.ShapeDtypeStruct`, float32 `[B,H,W,C]`, not empty.

    Returns:
      A function of NumPy arrays of the same shapes that returns the pytree of `function`, as NumPy
      arrays. Threads that call it wait for each other.

    Raises:
      NotTranslatable: an input has another dtype or number of axes, the function contains another
        operation, or a variable is not finite.
    """
    if any(x.dtype != np.float32 or x.ndim != 4 or not x.size for x in inputs):
        raise NotTranslatable("an input is not a non-empty float32 array [B,H,W,C]")
    with keep_operations_whole():
        trace, output_shapes = jax.make_jaxpr(function, return_shape=True)(*inputs)
    input_operations = [Operation("input", (), x.shape) for x in inputs]
    outputs = translate(trace.jaxpr, trace.consts, input_operations)
    if not all(isinstance(x, Operation) for x in outputs):
        raise NotTranslatable("an output is a constant")
    program = _Program(input_operations, [x for x in outputs if x.kind != "input"])
    structure = jax.tree.structure(output_shapes)

    def compiled(*arrays):
        computed = iter(program(arrays))
        results = [
            arrays[input_operations.index(x)] if x.kind == "input" else next(computed)
            for x in outputs
        ]
        return jax.tree.unflatten(structure, results)

    return compiled


@dataclasses.dataclass
class _FeatureMap:
    """The result of an operation: its memory format and its buffer."""

    shape: tuple[int, ...]  # [B,H,W,C]
    is_blocked: bool  # format nChw16c, see `c_api.blocked_md`; otherwise NHWC
    buffer: int  # number of the buffer that holds it
    md: c_api.Object
    reordered: "_FeatureMap | None" = None  # the same feature map in the other format


class _BufferPlan:
    """Assigns feature maps to buffers. A buffer is reused when its content is no longer needed.

    The first buffers stand for the inputs of a program. They have size 0 and are never reused.
    """

    def __init__(self, inputs: int) -> None:
        self.sizes = [0] * inputs  # bytes
        self._free: list[int] = []

    def take(self, size: int) -> int:
        """Return the number of a free buffer of at least `size` bytes.

        It is the smallest free buffer that is large enough. If none is, the largest free one grows;
        if no buffer is free, a new one is made.
        """
        if not self._free:
            self.sizes.append(size)
            return len(self.sizes) - 1
        large_enough = [buffer for buffer in self._free if self.sizes[buffer] >= size]
        if large_enough:
            buffer = min(large_enough, key=self.sizes.__getitem__)
        else:
            buffer = max(self._free, key=self.sizes.__getitem__)
        self._free.remove(buffer)
        self.sizes[buffer] = max(size, self.sizes[buffer])
        return buffer

    def release(self, buffers: Iterable[int]) -> None:
        """Free these buffers."""
        self._free += buffers


class _Program:
    """The primitives of a network, with their weights and with buffers for its feature maps."""

    def __init__(self, inputs: Sequence[Operation], outputs: Sequence[Operation]) -> None:
        operations = [x for x in _in_order(outputs) if x.kind != "input"]
        if any(x.kind not in PRIMITIVE_DESCS for x in operations):
            raise NotTranslatable("x[:, ::2, ::2] without a 1x1 convolution after it")
        constants = [y for x in operations for y in (x.kernel, x.bias) if y is not None]
        if not all(np.isfinite(np.sum(x)) for x in constants):  # see `prediction.compile`
            raise NotTranslatable("a variable is not finite")
        self._use_blocked = primitives.has_winograd() and all(
            x.kernel.shape[3] % 16 == 0
            for x in operations
            if x.kind == "conv" and x.kernel.shape[:2] == (3, 3)
        )
        self._unread = collections.Counter(x for y in operations for x in y.all_inputs())
        self._unread.update([*inputs, *outputs])  # so that their buffers are never released
        self._sequence = primitives.PrimitiveSequence()
        self._memories: list[tuple[c_api.Object, int]] = []  # memory object, number of its buffer
        self._kept_arrays: list[np.ndarray] = []  # memory objects refer to their data
        self._plan = _BufferPlan(len(inputs))
        self._feature_maps = {
            x: self._feature_map(x.shape, is_blocked=False, buffer=number)
            for number, x in enumerate(inputs)
        }
        for operation in operations:
            self._feature_maps[operation] = self._append(operation)
            self._release_inputs(operation)
        results = [self._in_format(self._feature_maps[x], is_blocked=False) for x in outputs]
        self._allocate(inputs, results)

    def __call__(self, arrays: Sequence[np.ndarray]) -> list[np.ndarray]:
        """Return the outputs for these inputs, as arrays that the caller owns."""
        arrays = [np.ascontiguousarray(x, np.float32) for x in arrays]
        with primitives.execution_lock:
            for x, (shape, memories) in zip(arrays, self._inputs, strict=True):
                if x.shape != shape:
                    raise ValueError(
                        f"an input has shape {x.shape}, and the program was compiled for {shape}"
                    )
                for memory in memories:
                    c_api.set_data(memory, x.ctypes.data)
            self._sequence.execute()
            return [np.array(result) for result in self._results]

    def _append(self, operation):
        """Append the primitive of an operation; return the feature map that it computes."""
        channels = [x.shape[3] for x in (operation, *operation.all_inputs())]
        is_blocked = self._use_blocked and all(count % 16 == 0 for count in channels)
        inputs = [
            self._in_format(self._feature_maps[x], is_blocked) for x in operation.all_inputs()
        ]
        result = self._feature_map(operation.shape, is_blocked)
        added = iter(inputs[len(operation.inputs) :])
        attributes = c_api.attributes(
            *(
                ELTWISE[post_op] if isinstance(post_op, str) else next(added).md
                for post_op in operation.post_ops
            )
        )
        describe, args = PRIMITIVE_DESCS[operation.kind]
        src_mds = [x.md for x in inputs]
        primitive_desc = describe(operation, src_mds, result.md, attributes, is_blocked)
        arguments = [*zip(args, map(self._memory, inputs)), (c_api.ARG_DST, self._memory(result))]
        if operation.kind == "conv":
            weights_md = c_api.query_md(primitive_desc, c_api.QUERY_WEIGHTS_MD)
            bias_md = c_api.plain_md(operation.bias.shape, c_api.VECTOR_AXES)
            arguments += [
                (c_api.ARG_WEIGHTS, self._reordered_kernel(operation.kernel, weights_md)),
                (c_api.ARG_BIAS, self._constant(operation.bias, bias_md)),
            ]
        self._sequence.append(primitive_desc, arguments)
        return result

    def _reordered_kernel(self, kernel, md):
        """Return a memory object with a kernel `[k,l,I,O]` in the format of `md`."""
        kernel = np.ascontiguousarray(kernel, np.float32)
        kernel_md = c_api.plain_md(kernel.shape, c_api.HWIO_AXES)
        result = self._constant(c_api.aligned_bytes(c_api.size_of(md)), md)
        reorder = primitives.PrimitiveSequence()
        reorder.append_reorder(c_api.memory(kernel_md, kernel), kernel_md, result, md)
        with primitives.execution_lock:
            reorder.execute()
        return result

    def _constant(self, array, md):
        """Return a memory object that refers to an array for as long as the program exists."""
        self._kept_arrays.append(np.ascontiguousarray(array))
        return c_api.memory(md, self._kept_arrays[-1])

    def _memory(self, x):
        """Return a memory object of a feature map. `_allocate` sets its data."""
        memory = c_api.memory(x.md)
        self._memories.append((memory, x.buffer))
        return memory

    def _in_format(self, x, is_blocked):
        """Return a feature map in the blocked format or in NHWC; reorder it if necessary.

        With 16 channels both formats are the same.
        """
        if x.is_blocked == is_blocked:
            return x
        if x.reordered is None and x.shape[3] == 16:
            x.reordered = self._feature_map(x.shape, is_blocked, x.buffer)
        elif x.reordered is None:
            x.reordered = self._feature_map(x.shape, is_blocked)
            src, dst = self._memory(x), self._memory(x.reordered)
            self._sequence.append_reorder(src, x.md, dst, x.reordered.md)
        return x.reordered

    def _feature_map(self, shape, is_blocked, buffer=None):
        """Return a new feature map, in the given buffer or in a free one."""
        md = c_api.blocked_md(shape) if is_blocked else c_api.plain_md(shape, c_api.NHWC_AXES)
        if buffer is None:
            buffer = self._plan.take(c_api.size_of(md))
        return _FeatureMap(shape, is_blocked, buffer, md)

    def _release_inputs(self, operation):
        """Release the buffers of inputs that no later operation reads."""
        for read in operation.all_inputs():
            self._unread[read] -= 1
            if not self._unread[read]:
                x = self._feature_maps[read]
                self._plan.release({y.buffer for y in (x, x.reordered) if y is not None})

    def _allocate(self, inputs, results):
        """Allocate the buffers and let all memory objects refer to them."""
        buffers = [c_api.aligned_bytes(size) for size in self._plan.sizes]
        self._kept_arrays += buffers
        for memory, buffer in self._memories:
            c_api.set_data(memory, buffers[buffer].ctypes.data)
        self._results = [
            buffers[x.buffer][: c_api.size_of(x.md)].view(np.float32).reshape(x.shape)
            for x in results
        ]
        # For each input, its shape and the memory objects that refer to the caller's array in a
        # call.
        self._inputs = [
            (x.shape, [memory for memory, buffer in self._memories if buffer == number])
            for number, x in enumerate(inputs)
        ]


def _in_order(outputs):
    """Return all operations that the outputs depend on, each after the operations it reads from."""
    found = {}

    def visit(operation):
        if operation not in found:
            for read in operation.all_inputs():
                visit(read)
            found[operation] = None

    for output in outputs:
        visit(output)
    return list(found)
