"""Strict settings for all tests: eight virtual CPU devices; implicit rank promotion is an error.

`python -m pytest -n 0 -m gpu` runs only the tests that are marked `gpu`, and on a GPU if there is
one. They pass on a CPU too.
"""

import os
import sys
import tempfile

from modest.backend import platforms

ON_GPU = "gpu" in sys.argv and platforms.expects_gpu()
# A deadlock among the eight devices fails at once. (XLA's optimisation level 0 would compile
# faster, but in jaxlib 0.10.2 it computes gradients of DepthNet that are NaN.)
os.environ["XLA_FLAGS"] = (
    "--xla_force_host_platform_device_count=8 "
    "--xla_cpu_collective_call_terminate_timeout_seconds=60"
)
os.environ["JAX_PLATFORMS"] = "cuda,cpu" if ON_GPU else "cpu"
# Tests and the commands that they start share what they compile, but nothing that was compiled
# before. Processes of pytest-xdist inherit the variable.
if "PYTEST_XDIST_WORKER" not in os.environ:
    compiled = tempfile.TemporaryDirectory(prefix="modest_tests_compiled_")
    os.environ["JAX_COMPILATION_CACHE_DIR"] = compiled.name

import jax  # noqa: E402 (after the settings)
import ml_collections  # noqa: E402
import numpy as np  # noqa: E402
import pytest  # noqa: E402

from configs import depthnet  # noqa: E402
from modest.data.museum import builder_configs, preparation  # noqa: E402
from modest.data.synthetic import dataset  # noqa: E402
from modest.run import configs, runtime, workdirs  # noqa: E402

runtime.prepare()
jax.config.update("jax_numpy_rank_promotion", "raise")


def pytest_report_header():
    return f"JAX_PLATFORMS={os.environ['JAX_PLATFORMS']}"


@pytest.fixture
def x64():
    """Use float64 in one test."""
    with jax.enable_x64(True):
        yield


@pytest.fixture
def rng():
    return np.random.default_rng(0)


@pytest.fixture
def drawn(rng):
    """Return a function that fills a tree of shapes with random numbers that keep maps in range.

    This is faster than compiling a network's own initialisation.
    """

    def draw(path, x):
        if path[-1] == jax.tree_util.DictKey("var"):
            return np.asarray(rng.uniform(1, 2, x.shape), x.dtype)
        fan_in = max(1, np.prod(x.shape[:-1]))
        deviation = np.sqrt(2 / fan_in) if x.ndim == 4 else 0.3
        return np.asarray(rng.normal(0, deviation, x.shape), x.dtype)

    def fill(shapes):
        return jax.tree_util.tree_map_with_path(draw, shapes)

    return fill


@pytest.fixture(scope="session")
def prepared_dir(tmp_path_factory):
    """Return the directory in which the tiny data set is prepared, once per process."""
    return tmp_path_factory.mktemp("prepared")


@pytest.fixture
def small_museum(monkeypatch):
    """Shrink the embedded data set `procedural`: 8 rooms and 8 people at 64 px."""
    pairs = {
        "train": 12,
        "validation": 1,
        "test": 1,
        "test_seen_background": 6,
        "test_seen_figure": 1,
    }
    small = builder_configs.MuseumConfig(
        name="tiny",
        description="a tiny museum",
        museum=dataset.SyntheticMuseum(rooms=8, people=8, size=64, figure_height=31),
        pairs=pairs,
    )
    monkeypatch.setattr(preparation, "SMALL", small)
    return small


@pytest.fixture
def config(small_museum, prepared_dir):
    """Return the real config, shrunk: narrow network, two epochs at 32 px, the tiny data set."""
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
    """Return the config with MaskNet, which compiles ten times as fast.

    It is for tests in which the network does not matter.
    """
    config.model = {"name": "masknet"}
    config.loss.depth.rmse = 0.0
    return config


@pytest.fixture
def untrained(config, tmp_path, drawn):
    """Return a work directory with one checkpoint of an untrained DepthNet."""
    from modest.state import train_state  # here, because it imports Orbax, which is slow
    from modest.state.checkpoint import Checkpoints

    configs.save(config, tmp_path, dataset={})
    shapes = jax.eval_shape(train_state.create(config, 1, 1).init)
    with Checkpoints(tmp_path / workdirs.CHECKPOINTS, keep=2) as checkpoints:
        checkpoints.save(0, drawn(shapes), {"step": 0, "epoch": 0})
    return tmp_path
