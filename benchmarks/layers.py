"""What is written out in `modest/models/layers.py`, each against the library call it replaces.

    python -m benchmarks.layers

Forward and backward together, the two in turn, the median of the paired ratios; above 1 ours is faster. The last line is DepthNet's
training step with and without the flag that `modest/runtime.py` sets, each in a process of its own.
"""

import os
import platform
import statistics
import subprocess
import sys
import time

from modest import runtime

ROUNDS = 9
STEP = """
import sys, time
import jax, jax.numpy as jnp
from modest import losses, models
model = models.build("depthnet")
picture, target = jnp.ones((16, 64, 64, 3)), jnp.ones((16, 64, 64, 1))
variables = model.init(jax.random.key(0, impl="rbg"), picture[:1], picture[:1])
def loss(params):
    outputs, _ = model.apply(variables | {"params": params}, picture, picture, train=True, mutable=["batch_stats"])
    return losses.total(outputs, {"mask": target, "depth": target}, {"mask": {"bce": 1.0}, "depth": {"rmse": 2.0}})[0]
step = jax.jit(jax.grad(loss))
jax.block_until_ready(step(variables["params"]))
times = []
for _ in range(9):
    start = time.perf_counter()
    jax.block_until_ready(step(variables["params"]))
    times.append(time.perf_counter() - start)
print(sorted(times)[4])
"""


def seconds(function, *arguments):
    """How long one call takes, the result waited for."""
    import jax

    start = time.perf_counter()
    jax.block_until_ready(function(*arguments))
    return time.perf_counter() - start


def compare(name, ours, theirs, *arguments):
    """Prints the time of value and gradient of both, and their ratio."""
    import jax

    by_all = tuple(range(len(arguments)))
    gradient = lambda function: jax.jit(jax.value_and_grad(lambda *arguments: (function(*arguments) ** 2).sum(), by_all))
    ours, theirs = gradient(ours), gradient(theirs)
    seconds(ours, *arguments), seconds(theirs, *arguments)
    pairs = [(seconds(ours, *arguments), seconds(theirs, *arguments)) for _ in range(ROUNDS)]
    medians = [1000 * statistics.median(times) for times in zip(*pairs)]
    ratio = statistics.median(b / a for a, b in pairs)
    print(f"{name:44} {medians[0]:9.2f} ms {medians[1]:9.2f} ms {ratio:8.1f}x")


def step_seconds(flags):
    """Seconds of DepthNet's forward and backward pass, batch 16 at 64 px, in a new process with these `XLA_FLAGS`."""
    environment = os.environ | {"XLA_FLAGS": flags}
    return float(subprocess.run([sys.executable, "-c", STEP], env=environment, capture_output=True, text=True, check=True).stdout)


def main():
    """Prints the table."""
    runtime.prepare()
    import flax.linen as nn
    import jax
    import jax.numpy as jnp

    from modest.models import layers

    print(f"{platform.machine()}, {os.cpu_count()} cores, jax {jax.__version__}, {jax.devices()[0].device_kind}")
    print(f"{'':44} {'ours':>12} {'library':>12} {'ratio':>9}")
    x = jax.random.normal(jax.random.key(0), (8, 224, 224, 16))
    compare("max_pool [8,224,224,16]", layers.max_pool, lambda x: nn.max_pool(x, (2, 2), (2, 2)), x)
    x = jax.random.normal(jax.random.key(0), (8, 112, 112, 16))
    compare("upsample [8,112,112,16]", layers.upsample, lambda x: jax.image.resize(x, (8, 224, 224, 16), "bilinear"), x)
    library = lambda x, kernel: jax.lax.conv_general_dilated(x, kernel, (1, 1), "SAME", dimension_numbers=("NHWC", "HWIO", "NHWC"))
    for batch, size, channels in ((16, 2, 512), (4, 128, 16), (4, 64, 32), (4, 32, 64), (4, 16, 128), (4, 8, 256)):
        x = jax.random.normal(jax.random.key(0), (batch, size, size, channels))
        kernel = jax.random.normal(jax.random.key(1), (3, 3, channels, channels))
        compare(f"conv [{batch},{size},{size},{channels}] to {channels}", layers.conv, library, x, kernel)
    if jnp.ones(()).devices().pop().platform == "cpu":
        pairs = [(step_seconds(runtime.CPU_FLAGS), step_seconds("")) for _ in range(3)]
        ours, default = (statistics.median(times) for times in zip(*pairs))
        ratio = statistics.median(b / a for a, b in pairs)
        print(f"{'DepthNet, gradient, batch 16, 64 px, flag':44} {1000 * ours:9.2f} ms {1000 * default:9.2f} ms {ratio:8.1f}x")


if __name__ == "__main__":
    main()
