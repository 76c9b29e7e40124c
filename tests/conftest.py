"""Strict settings for every test: eight virtual CPU devices, 64-bit types available, implicit rank promotion is an error."""

import os

# Eight devices, and a deadlock among them fails at once. (XLA's optimisation level 0 would compile sooner, but in jaxlib 0.10.2 it
# computes gradients of DepthNet that are not numbers.)
os.environ["XLA_FLAGS"] = "--xla_force_host_platform_device_count=8 --xla_cpu_collective_call_terminate_timeout_seconds=60"
os.environ["JAX_PLATFORMS"] = "cpu"

import jax  # noqa: E402 (after the settings)
import ml_collections  # noqa: E402
import numpy as np  # noqa: E402
import pytest  # noqa: E402

from configs import depthnet  # noqa: E402
from modest import runtime  # noqa: E402
from modest.data import museum, procedural  # noqa: E402

runtime.prepare()
jax.config.update("jax_numpy_rank_promotion", "raise")


@pytest.fixture
def x64():
    """float64 for one test."""
    with jax.enable_x64(True):
        yield


@pytest.fixture
def rng():
    return np.random.default_rng(0)


@pytest.fixture
def drawn(rng):
    """Makes numbers for a tree of shapes and types that keep maps in range: quicker than to compile a network's own."""

    def draw(path, x):
        if path[-1] == jax.tree_util.DictKey("var"):
            return rng.uniform(1, 2, x.shape)
        return rng.normal(0, np.sqrt(2 / max(1, np.prod(x.shape[:-1]))) if x.ndim == 4 else 0.3, x.shape)

    return lambda abstract: jax.tree_util.tree_map_with_path(lambda path, x: np.asarray(draw(path, x), x.dtype), abstract)


@pytest.fixture(scope="session")
def prepared_dir(tmp_path_factory):
    """A directory with a tiny procedural museum prepared under the name `procedural`."""
    return tmp_path_factory.mktemp("prepared")


@pytest.fixture
def small_museum(monkeypatch):
    """The embedded museum, shrunk: 8 rooms and 8 people at 64 px."""
    small = museum.MuseumConfig(
        name="tiny",
        description="a tiny museum",
        museum=procedural.Museum(rooms=8, people=8, size=64, figure_height=31),
        pairs={"train": 12, "validation": 1, "test": 1, "test_seen_background": 6, "test_seen_figure": 1},
    )
    monkeypatch.setattr(museum, "SMALL", small)
    return small


@pytest.fixture
def config(small_museum, prepared_dir):
    """The real config, shrunk: a narrow network, two short epochs at 32 px on the tiny museum."""
    config = ml_collections.ConfigDict(depthnet.get_config())
    config.model.width = 2
    config.stages = ((32, 2),)
    config.batch_size = 8
    config.eval.batch_size = 8
    config.eval.pictures = 2
    config.log_every = 1
    config.data.source = "records"
    config.data.library.composites = 24
    config.optimizer.warmup = 0.0
    config.data.prepared_dir = str(prepared_dir)
    return config


@pytest.fixture
def quick(config):
    """The config with MaskNet, which compiles in a tenth of the time, for what does not depend on the network."""
    config.model = {"name": "masknet"}
    config.loss.depth.rmse = 0.0
    return config
