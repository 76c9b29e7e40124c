"""A network's prediction on a CPU as a list of oneDNN's primitives, which run one after the other without XLA.

`compile` traces a function as JAX does, makes operations of the trace (`operations.py`), and gives every map a layout and a place
in memory. What this gains: 3x3 convolutions by Winograd's way, their kernels put in order once, maps that lie as oneDNN likes them
from one layer to the next, one set of threads for all of it, and no compilation of the network by XLA.
"""

import collections
import dataclasses
import functools
from ctypes import c_void_p

import jax
import numpy as np

from modest.models import convolution, libdnnl
from modest.models.operations import NotTranslated, Operation, translate

AFTER = {"relu": libdnnl.RELU, "sigmoid": libdnnl.LOGISTIC}


def compiled(function, variables):
    """`function(variables, *maps)` as a function of the maps, for which there is a program for each of their shapes.

    Where there can be none (another device, no library, other types, an operation that is not known), XLA does it.
    """
    by_xla = jax.jit(function)

    @functools.cache
    def of(*shapes):
        try:
            return compile(functools.partial(function, variables), *(jax.ShapeDtypeStruct(*x) for x in shapes))
        except NotTranslated:
            return functools.partial(by_xla, variables)

    return lambda *maps: of(*((x.shape, x.dtype) for x in maps))(*maps)


def compile(function, *arguments):
    """A function that computes what `function` computes of maps `[B,H,W,C]`, float32, of the shapes of `arguments`.

    It takes and gives numpy arrays, in the structure that `function` gives. What `function` closes over is taken as it is now.
    Threads that call it wait for each other.

    Raises:
      NotTranslated: see there. `function` may be made of the layers in prediction, `+`, ReLU, the sigmoid, and channels joined.
    """
    if jax.default_backend() != "cpu" or libdnnl.library() is None:
        raise NotTranslated("oneDNN's library serves a CPU, and must be installed")
    if any(x.dtype != np.float32 or x.ndim != 4 or not x.size for x in arguments):
        raise NotTranslated("float32 [B,H,W,C] only")
    with convolution.kept_whole():
        traced, shapes = jax.make_jaxpr(function, return_shape=True)(*arguments)
    inputs = [Operation("input", (), x.shape) for x in arguments]
    outputs = translate(traced.jaxpr, traced.consts, inputs)
    if any(not isinstance(x, Operation) or x.kind == "input" for x in outputs):
        raise NotTranslated("there is nothing to do")
    program = _Program(inputs, outputs)
    return lambda *arrays: jax.tree.unflatten(jax.tree.structure(shapes), program(arrays))


@dataclasses.dataclass
class _Map:
    """Where a result is: how it lies (see `libdnnl.blocked_layout`), and in which buffer, the first of which are the inputs."""

    shape: tuple
    blocked: bool
    buffer: int
    layout: c_void_p
    twin: "_Map | None" = None  # the same in the other layout


