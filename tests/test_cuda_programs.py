"""Every program that a GPU would run is lowered for CUDA; none of them needs a GPU for that.

None may contain an operation for which XLA has no deterministic algorithm (select-and-scatter), or
only a slow one (a scatter whose indices may be equal), because `modest.backend.xla_flags` asks for
determinism.
"""

import functools
import re

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import pytest

import small_networks
from configs.experiments import losses as experiments
from modest import models
from modest.data.batches.cutouts import Library
from modest.evaluation import evaluator
from modest.run import config_files, devices
from modest.state import train_state
from modest.training.step import StepOptions, train_step

SIZE, BATCH = 64, 8
VARIANTS = ("depthnet", "masknet", "pairnet", "unet")
WITHOUT_FAST_DETERMINISM = {"scatter", "select_and_scatter"}
UNIQUE_SCATTER = r"stablehlo\.scatter.*unique_indices = true"


def lower(function, *shapes):
    """Return the operations of a function that is mapped over one device, lowered for CUDA."""
    mapped = jax.jit(jax.vmap(function, axis_name=devices.AXIS))
    shapes = jax.tree.map(lambda x: jax.ShapeDtypeStruct((1, *x.shape), x.dtype), shapes)
    text = jax.export.export(mapped, platforms=["cuda"])(*shapes).mlir_module()
    operations = set(re.findall(r"stablehlo\.(\w+)", re.sub(UNIQUE_SCATTER, "", text)))
    assert "custom_call" not in operations  # oneDNN's are for a CPU
    return operations


def shape(*dims, dtype=np.uint8):
    return jax.ShapeDtypeStruct(dims, dtype)


def pictures():
    """Return the shapes of a batch of stored composites."""
    batch = {kind: shape(BATCH, SIZE, SIZE, 3) for kind in ("bg", "bg_fg")}
    batch |= {kind: shape(BATCH, SIZE, SIZE, 1) for kind in ("mask", "depth")}
    return batch | {"valid": shape(BATCH, dtype=bool)}


def indices():
    """Return the shapes of a batch of indices, and of the library to which they refer."""
    rooms, people = 5, 3
    library = Library(
        backgrounds=shape(rooms, SIZE, SIZE, 3),
        depths=shape(rooms, SIZE, SIZE, 1),
        focals=shape(rooms, dtype=np.float32),
        figures=shape(people, 40, 20, 4),
        margin=shape(dtype=np.int32),
        sizes=shape(people, 2, dtype=np.int32),
        feet=shape(people, 2, dtype=np.float32),
        metres=shape(people, dtype=np.float32),
        ratio=shape(dtype=np.float32),
        averaging=shape(dtype=np.float32),
    )
    batch = {name: shape(BATCH, dtype=np.int32) for name in ("background", "figure")}
    return batch | {"valid": shape(BATCH, dtype=bool)}, library


def small(name):
    """Return a config with few channels."""
    config = config_files.load(name)
    config.model = small_networks.section(config.model.name)
    return config


def step_and_state(config):
    created = train_state.create(config, 100, 10)
    options = StepOptions.from_config(config, created)
    return functools.partial(train_step, options), jax.eval_shape(created.init), created.model


def test_operations_without_fast_determinism_are_noticed():
    def add_at(x, places):
        return x.at[places].add(1.0)

    def gradient_of_max_pool(x):
        return jax.grad(lambda x: nn.max_pool(x, (2, 2), (2, 2)).sum())(x)

    floats = shape(4, 8, 8, 3, dtype=np.float32)
    assert "scatter" in lower(add_at, floats, shape(3, dtype=np.int32))
    assert "select_and_scatter" in lower(gradient_of_max_pool, floats)


@pytest.mark.parametrize("name", VARIANTS)
def test_training_step(name):
    config = small(name)
    config.precision = "bfloat16"
    step, state, _ = step_and_state(config)
    assert not lower(step, state, *indices()) & WITHOUT_FAST_DETERMINISM


def test_training_step_on_scenes():
    config = small("masknet")
    config.data.source = "scenes"
    step, state, _ = step_and_state(config)
    assert not lower(step, state, *indices()) & WITHOUT_FAST_DETERMINISM


@pytest.mark.parametrize("combination", experiments.COMBINATIONS)
def test_training_step_with_each_loss(combination):
    config = small("masknet")
    config.loss.mask = experiments.get_config(combination).loss.mask
    step, state, _ = step_and_state(config)
    assert not lower(step, state, pictures()) & WITHOUT_FAST_DETERMINISM


@pytest.mark.parametrize("name", VARIANTS)
def test_evaluation_and_prediction(name):
    config = small(name)
    _, state, model = step_and_state(config)
    evaluation = functools.partial(evaluator.eval_step, model=model, weights=config.loss.to_dict())
    assert not lower(evaluation, state, pictures()) & WITHOUT_FAST_DETERMINISM

    variables = {"params": state.params, "batch_stats": state.batch_stats}
    variables = jax.eval_shape(functools.partial(models.fold, model), variables)
    picture = shape(BATCH, SIZE, SIZE, 3, dtype=jnp.float32)
    bg_map = jax.eval_shape(model.apply, variables, picture)

    def predict(variables, bg_map, bg_fg):
        return model.apply(variables, None, bg_fg, bg_map=bg_map)

    lower(model.apply, variables, picture)
    lower(predict, variables, bg_map, picture)
