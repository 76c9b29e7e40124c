"""How work is spread over devices: `jax.pmap` over all local ones. The only file that knows.

A state is replicated, a batch is split along its first axis, and inside the mapped function `AXIS` names the devices: BatchNorm,
losses and gradients are reduced over it. Host and device 0 see plain arrays; every device holds the same state to the bit.
"""

import collections
import functools

import jax
import numpy as np
from flax import jax_utils

AXIS = "devices"


def devices():
    """The devices that this process maps over, all it has."""
    return jax.local_devices()


def replicate(tree):
    """A copy of `tree` on every device."""
    return jax_utils.replicate(tree, devices(), AXIS)  # under another name the first step would be compiled twice


def unreplicate(tree):
    """The copy of device 0, as numpy arrays."""
    return jax.tree.map(lambda x: np.asarray(x.addressable_data(0))[0], tree)


def shard(batch):
    """`[B, ...]` arrays -> `[devices, B / devices, ...]`; B is divisible (`config.validate_devices`)."""
    count = len(devices())
    return jax.tree.map(lambda x: np.asarray(x).reshape(count, -1, *x.shape[1:]), batch)


def prefetch(batches, ahead=2):
    """The batches, `shard`ed and on their devices; the transfer of the next ones is begun while one is worked on."""
    mesh = jax.sharding.Mesh(np.asarray(devices()), (AXIS,))
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
