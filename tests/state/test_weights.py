"""Weights in one file: what is written is read, and what is no such file is refused."""

import hashlib
import json

import jax
import numpy as np
import pytest
import safetensors.numpy

from modest.errors import InputError
from modest.run import configs
from modest.state import train_state, weights
from modest.state.restore import restore


@pytest.fixture
def trained(config, drawn):
    config = configs.parse(json.loads(configs.as_json(config)))
    created = train_state.create(config, 1, 1)
    return weights.Trained(config, created.model, drawn(jax.eval_shape(created.init)))


@pytest.fixture
def file(trained, tmp_path):
    path = tmp_path / "network.safetensors"
    weights.save(path, trained, made_by={"metrics": {"own": {"test": {"mask/iou": 0.5}}}})
    return path


def test_what_is_written_is_read(trained, file):
    read = restore(file)
    assert read.config.to_dict() == trained.config.to_dict()
    assert weights.describe(file)["metrics"]["own"]["test"]["mask/iou"] == 0.5
    for field in weights.ARRAYS:
        before, after = getattr(trained.state, field), getattr(read.state, field)
        assert jax.tree.structure(before) == jax.tree.structure(after)
        for x, y in zip(jax.tree.leaves(before), jax.tree.leaves(after)):
            assert y.dtype == np.float32
            expected = np.float32(np.float16(x)) if x.ndim == 4 else x
            np.testing.assert_array_equal(y, expected)


def test_same_network_is_the_same_file(trained, file, tmp_path):
    again = tmp_path / "again.safetensors"
    weights.save(again, trained, made_by=weights.describe(file))
    weights.save(file, trained, made_by=weights.describe(file))
    digests = {hashlib.sha256(path.read_bytes()).hexdigest() for path in (file, again)}
    assert len(digests) == 1


def test_weight_that_does_not_fit_into_float16_is_refused(trained, tmp_path):
    huge = jax.tree.map(lambda x: x + 1e5 if x.ndim == 4 else x, trained.state.params)
    broken = trained._replace(state=trained.state.replace(params=huge))
    with pytest.raises(InputError, match="not finite in float16"):
        weights.save(tmp_path / "x.safetensors", broken, made_by={})
    assert not (tmp_path / "x.safetensors").exists()


@pytest.mark.parametrize("place", [0.1, 0.5, 0.9])
def test_damaged_weight_is_refused(file, tmp_path, place):
    data = bytearray(file.read_bytes())
    header = 8 + int.from_bytes(data[:8], "little")
    data[header + int(place * (len(data) - header))] ^= 1
    damaged = tmp_path / "damaged.safetensors"
    damaged.write_bytes(data)
    with pytest.raises(InputError, match="damaged.safetensors: damaged"):
        restore(damaged)


def test_changed_config_is_refused(file, tmp_path):
    changed = tmp_path / "changed.safetensors"
    changed.write_bytes(file.read_bytes().replace(b'momentum\\": 0.9', b'momentum\\": 0.8'))
    assert changed.read_bytes() != file.read_bytes()
    with pytest.raises(InputError, match="changed.safetensors: damaged"):
        restore(changed)


def test_other_files_are_refused(trained, file, tmp_path):
    with pytest.raises(InputError, match="no such file"):
        restore(tmp_path / "absent.safetensors")
    cut = tmp_path / "cut.safetensors"
    cut.write_bytes(file.read_bytes()[:100])
    with pytest.raises(InputError, match="not weights that modest has written"):
        restore(cut)
    foreign = tmp_path / "foreign.safetensors"
    foreign.write_bytes(safetensors.numpy.save({"x": np.zeros(2, np.float32)}))
    with pytest.raises(InputError, match="not weights that modest has written"):
        restore(foreign)
    created = {"config": trained.config.to_dict()}
    arrays = {"x": np.zeros(2, np.float32)}
    text = {weights.TEXT: json.dumps(created | {"sha256": weights._digest(created, arrays)})}
    foreign.write_bytes(safetensors.numpy.save(arrays, metadata=text))
    with pytest.raises(InputError, match="its arrays are not those of depthnet"):
        restore(foreign)
