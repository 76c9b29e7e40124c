"""Training and inference with modest, as jobs of `benchmarks/jobs/contenders.py`."""

import functools
from collections.abc import Callable
from typing import Any

Call = Callable[[], Any]


def modest_job(
    job: str,
    network: str,
    size: int,
    batch: int,
    precision: str = "float32",
    channels: int = 1,
    steps: int = 1,
) -> tuple[Call, float]:
    """Prepare a job for modest.

    Args:
      job: `train`, `infer` or `video`.
      network: name of a config, such as `depthnet` or `pairnet:small`.
      size: picture size in px.
      batch: number of pairs.
      precision: precision of the training step, see `config.precision`.
      channels: see `modest.kernels.xla.GPU_CHANNELS`.
      steps: number of training steps in one call.

    Returns:
      A function that does the job once, and may return before its result is there; and the
      floating-point operations of one step or prediction: those of the forward pass, as JAX counts
      them, times 3 for training.
    """
    from modest.run import runtime

    runtime.prepare()
    import numpy as np

    from modest.kernels import xla
    from modest.run import config_files
    from modest.state import train_state

    xla.GPU_CHANNELS = channels
    config = config_files.load(network)
    rng = np.random.default_rng(0)
    pictures = {
        kind: rng.integers(0, 256, (batch, size, size, 3), np.uint8) for kind in ("bg", "bg_fg")
    }
    targets = {
        kind: rng.integers(0, 256, (batch, size, size, 1), np.uint8) for kind in ("mask", "depth")
    }
    created = train_state.create(config, 1, 1)
    state = created.init()
    flops = _forward_flops(config, created.model, state, pictures)
    if job != "train":
        return _modest_inference(job, created.model, state, pictures), flops
    config.augment.flip = 0.0
    config.augment.hue_saturation_value.probability = 0.0
    config.augment.brightness_contrast.probability = 0.0
    config.precision = precision
    batch_arrays = pictures | targets | {"valid": np.ones(batch, bool)}
    return _modest_training(config, created, state, batch_arrays, steps), 3 * flops


def _forward_flops(config, model, state, pictures):
    import jax

    from modest.models import summary
    from modest.preprocess import to_float
    from modest.state import train_state

    def infer(state, pictures):
        floats = to_float(pictures)
        outputs, _ = train_state.forward(model, state, state.params, floats, train=False)
        return jax.tree.map(jax.nn.sigmoid, outputs)

    # Lowered for a GPU, where all convolutions are XLA's, which counts their operations.
    lowered = jax.jit(infer).trace(state, pictures).lower(lowering_platforms=("cuda",))
    count, size = pictures["bg"].shape[:2]
    # JAX analyses nothing if a GPU's plugin is the backend. Then only convolutions are counted.
    counted = lowered.cost_analysis() or {"flops": count * summary.flops(config.model, size)}
    return counted["flops"]


def _modest_inference(job, model, state, pictures):
    import jax

    from modest.inference.predict import create_network

    variables = {"params": state.params, "batch_stats": state.batch_stats}
    encode, forward = create_network(model, variables, state.statistics)
    bg, bg_fg = jax.device_put((pictures["bg"], pictures["bg_fg"]))
    bg_map = encode(bg[:1])

    def infer():
        return forward(encode(bg), bg_fg)

    def video():
        return forward(bg_map, bg_fg)

    return {"infer": infer, "video": video}[job]


def _modest_training(config, created, state, batch, steps):
    import jax

    from modest.run import devices
    from modest.training.step import StepOptions, train_step

    options = StepOptions.from_config(config, created)
    one_step = functools.partial(train_step, options)

    def several_steps(state, batch):
        state, values = jax.lax.scan(lambda state, _: one_step(state, batch), state, length=steps)
        return state, jax.tree.map(lambda x: x[-1], values)

    step = devices.pmap(one_step if steps == 1 else several_steps, donate_state=True)
    states = [devices.replicate(state)]
    (examples,) = devices.prefetch([batch])

    def train():
        states[0], values = step(states[0], examples)
        return states[0], values

    return train
