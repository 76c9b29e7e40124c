"""How work is spread: `jax.pmap` over all devices, of one process or of several.

No other module calls pmap. A state is replicated; a batch is split along its first axis. Inside a
mapped function, `AXIS` is the name of the mapped axis. BatchNorm, losses and gradients are reduced
over it, so that N devices compute the same as one. On the host, arrays have no device axis.

In a distributed run every process executes the same program over the same batches. Each process
reads its own rows of a batch; the main process (number 0) writes the files.
"""

import collections
import contextlib
import functools
import threading
from collections.abc import Callable, Iterable, Iterator
from typing import Any

import jax
import numpy as np
from jax.experimental import multihost_utils

AXIS = "devices"
POLL_SECONDS = 2.0  # how often `main_first` reports; collectives on CPU time out after 30 s


def all_devices() -> list[jax.Device]:
    """Return the devices that are mapped over, of all processes."""
    return jax.devices()


def local_devices() -> list[jax.Device]:
    """Return the devices of this process."""
    return [device for device in all_devices() if device.process_index == jax.process_index()]


def is_main() -> bool:
    """Return whether this process writes the files: the only process, or number 0 of several."""
    return jax.process_index() == 0


def process_count() -> int:
    """Return the number of processes of the run."""
    return jax.process_count()


def is_distributed() -> bool:
    """Return whether the run has several processes."""
    return process_count() > 1


def max_over_processes(number: int) -> int:
    """Return the largest `number` of all processes. All must call it at the same point."""
    return int(multihost_utils.process_allgather(np.int32(number)).max())


def process_rows(batch_size: int) -> slice:
    """Return the rows of a global batch that this process reads."""
    share = batch_size // process_count()
    return slice(jax.process_index() * share, (jax.process_index() + 1) * share)


@contextlib.contextmanager
def main_first() -> Iterator[None]:
    """Run the block in the main process first, and then, however long it takes, in the others.

    The block must not use JAX. In a thread, the main process tells the others every few seconds
    that it still works, because a collective fails if it waits longer than 30 s for a process.
    """
    if not is_distributed():
        yield
        return
    if not is_main():
        while not max_over_processes(0):
            pass
        yield
        return
    finished = threading.Event()

    def report() -> None:
        while not max_over_processes(int(finished.wait(POLL_SECONDS))):
            pass

    thread = threading.Thread(target=report)
    thread.start()
    try:
        yield
    finally:
        finished.set()
        thread.join()


def replicate(tree: Any) -> Any:
    """Return a copy of a pytree on every device of this process: `[...]` -> `[devices, ...]`."""
    # On the host, because on a device JAX would compile a program for each shape.
    count = len(local_devices())
    copies = jax.tree.map(lambda x: np.broadcast_to(x, (count, *np.shape(x))), tree)
    return jax.device_put(copies, _over_local_devices())


def unreplicate(tree: Any) -> Any:
    """Return the copy of device 0 as NumPy arrays: `[devices, ...]` -> `[...]`."""
    return jax.tree.map(lambda x: np.asarray(x.addressable_data(0))[0], tree)


def shard(batch: Any) -> Any:
    """Split this process's rows over its devices: `[B, ...]` -> `[devices, B / devices, ...]`.

    B must be divisible by the number of devices; see `validation.validate_devices`.
    """
    count = len(local_devices())
    return jax.tree.map(lambda x: np.asarray(x).reshape(count, -1, *x.shape[1:]), batch)


def unshard(tree: Any) -> Any:
    """Undo `shard`: `[devices, n, ...]` -> `[devices * n, ...]`, NumPy arrays."""
    return jax.tree.map(lambda x: np.asarray(x).reshape(-1, *x.shape[2:]), tree)


def prefetch(batches: Iterable[Any], ahead: int = 2) -> Iterator[Any]:
    """Yield the batches sharded and on their devices, with `ahead` transfers in flight."""
    sharding = _over_local_devices()
    queue: collections.deque[Any] = collections.deque()
    for batch in batches:
        queue.append(jax.device_put(shard(batch), sharding))  # asynchronous
        if len(queue) > ahead:
            yield queue.popleft()
    yield from queue


def _over_local_devices():
    """Return the sharding of `[devices, ...]`."""
    # With another axis name than `pmap`'s, the first step would be compiled twice.
    mesh = jax.sharding.Mesh(np.asarray(local_devices()), (AXIS,))
    return jax.sharding.NamedSharding(mesh, jax.sharding.PartitionSpec(AXIS))


def pmap(function: Callable[..., Any], donate_state: bool = False) -> Callable[..., Any]:
    """Map `function(state, *others)` over all devices.

    Args:
      function: pure; may reduce over `AXIS`.
      donate_state: let the new state reuse the memory of the old one.

    Returns:
      The compiled function. On CPU it waits for each result: with several virtual devices, steps
      that are queued behind each other can deadlock in a collective.
    """
    donated = (0,) if donate_state else ()
    mapped = jax.pmap(function, AXIS, devices=all_devices(), donate_argnums=donated)
    if jax.default_backend() != "cpu":
        return mapped

    @functools.wraps(function)
    def mapped_and_waited(*arguments: Any) -> Any:
        return jax.block_until_ready(mapped(*arguments))

    return mapped_and_waited


def mean(tree: Any) -> Any:
    """Return the mean over devices. Call it only inside a mapped function."""
    return jax.lax.pmean(tree, AXIS)


def total(tree: Any) -> Any:
    """Return the sum over devices. Call it only inside a mapped function."""
    return jax.lax.psum(tree, AXIS)


def gather(tree: Any) -> Any:
    """Return the rows of all devices in the order of the batch: `[n, ...]` -> `[devices * n, ...]`.

    Call it only inside a mapped function.
    """
    return jax.tree.map(lambda x: jax.lax.all_gather(x, AXIS, tiled=True), tree)


def first_index(local_batch: int) -> jax.Array:
    """Return the position in the global batch of this device's first example.

    Call it only inside a mapped function. `local_batch` is the number of examples per device.
    """
    return jax.lax.axis_index(AXIS) * local_batch
