"""Measure memory and time of a training step by batch size, precision and rematerialisation.

    python -m benchmarks.memory [--model depthnet] [--size 224] [--batches 4,8] [--steps 3]

`residuals` are the values that JAX keeps from the forward pass for the backward pass. `program` is
what XLA allocates for the whole step besides its arguments (`memory_analysis` of the compiled
program). `seconds` is the time of the fastest of a few steps, with state and batch on the device.
"""

import argparse
import functools
import importlib
import os
import platform
import time
from typing import Any, NamedTuple

from ml_collections import ConfigDict

from modest.constants import CHANNELS
from modest.run import runtime


class Measured(NamedTuple):
    """What one step needs on one device."""

    residuals: int  # bytes
    program: int  # bytes
    seconds: float


def measure(config: ConfigDict, batch_size: int, steps: int) -> Measured:
    """Measure the training step of a config.

    Args:
      config: the whole config; the size is that of its first stage.
      batch_size: number of examples.
      steps: number of steps to time; with 0, `seconds` is NaN.
    """
    import jax
    import numpy as np

    from modest.state import train_state

    created = train_state.create(config, 10, 10)
    state_shapes = jax.eval_shape(created.init)
    size = config.stages[0][0]
    shapes = {name: (batch_size, size, size, channels) for name, channels in CHANNELS.items()}
    residuals = _residual_bytes(config, created.model, state_shapes, shapes)

    rng = np.random.default_rng(0)
    batch = {name: rng.integers(0, 256, (1, *shape), np.uint8) for name, shape in shapes.items()}
    batch["valid"] = np.ones((1, batch_size), bool)
    state = jax.tree.map(lambda x: np.zeros((1, *x.shape), x.dtype), state_shapes)
    state, batch = jax.device_put((state, batch))  # so that no step waits for a transfer
    compiled = _compile_step(config, created, state, batch)
    seconds = []
    for _ in range(steps):
        began = time.perf_counter()
        jax.block_until_ready(compiled(state, batch))
        seconds.append(time.perf_counter() - began)
    program = compiled.memory_analysis().temp_size_in_bytes
    return Measured(residuals, program, min(seconds, default=float("nan")))


def _residual_bytes(config, model, state_shapes, batch_shapes):
    """Return the bytes that the backward pass needs from the forward pass, besides parameters."""
    import jax
    import numpy as np

    from modest import losses
    from modest.run import devices
    from modest.state import train_state

    weights = config.loss.to_dict()

    def residuals(params, state, batch):
        def loss(params):
            outputs, _ = train_state.forward(
                model, state, params, batch, True, config.precision, config.rematerialise
            )
            return losses.total(outputs, batch, weights)[0]

        return jax.vjp(loss, params)[1]

    # BatchNorm reduces over the mapped axis, so there must be one.
    on_one_device = functools.partial(jax.vmap, axis_name=devices.AXIS, axis_size=1, in_axes=None)
    batch = {name: jax.ShapeDtypeStruct(x, np.float32) for name, x in batch_shapes.items()}
    shapes = jax.eval_shape(on_one_device(residuals), state_shapes.params, state_shapes, batch)
    return _bytes_of(shapes) - _bytes_of(state_shapes.params)


def _bytes_of(tree):
    import jax

    return sum(x.size * x.dtype.itemsize for x in jax.tree.leaves(tree))


def _compile_step(config: ConfigDict, created: Any, state: Any, batch: Any) -> Any:
    import jax

    from modest.run import devices
    from modest.training.step import StepOptions, train_step

    step = functools.partial(train_step, StepOptions.from_config(config, created))
    return jax.pmap(step, devices.AXIS, devices=jax.devices()[:1]).lower(state, batch).compile()


def main() -> None:
    """Print the table; see the module."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.memory", description=__doc__.partition("\n")[0]
    )
    parser.add_argument(
        "--model", default="depthnet", choices=("masknet", "depthnet", "pairnet", "unet")
    )
    parser.add_argument("--size", type=int, default=224, help="px")
    parser.add_argument("--batches", default="4,8")
    parser.add_argument("--steps", type=int, default=3, help="steps to time")
    arguments = parser.parse_args()
    runtime.prepare()
    import jax

    config = importlib.import_module(f"configs.{arguments.model}").get_config()
    config.stages = ((arguments.size, 1),)
    machine = f"{platform.machine()}, {os.cpu_count()} cores"
    print(f"{machine}, jax {jax.__version__}, {jax.devices()[0].device_kind}")
    print(
        f"{arguments.model}, {arguments.size} px; shares are relative to the first line per batch"
    )
    columns = "residuals, MiB  share  program, MiB  share  seconds  share"
    print(f"batch  precision  rematerialise  {columns}")
    for batch_size in map(int, arguments.batches.split(",")):
        first = None
        for config.precision in ("float32", "bfloat16"):
            for config.rematerialise in (False, True):
                measured = measure(config, batch_size, arguments.steps)
                first = first or measured
                shares = [now / before for now, before in zip(measured, first)]
                print(
                    f"{batch_size:5}  {config.precision:9}  {str(config.rematerialise):13}  "
                    f"{measured.residuals / 2**20:14.0f} {shares[0]:6.2f} "
                    f"{measured.program / 2**20:13.0f} {shares[1]:6.2f} "
                    f"{measured.seconds:8.2f} {shares[2]:6.2f}",
                    flush=True,
                )


if __name__ == "__main__":
    main()
