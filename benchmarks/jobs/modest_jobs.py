"""Training and inference with modest, as jobs of `benchmarks/jobs/contenders.py`."""

import functools
from collections.abc import Callable
from typing import Any

Call = Callable[[], Any]


def modest_job(
    job: str, network: str, size: int, batch: int, precision: str = "float32"
) -> tuple[Call, float]:
    """Prepare a job for modest.

    Args:
      job: `train`, `infer` or `video`.
      network: name of a config, such as `depthnet` or `pairnet:small`.
      size: picture size in px.
      batch: number of pairs.
      precision: precision of the training step, see `config.precision`.

    Returns:
      A function that does the job once and waits for it; and the floating-point operations of one
      call, as JAX counts them: those of the forward pass, times 3 for training.
    """
    from modest.run import runtime

    runtime.prepare()
    import numpy as np

    from modest.run import config_files
    from modest.state import train_state

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
    flops = _forward_flops(created.model, state, pictures)
    if job != "train":
        return _modest_inference(job, created.model, state, pictures), flops
    config.augment.flip = 0.0
    config.augment.hue_saturation_value.probability = 0.0
    config.augment.brightness_contrast.probability = 0.0
    config.precision = precision
    batch_arrays = pictures | targets | {"valid": np.ones(batch, bool)}
    return _modest_training(config, created, state, batch_arrays), 3 * flops


def _forward_flops(model, state, pictures):
    import jax

    from modest.preprocess import to_float
    from modest.state import train_state

    def infer(state, pictures):
        floats = to_float(pictures)
        outputs, _ = train_state.forward(model, state, state.params, floats, train=False)
        return jax.tree.map(jax.nn.sigmoid, outputs)

    # Lowered for a GPU, where all convolutions are XLA's, which counts their operations.
    lowered = jax.jit(infer).trace(state, pictures).lower(lowering_platforms=("cuda",))
    return lowered.cost_analysis()["flops"]


def _modest_inference(job, model, state, pictures):
    from modest.inference.predict import create_network

    variables = {"params": state.params, "batch_stats": state.batch_stats}
    encode, forward = create_network(model, variables, state.statistics)
    bg_map = encode(pictures["bg"][:1])

    def infer():
        return forward(encode(pictures["bg"]), pictures["bg_fg"])

    def video():
        return forward(bg_map, pictures["bg_fg"])

    return {"infer": infer, "video": video}[job]


def _modest_training(config, created, state, batch):
    import jax

    from modest.run import devices
    from modest.training.step import StepOptions, train_step

    options = StepOptions.from_config(config, created)
    step = devices.pmap(functools.partial(train_step, options), donate_state=True)
    states = [devices.replicate(state)]
    (examples,) = devices.prefetch([batch])

    def train():
        states[0], values = step(states[0], examples)
        jax.block_until_ready((states[0], values))

    return train
