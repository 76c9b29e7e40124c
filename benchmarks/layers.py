"""Compare the operations of `modest/kernels` with the JAX functions that they replace.

    python -m benchmarks.layers [--rounds 9]

Both run in turn. The ratio is the median of the paired ratios; above 1, modest is faster.
"gradient" is the forward and the backward pass together.

Two more comparisons follow. Evaluation and prediction with DepthNet are compared with DepthNet by
XLA's own convolutions. On CPU, the time of DepthNet's gradient with all flags that
`modest/run/runtime.py` sets is compared with the time without one of them, for each flag, in
processes of their own.
"""

import argparse
import importlib.metadata
import os
import platform
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from typing import Any
from unittest import mock

from modest.backend import xla_flags
from modest.run import runtime

TRAINING = (  # batch, px, channels
    (16, 2, 512),
    (4, 128, 16),
    (4, 64, 32),
    (4, 32, 64),
    (4, 16, 128),
    (4, 8, 256),
    (8, 224, 16),
)
INFERENCE = (  # batch, px, input channels, output channels
    (1, 224, 3, 16),
    (1, 224, 16, 16),
    (1, 112, 32, 32),
    (1, 56, 64, 64),
    (8, 56, 64, 64),
    (8, 28, 128, 128),
)
STEP_ROUNDS = 9  # how often `print_step_seconds` computes the gradient
STEP_PAIRS = 3  # for each flag, number of processes with it, and of processes without it


def seconds_of(function: Callable[..., Any], *arguments: Any) -> float:
    """Return the seconds of one call, including the wait for its result."""
    import jax

    began = time.perf_counter()
    jax.block_until_ready(function(*arguments))
    return time.perf_counter() - began


def compare(
    name: str,
    ours: Callable[..., Any],
    reference: Callable[..., Any],
    arguments: tuple[Any, ...],
    rounds: int,
) -> None:
    """Time both functions in turn, after one call of each, and print a line."""
    seconds_of(ours, *arguments)
    seconds_of(reference, *arguments)
    pairs = [
        (seconds_of(ours, *arguments), seconds_of(reference, *arguments)) for _ in range(rounds)
    ]
    print_line(name, 44, pairs)


def print_line(name: str, width: int, pairs: list[tuple[float, float]]) -> None:
    """Print the medians of paired seconds, and the median of their ratios."""
    ours, reference = (1000 * statistics.median(times) for times in zip(*pairs))
    ratio = statistics.median(b / a for a, b in pairs)
    print(f"{name:{width}} {ours:9.2f} ms {reference:9.2f} ms {ratio:8.2f}x", flush=True)


def random_array(*shape: int) -> Any:
    """Return a float32 array of normal numbers."""
    import jax

    return jax.random.normal(jax.random.key(0), shape)


def gradient(function: Callable[..., Any]) -> Callable[..., Any]:
    """Return the compiled value and gradient of the sum of squares of a function's result."""
    import jax

    def value(*arguments):
        return (function(*arguments) ** 2).sum()

    def value_and_gradient(*arguments):
        return jax.value_and_grad(value, tuple(range(len(arguments))))(*arguments)

    return jax.jit(value_and_gradient)


def compare_operations(rounds: int) -> None:
    """Compare pooling, resizing and convolution."""
    import flax.linen as nn
    import jax

    from modest import kernels

    def max_pool(x):
        return nn.max_pool(x, (2, 2), (2, 2))

    def resize(x):
        return jax.image.resize(x, (8, 224, 224, 16), "bilinear")

    def conv(x, kernel):
        layout = ("NHWC", "HWIO", "NHWC")
        return jax.lax.conv_general_dilated(x, kernel, (1, 1), "SAME", dimension_numbers=layout)

    for name, ours, reference, x in (
        ("max_pool [8,224,224,16]", kernels.max_pool, max_pool, random_array(8, 224, 224, 16)),
        ("upsample [8,112,112,16]", kernels.upsample, resize, random_array(8, 112, 112, 16)),
    ):
        compare(f"{name}, gradient", gradient(ours), gradient(reference), (x,), rounds)
    for batch, size, channels in TRAINING:
        arrays = random_array(batch, size, size, channels), random_array(3, 3, channels, channels)
        name = f"conv [{batch},{size},{size},{channels}] to {channels}, gradient"
        compare(name, gradient(kernels.conv), gradient(conv), arrays, rounds)
    for batch, size, inputs, outputs in INFERENCE:
        arrays = random_array(batch, size, size, inputs), random_array(3, 3, inputs, outputs)
        name = f"conv [{batch},{size},{size},{inputs}] to {outputs}"
        compare(name, jax.jit(kernels.conv), jax.jit(conv), arrays, rounds)


