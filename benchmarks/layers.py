"""What is written out in `modest/models/layers.py` and `convolution.py`, each against the library call it replaces.

    python -m benchmarks.layers

The two in turn, the median of the paired ratios; above 1 ours is faster. "gradient" is forward and backward together. Then
DepthNet's inference, as evaluation and as prediction does it, against XLA with its own convolutions, and last its gradient with all
the flags that `modest/runtime.py` sets against each missing, each in a process of its own.
"""

import os
import platform
import statistics
import subprocess
import sys
import time

from modest import runtime

ROUNDS = 9
TRAINING = ((16, 2, 512), (4, 128, 16), (4, 64, 32), (4, 32, 64), (4, 16, 128), (4, 8, 256), (8, 224, 16))  # batch, px, channels
INFERENCE = ((1, 224, 3, 16), (1, 224, 16, 16), (1, 112, 32, 32), (1, 56, 64, 64), (8, 56, 64, 64), (8, 28, 128, 128))
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
    """Prints the time of both, and their ratio."""
    seconds(ours, *arguments), seconds(theirs, *arguments)
    pairs = [(seconds(ours, *arguments), seconds(theirs, *arguments)) for _ in range(ROUNDS)]
    medians = [1000 * statistics.median(times) for times in zip(*pairs)]
    ratio = statistics.median(b / a for a, b in pairs)
    print(f"{name:44} {medians[0]:9.2f} ms {medians[1]:9.2f} ms {ratio:8.2f}x", flush=True)


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

    from modest import models
    from modest.models import convolution, layers, program

    print(f"{platform.machine()}, {os.cpu_count()} cores, jax {jax.__version__}, {jax.devices()[0].device_kind}")
    print(f"{'':44} {'ours':>12} {'library':>12} {'ratio':>9}")
    normal = lambda *shape: jax.random.normal(jax.random.key(0), shape)

    def gradient(function):
        value = lambda *arguments: (function(*arguments) ** 2).sum()
        return jax.jit(lambda *arguments: jax.value_and_grad(value, tuple(range(len(arguments))))(*arguments))

    pool, resize = (lambda x: nn.max_pool(x, (2, 2), (2, 2))), (lambda x: jax.image.resize(x, (8, 224, 224, 16), "bilinear"))
    compare("max_pool [8,224,224,16], gradient", gradient(layers.max_pool), gradient(pool), normal(8, 224, 224, 16))
    compare("upsample [8,112,112,16], gradient", gradient(layers.upsample), gradient(resize), normal(8, 112, 112, 16))
    library = lambda x, kernel: jax.lax.conv_general_dilated(x, kernel, (1, 1), "SAME", dimension_numbers=("NHWC", "HWIO", "NHWC"))
    for batch, size, channels in TRAINING:
        x, kernel = normal(batch, size, size, channels), normal(3, 3, channels, channels)
        name = f"conv [{batch},{size},{size},{channels}] to {channels}, gradient"
        compare(name, gradient(layers.conv), gradient(library), x, kernel)
    for batch, size, inputs, outputs in INFERENCE:
        x, kernel = normal(batch, size, size, inputs), normal(3, 3, inputs, outputs)
        compare(f"conv [{batch},{size},{size},{inputs}] to {outputs}", jax.jit(layers.conv), jax.jit(library), x, kernel)
    model = models.build("depthnet")
    variables = models.fold(model, jax.jit(model.init)(jax.random.key(0), normal(1, 32, 32, 3), normal(1, 32, 32, 3)))
    for batch in (1, 8):
        ours, theirs = (jax.jit(lambda *pictures: model.apply(variables, *pictures)) for _ in range(2))
        x = normal(batch, 224, 224, 3)
        with convolution.by_library():
            jax.block_until_ready(theirs(x, x))
        compare(f"DepthNet, evaluation, batch {batch}, 224 px", ours, theirs, x, x)
        compare(f"DepthNet, prediction, batch {batch}, 224 px", program.compiled(model.apply, variables), theirs, x, x)
    if jnp.ones(()).devices().pop().platform == "cpu":
        for flag in runtime.CPU_FLAGS:
            without = [other for other in runtime.CPU_FLAGS if other != flag]
            pairs = [(step_seconds(" ".join(runtime.CPU_FLAGS)), step_seconds(" ".join(without))) for _ in range(3)]
            ours, default = (1000 * statistics.median(times) for times in zip(*pairs))
            ratio = statistics.median(b / a for a, b in pairs)
            print(f"DepthNet, gradient, batch 16, 64 px, {flag:40} {ours:9.2f} ms {default:9.2f} ms {ratio:8.2f}x")


if __name__ == "__main__":
    main()
