"""Initial variables drawn by NumPy."""

import jax
import numpy as np
import pytest

import small_networks
from modest import models
from modest.models.initialise import initialise


@pytest.mark.parametrize("name", models.NETWORKS)
def test_distributions_are_those_of_the_modules_own_initialisers(name):
    model = small_networks.build(name)
    picture = np.zeros((1, 32, 32, 3), np.float32)
    key = jax.random.key(0, impl="unsafe_rbg")  # its programs compile several times as fast
    expected = jax.device_get(jax.jit(model.init)(key, picture, picture))
    drawn = initialise(model, seed=0, size=32)

    def compare(ours, theirs):
        assert (ours.shape, ours.dtype) == (theirs.shape, theirs.dtype)
        if np.unique(theirs).size == 1 and theirs.size > 1:  # BatchNorm
            np.testing.assert_array_equal(ours, theirs)
        elif theirs.size >= 200:
            assert np.abs(ours).max() == pytest.approx(np.abs(theirs).max(), rel=0.1)
            assert np.std(ours) == pytest.approx(np.std(theirs), rel=0.15)

    jax.tree.map(compare, drawn, expected)


def test_numbers_depend_on_seed_and_name_alone():
    model = models.build("masknet")
    first, again, other = (
        initialise(model, seed, size) for seed, size in ((1, 32), (1, 64), (2, 32))
    )
    jax.tree.map(np.testing.assert_array_equal, first, again)
    kernels = [x for x in jax.tree.leaves(first["params"]) if x.ndim == 4]
    assert len({x.flat[0] for x in kernels}) == len(kernels)  # no two begin with the same number
    assert not np.array_equal(kernels[0], jax.tree.leaves(other["params"])[2])


def test_numbers_are_the_same_on_every_machine_and_version():
    """The value was computed with NumPy 2.4.6 on x86-64."""
    drawn = initialise(models.build("masknet"), seed=0, size=32)
    kernels = {jax.tree_util.keystr(at): x for at, x in jax.tree_util.tree_leaves_with_path(drawn)}
    total = sum(np.abs(x.astype(np.float64)).sum() for x in kernels.values())
    assert total == pytest.approx(2092.190684466025, rel=1e-9)
