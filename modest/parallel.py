"""How work is spread over devices: `jax.pmap` over all of them, of one process or of several. The only file that knows.

A state is replicated, a batch is split along its first axis, and inside the mapped function `AXIS` names the devices: BatchNorm,
losses and gradients are reduced over it. Host and device 0 see plain arrays; every device holds the same state to the bit.

Several processes run the same program over the same batches. Each reads its own rows of a batch; the first one writes the files.
"""

import collections
import contextlib
import functools

import jax
import numpy as np
from flax import jax_utils
from jax._src import distributed
from jax.experimental import multihost_utils

AXIS = "devices"


def devices():
    """The devices that are mapped over: all, of all processes."""
    return jax.devices()


def local_devices():
    """Those of them that are this process's."""
    return [device for device in devices() if device.process_index == jax.process_index()]


def is_main():
    """Whether this is the process that writes files and talks; of several, the first."""
    return jax.process_index() == 0


def processes():
    """How many processes take part in the run."""
    return jax.process_count()


def is_shared():
    """Whether other processes take part in it."""
    return processes() > 1


def largest(number):
    """The largest of what the processes give; each must call it at the same step."""
    return int(multihost_utils.process_allgather(np.int32(number)).max())


def rows(batch_size):
    """Which rows of a global batch are this process's, a slice."""
    share = batch_size // jax.process_count()
    return slice(jax.process_index() * share, (jax.process_index() + 1) * share)


@contextlib.contextmanager
def main_first(name):
    """The block is run by the main process, and after that, however long it takes, by the others."""
    # Not `sync_global_devices`: that is a reduction, which gives up on a process that is not there within half a minute.
    wait = lambda: distributed.global_state.client.wait_at_barrier(name, timeout_in_ms=7 * 24 * 3600 * 1000)
    if not is_main():
        wait()
    yield
    if is_main() and is_shared():
        wait()


def replicate(tree):
    """A copy of `tree` on every device of this process."""
    return jax_utils.replicate(tree, local_devices(), AXIS)  # under another name the first step would be compiled twice


def unreplicate(tree):
    """The copy of device 0, as numpy arrays."""
    return jax.tree.map(lambda x: np.asarray(x.addressable_data(0))[0], tree)


def shard(batch):
    """This process's rows `[B, ...]` -> `[devices, B / devices, ...]`; B is divisible (`config.validate_devices`)."""
    count = len(local_devices())
    return jax.tree.map(lambda x: np.asarray(x).reshape(count, -1, *x.shape[1:]), batch)


def prefetch(batches, ahead=2):
    """The batches, `shard`ed and on their devices; the transfer of the next ones is begun while one is worked on."""
    mesh = jax.sharding.Mesh(np.asarray(local_devices()), (AXIS,))
    sharding = jax.sharding.NamedSharding(mesh, jax.sharding.PartitionSpec(AXIS))
    queue = collections.deque()
    for batch in batches:
        queue.append(jax.device_put(shard(batch), sharding))  # returns before the transfer is done
        if len(queue) > ahead:
            yield queue.popleft()
    yield from queue


def unshard(tree):
    """`[devices, n, ...]` -> `[devices * n, ...]` numpy arrays."""
    return jax.tree.map(lambda x: np.asarray(x).reshape(-1, *x.shape[2:]), tree)


def parallel(function, donate_state=False):
    """`function(state, *others)` mapped over the devices; `donate_state` lets the new state take the old one's memory.

    Waits for each result on a CPU: with several virtual devices, steps queued behind each other can deadlock in a reduction.
    """
    mapped = jax.pmap(function, AXIS, devices=devices(), donate_argnums=(0,) if donate_state else ())
    if jax.default_backend() != "cpu":
        return mapped

    @functools.wraps(function)
    def mapped_and_waited(*arguments):
        return jax.block_until_ready(mapped(*arguments))

    return mapped_and_waited


def mean(tree):
    """Inside a mapped function: the mean over devices."""
    return jax.lax.pmean(tree, AXIS)


def total(tree):
    """Inside a mapped function: the sum over devices."""
    return jax.lax.psum(tree, AXIS)


def first_index(local_batch):
    """Inside a mapped function: the place in the global batch of this device's first example."""
    return jax.lax.axis_index(AXIS) * local_batch