class _Program:
    """Primitives, the kernels that they need, and the buffers that their maps take in turn."""

    def __init__(self, inputs, outputs):
        operations = [x for x in _reachable(outputs) if x.kind != "input"]
        if any(x.kind not in DESCRIBE for x in operations):
            raise NotTranslated("every second pixel, other than for a 1x1 convolution")
        of_3x3 = [x.kernel.shape[3] for x in operations if x.kind == "conv" and x.kernel.shape[:2] == (3, 3)]
        self._blocked = libdnnl.has_winograd() and all(channels % 16 == 0 for channels in of_3x3)
        self._readers = collections.Counter(x for operation in operations for x in operation.reads())
        self._readers.update([*inputs, *outputs])  # these are not given back
        self._steps, self._memories, self._kept = libdnnl.Steps(), [], []
        self._sizes, self._free = [0] * len(inputs), []
        self._maps = {x: self._map(x.shape, blocked=False, buffer=number) for number, x in enumerate(inputs)}
        for operation in operations:
            self._maps[operation] = self._emit(operation)
            self._release(operation)
        results = [self._as(self._maps[x], blocked=False) for x in outputs]

        buffers = [libdnnl.aligned(size) for size in self._sizes]
        self._kept += buffers
        for memory, buffer in self._memories:
            libdnnl.point(memory, buffers[buffer].ctypes.data)
        self._results = [buffers[x.buffer][: libdnnl.bytes_of(x.layout)].view(np.float32).reshape(x.shape) for x in results]
        self._inputs = [(x.shape, [memory for memory, buffer in self._memories if buffer == i]) for i, x in enumerate(inputs)]

    def __call__(self, arrays):
        arrays = [np.ascontiguousarray(x, np.float32) for x in arrays]
        with libdnnl.lock:
            for x, (shape, memories) in zip(arrays, self._inputs, strict=True):
                if x.shape != shape:
                    raise ValueError(f"a map is {x.shape}, and the program was made for {shape}")
                for memory in memories:
                    libdnnl.point(memory, x.ctypes.data)
            self._steps.run()
            return [np.array(result) for result in self._results]

    def _emit(self, operation):
        """The primitive of an operation, and where its result is."""
        channels = [x.shape[3] for x in (operation, *operation.reads())]
        blocked = self._blocked and all(count % 16 == 0 for count in channels)
        sources, y = [self._as(self._maps[x], blocked) for x in operation.reads()], self._map(operation.shape, blocked)
        added = iter(sources[len(operation.sources) :])
        after = libdnnl.attributes(*(AFTER[what] if isinstance(what, str) else next(added).layout for what in operation.then))
        describe, places = DESCRIBE[operation.kind]
        descriptor = describe(operation, [x.layout for x in sources], y.layout, after, blocked)
        arguments = [*zip(places, map(self._memory, sources)), (libdnnl.DESTINATION, self._memory(y))]
        if operation.kind == "conv":
            kernel = self._kernel(operation.kernel, libdnnl.chosen(descriptor, libdnnl.OF_KERNEL))
            bias = self._keep(operation.bias, libdnnl.layout(operation.bias.shape, libdnnl.VECTOR))
            arguments += (libdnnl.KERNEL, kernel), (libdnnl.BIAS, bias)
        self._steps.add(descriptor, *arguments)
        return y

    def _kernel(self, kernel, layout):
        """A memory of a kernel `[k,l,I,O]` in the layout that a convolution wants."""
        kernel, plain = np.ascontiguousarray(kernel, np.float32), libdnnl.layout(kernel.shape, libdnnl.HWIO)
        result, reorder = self._keep(libdnnl.aligned(libdnnl.bytes_of(layout)), layout), libdnnl.Steps()
        reorder.add_reorder(libdnnl.memory(plain, kernel), plain, result, layout)
        with libdnnl.lock:
            reorder.run()
        return result

    def _keep(self, array, layout):
        """A memory of numbers that stay."""
        self._kept.append(np.ascontiguousarray(array))
        return libdnnl.memory(layout, self._kept[-1])

    def _memory(self, x):
        """A memory of a map, whose place is known when all are."""
        self._memories.append((libdnnl.memory(x.layout), x.buffer))
        return self._memories[-1][0]

    def _as(self, x, blocked):
        """A map in a layout; with 16 channels both are the same."""
        if x.blocked == blocked:
            return x
        if x.twin is None and x.shape[3] == 16:
            x.twin = self._map(x.shape, blocked, x.buffer)
        elif x.twin is None:
            x.twin = self._map(x.shape, blocked)
            self._steps.add_reorder(self._memory(x), x.layout, self._memory(x.twin), x.twin.layout)
        return x.twin

    def _map(self, shape, blocked, buffer=None):
        """A new map, in a buffer that is free or in that given."""
        layout = libdnnl.blocked_layout(shape) if blocked else libdnnl.layout(shape, libdnnl.NHWC)
        return _Map(shape, blocked, self._take(libdnnl.bytes_of(layout)) if buffer is None else buffer, layout)

    def _take(self, size):
        """A free buffer: the smallest that is large enough, or else the largest, which grows, or a new one."""
        if not self._free:
            self._sizes.append(size)
            return len(self._sizes) - 1
        enough = [buffer for buffer in self._free if self._sizes[buffer] >= size]
        size_of = self._sizes.__getitem__
        buffer = min(enough, key=size_of) if enough else max(self._free, key=size_of)
        self._free.remove(buffer)
        self._sizes[buffer] = max(size, self._sizes[buffer])
        return buffer

    def _release(self, operation):
        """Gives back what an operation was the last to read."""
        for read in operation.reads():
            self._readers[read] -= 1
            if not self._readers[read]:
                x = self._maps[read]
                self._free += {place.buffer for place in (x, x.twin) if place is not None}


