"""The config saved with a run, also by an older version."""

import json

import pytest
from ml_collections import ConfigDict

from configs import depthnet
from modest.errors import InputError
from modest.run import configs


def test_keys_missing_in_an_older_run_are_switched_off(tmp_path):
    values = depthnet.get_config().to_dict()
    del values["average"], values["accumulate"], values["optimizer"]["clip_norm"]
    (tmp_path / configs.FILE).write_text(json.dumps(values))
    loaded = configs.load(tmp_path)
    assert (loaded.average, loaded.accumulate, loaded.optimizer.clip_norm) == (0.0, 1, 0.0)
    assert loaded.optimizer.learning_rate == 0.1


def test_later_keys_are_off_by_default():
    config = depthnet.get_config()
    assert {key: configs.as_json(configs.get(config, key)) for key in configs.LATER} == {
        key: configs.as_json(value) for key, value in configs.LATER.items()
    }


def test_save_and_load(tmp_path):
    assert configs.load(tmp_path) is None
    config = depthnet.get_config()
    configs.save(config, tmp_path, dataset={"sha256": "00"})
    loaded = configs.load(tmp_path)
    assert isinstance(loaded, ConfigDict) and loaded.is_locked
    assert configs.as_json(loaded) == configs.as_json(
        config.to_dict() | {"dataset": {"sha256": "00"}, "environment": None}
    )
    assert (tmp_path / "config.json").read_text().endswith("}\n")


@pytest.mark.parametrize("text", ['{"model": ', "[]", '{"model": 1}', "\x80"])
def test_damaged_file_is_reported(tmp_path, text):
    (tmp_path / configs.FILE).write_text(text)
    with pytest.raises(InputError, match=f"{tmp_path}/config.json: damaged"):
        configs.load(tmp_path)
