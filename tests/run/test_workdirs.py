"""The check that a run is resumed with the same kernels."""

import pytest

from modest.errors import InputError
from modest.run import configs, workdirs


@pytest.mark.parametrize("environment", [None, {"python": "3.11"}])
def test_run_that_does_not_know_its_kernels_is_resumed(tmp_path, config, environment):
    assert not workdirs.check_kernels("xla", tmp_path, may_differ=False)  # a new run
    configs.save(config, tmp_path, {}, environment)
    assert not workdirs.check_kernels("xla", tmp_path, may_differ=False)


def test_other_kernels_are_refused_unless_they_may_differ(tmp_path, config):
    configs.save(config, tmp_path, {}, {"kernels": "onednn 3.1 avx512"})
    assert not workdirs.check_kernels("onednn 3.1 avx512", tmp_path, may_differ=False)
    with pytest.raises(InputError, match="--config.allow_other_kernels=True"):
        workdirs.check_kernels("xla", tmp_path, may_differ=False)
    difference = workdirs.check_kernels("xla", tmp_path, may_differ=True)
    assert "'onednn 3.1 avx512'" in difference and "'xla'" in difference


def test_checkpoints_without_their_config_are_refused(tmp_path, config):
    (tmp_path / workdirs.CHECKPOINTS / "8").mkdir(parents=True)
    with pytest.raises(InputError, match="has checkpoints/ but no config.json"):
        workdirs.check(config, tmp_path)