def compare_inference(rounds: int) -> None:
    """Compare DepthNet in evaluation and in prediction with XLA's own convolutions."""
    import jax

    from modest import kernels, models
    from modest.kernels import selection
    from modest.models.initialise import initialise

    model = models.build("depthnet")
    variables = models.fold(model, initialise(model, seed=0, size=32))

    def apply(*pictures):
        return model.apply(variables, *pictures)

    def apply_by_xla(*pictures):
        return model.apply(variables, *pictures)

    for batch in (1, 8):
        evaluation, reference = jax.jit(apply), jax.jit(apply_by_xla)
        prediction = kernels.compile(model.apply, variables)
        x = random_array(batch, 224, 224, 3)
        # The choice is made when the reference is traced, so it is traced here.
        with mock.patch.object(selection, "uses_onednn_within_xla", lambda: False):
            jax.block_until_ready(reference(x, x))
        case = f"batch {batch}, 224 px"
        compare(f"DepthNet, evaluation, {case}", evaluation, reference, (x, x), rounds)
        compare(f"DepthNet, prediction, {case}", prediction, reference, (x, x), rounds)


def compare_flags() -> None:
    """Compare the gradient of DepthNet with all flags and without each of them."""
    flags = xla_flags.flags(importlib.metadata.version("jaxlib"), on_gpu=False)
    for flag in flags:
        without = [other for other in flags if other != flag]
        pairs = [(step_seconds(flags), step_seconds(without)) for _ in range(STEP_PAIRS)]
        print_line(f"DepthNet, gradient, batch 16, 64 px, {flag:40}", 0, pairs)


def step_seconds(flags: Any) -> float:
    """Return what `print_step_seconds` prints in a new process with these `XLA_FLAGS`."""
    code = "from benchmarks import layers; layers.print_step_seconds()"
    environment = os.environ | {"XLA_FLAGS": " ".join(flags)}
    done = subprocess.run(
        [sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=True
    )
    return float(done.stdout)


def print_step_seconds() -> None:
    """Print the median seconds of DepthNet's gradient, with batch 16 at 64 px.

    Does not call `runtime.prepare`, which would add the flags that are left out.
    """
    import jax
    import jax.numpy as jnp

    from modest import losses, models
    from modest.models.initialise import initialise

    model = models.build("depthnet")
    picture, target = jnp.ones((16, 64, 64, 3)), jnp.ones((16, 64, 64, 1))
    variables = initialise(model, seed=0, size=64)
    targets = {"mask": target, "depth": target}
    weights = {"mask": {"bce": 1.0}, "depth": {"rmse": 2.0}}

    def loss(params):
        variables_now = variables | {"params": params}
        outputs, _ = model.apply(
            variables_now, picture, picture, train=True, mutable=["batch_stats"]
        )
        return losses.total(outputs, targets, weights)[0]

    step = jax.jit(jax.grad(loss))
    seconds_of(step, variables["params"])
    times = [seconds_of(step, variables["params"]) for _ in range(STEP_ROUNDS)]
    print(sorted(times)[STEP_ROUNDS // 2])


def main() -> None:
    """Print the table; see the module."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.layers", description=__doc__.partition("\n")[0]
    )
    parser.add_argument("--rounds", type=int, default=9)
    rounds = parser.parse_args().rounds
    runtime.prepare()
    import jax

    device = jax.devices()[0]
    machine = f"{platform.machine()}, {os.cpu_count()} cores"
    print(f"{machine}, jax {jax.__version__}, {device.device_kind}")
    print(f"{'':44} {'modest':>12} {'reference':>12} {'ratio':>9}")
    compare_operations(rounds)
    compare_inference(rounds)
    if device.platform == "cpu":
        compare_flags()


if __name__ == "__main__":
    main()