def _reachable(outputs):
    """All operations that outputs depend on, each after those that it reads."""
    found = {}

    def visit(operation):
        if operation not in found:
            for read in operation.reads():
                visit(read)
            found[operation] = None

    for output in outputs:
        visit(output)
    return list(found)


# The primitive of an operation, from the layouts of what it reads and of its result.


def _conv(operation, sources, y, after, blocked):
    height, width, inputs, outputs = operation.kernel.shape
    any_kernel, bias = libdnnl.any_layout(outputs, inputs, height, width), libdnnl.layout((outputs,), libdnnl.VECTOR)
    layouts, rest = (sources[0], any_kernel, y), ((height, width), operation.strides, bias, after)
    winograd = blocked and libdnnl.suits_winograd(operation.shape, operation.kernel.shape)
    descriptor = winograd and libdnnl.convolution(libdnnl.WINOGRAD, libdnnl.INFERENCE, *layouts, *rest)
    descriptor = descriptor or libdnnl.convolution(libdnnl.DIRECT, libdnnl.INFERENCE, *layouts, *rest)
    if not descriptor:
        raise NotTranslated(f"no convolution of {operation.kernel.shape}")
    return descriptor


def _max_pool(operation, sources, y, after, blocked):
    twos, zeros = libdnnl.Sizes(2, 2), libdnnl.Sizes(0, 0)
    window = twos, twos, zeros, zeros, zeros  # strides, size, dilation, padding
    arguments = libdnnl.engine(), libdnnl.INFERENCE, libdnnl.MAXIMUM, *sources, y, *window, after
    return libdnnl.create("pooling_forward_primitive_desc", *arguments)


def _upsample(operation, sources, y, after, blocked):
    factors = None  # by the sizes
    arguments = libdnnl.engine(), libdnnl.INFERENCE, libdnnl.LINEAR, factors, *sources, y, after
    return libdnnl.create("resampling_forward_primitive_desc", *arguments)


def _add(operation, sources, y, after, blocked):
    return libdnnl.create("binary_primitive_desc", libdnnl.engine(), libdnnl.ADD, *sources, y, after)


def _concatenate(operation, sources, y, after, blocked):
    channels, layouts = 1, (c_void_p * len(sources))(*sources)
    return libdnnl.create("concat_primitive_desc", libdnnl.engine(), y, len(sources), channels, layouts, after)


DESCRIBE = {  # and the places of what is read
    "conv": (_conv, (libdnnl.SOURCE, libdnnl.SECOND_OF_POST_OPERATION)),
    "max_pool": (_max_pool, (libdnnl.SOURCE,)),
    "upsample": (_upsample, (libdnnl.SOURCE,)),
    "add": (_add, (libdnnl.SOURCE, libdnnl.SECOND_SOURCE)),
    "concatenate": (_concatenate, range(libdnnl.MANY_SOURCES, libdnnl.MANY_SOURCES + 16)),
}
