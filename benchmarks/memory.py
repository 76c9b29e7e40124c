"""What a training step needs, by the settings that change it: batch, precision, rematerialisation.

    python -m benchmarks.memory [--model depthnet] [--size 224] [--batches 4,8] [--steps 3]

`kept` is what JAX keeps of the forward pass for the backward pass, `program` what XLA sets aside for the whole step beside its
arguments (`memory_analysis` of the compiled program), seconds the least of a few steps.
"""

import argparse
import functools
import os
import platform
import time

from modest import runtime


def measure(config, batch_size, steps):
    """(bytes kept, bytes of the program, seconds) of the step of a config on one device."""
    import jax
    import numpy as np

    from modest import losses, parallel
    from modest import state as states
    from modest import step as training

    init, model, optimizer, learning_rate = states.create(config, 10, 10)
    weights, choices = config.loss.to_dict(), {"precision": config.precision, "rematerialise": config.rematerialise}
    step = training.create(config, model, optimizer, learning_rate)
    size, abstract = config.stages[0][0], jax.eval_shape(init)
    shapes = {name: (batch_size, size, size, channels) for name, channels in (("bg", 3), ("bg_fg", 3), ("mask", 1), ("depth", 1))}

    def kept(params, state, batch):
        def loss(params):
            outputs, _ = states.forward(model, state, params, batch, True, **choices)
            return losses.total(outputs, batch, weights)[0]

        return jax.vjp(loss, params)[1]

    alone = functools.partial(jax.vmap, axis_name=parallel.AXIS, axis_size=1, in_axes=None)
    floats = {name: jax.ShapeDtypeStruct(shape, np.float32) for name, shape in shapes.items()}
    residuals = jax.tree.leaves(jax.eval_shape(alone(kept), abstract.params, abstract, floats))
    parameters = sum(x.size * x.dtype.itemsize for x in jax.tree.leaves(abstract.params))
    kept_bytes = sum(x.size * x.dtype.itemsize for x in residuals) - parameters

    rng = np.random.default_rng(0)
    batch = {name: rng.integers(0, 256, (1, *shape), np.uint8) for name, shape in shapes.items()}
    batch["valid"] = np.ones((1, batch_size), bool)
    state = jax.tree.map(lambda x: np.zeros((1, *x.shape), x.dtype), abstract)
    compiled = jax.pmap(step, parallel.AXIS, devices=jax.devices()[:1]).lower(state, batch).compile()
    seconds = []
    for _ in range(steps):
        start = time.perf_counter()
        jax.block_until_ready(compiled(state, batch))
        seconds.append(time.perf_counter() - start)
    return kept_bytes, compiled.memory_analysis().temp_size_in_bytes, min(seconds, default=float("nan"))


def main():
    """Prints the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--model", default="depthnet", choices=("masknet", "depthnet", "unet"))
    parser.add_argument("--size", type=int, default=224)
    parser.add_argument("--batches", default="4,8")
    parser.add_argument("--steps", type=int, default=3)
    arguments = parser.parse_args()
    runtime.prepare()
    import importlib

    import jax

    config = importlib.import_module(f"configs.{arguments.model}").get_config()
    config.stages = ((arguments.size, 1),)
    print(f"{platform.machine()}, {os.cpu_count()} cores, jax {jax.__version__}, {jax.devices()[0].device_kind}")
    print(f"{arguments.model}, {arguments.size} px; shares are of the first line of a batch")
    print("batch  precision  rematerialise  kept, MiB  share  program, MiB  share  seconds  share")
    for batch_size in map(int, arguments.batches.split(",")):
        plain = None
        for config.precision in ("float32", "bfloat16"):
            for config.rematerialise in (False, True):
                kept, program, seconds = measure(config, batch_size, arguments.steps)
                plain = plain or (kept, program, seconds)
                shares = [now / before for now, before in zip((kept, program, seconds), plain)]
                print(f"{batch_size:5}  {config.precision:9}  {str(config.rematerialise):13}  ", end="")
                print(f"{kept / 2**20:9.0f} {shares[0]:6.2f} {program / 2**20:13.0f} {shares[1]:6.2f} ", end="")
                print(f"{seconds:8.2f} {shares[2]:6.2f}", flush=True)


if __name__ == "__main__":
    main()
