"""Config files: found by name or by path, and overridden."""

import pytest

from configs import depthnet
from modest.errors import InputError
from modest.run import config_files
from repository import ROOT


@pytest.mark.parametrize(
    "name", ["depthnet", "depthnet.py", "configs/depthnet.py", str(ROOT / "configs/depthnet.py")]
)
def test_config_is_found_by_name_and_by_path(name, monkeypatch):
    monkeypatch.chdir(ROOT)
    assert config_files.load(name).to_dict() == depthnet.get_config().to_dict()


def test_names_are_found_from_any_directory(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert config_files.load("experiments/losses:ssim_dice").loss.mask.ssim == 1.0
    assert config_files.load("masknet:museum").model.name == "masknet"


def test_installed_package_is_searched_if_there_is_no_clone(tmp_path, monkeypatch):
    (tmp_path / "mine.py").write_text(
        "from ml_collections import ConfigDict\ndef get_config(): return ConfigDict({'a': 1})\n"
    )
    monkeypatch.setattr(config_files, "DIRECTORIES", (tmp_path / "clone", tmp_path))
    assert config_files.load("mine").a == 1 and config_files.names() == ["mine"]


def test_short_name_of_a_run_directory():
    assert config_files.short_name("configs/depthnet.py") == "depthnet"
    assert config_files.short_name("depthnet:museum") == "depthnet_museum"
    assert config_files.short_name("experiments/losses:bce_ssim") == "losses_bce_ssim"


def test_overrides_change_values_and_keep_types():
    overrides = ["--config.batch_size=8", "--config.seed", "3", "--config.stages=((32, 1),)"]
    config = config_files.read("depthnet", [*overrides, "--config.rematerialise"])
    assert (config.batch_size, config.seed, config.stages) == (8, 3, ((32, 1),))
    assert config.rematerialise is True and config.is_locked


@pytest.mark.parametrize(
    ("override", "message"),
    [
        (
            "--config.batch-size=8",
            "--config.batch-size: no such key: 'batch-size'; did you mean batch_size?",
        ),
        ("--config.optimizer.momentun=0", "'momentun'; did you mean momentum?"),
        ("--config.seed.x=1", "--config.seed.x: no such key: 'x'"),
        ("--config.batch_size=many", "batch_size"),
        ("batch_size=8", "'batch_size=8' is not an option"),
        ("--seed=1", "'--seed=1' is not an option"),
        ("--config.rematerialise false", "'false' is not an option"),
        ("--config.init_from --config.seed=1", "--config.init_from has no value"),
        ("--config.seed", "--config.seed has no value"),
    ],
)
def test_bad_override_is_reported_in_one_line(override, message):
    with pytest.raises(InputError) as error:
        config_files.read("depthnet", override.split())
    assert message in str(error.value) and "\n" not in str(error.value)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("def get_config(): return 1 / 0", "line 1: ZeroDivisionError: division by zero"),
        ("def get_config(): return {}", r"get_config\(\) returned dict"),
        ("\n\ndef get_config(:", "line 3: SyntaxError"),
        (
            "from ml_collections import ConfigDict\n\ndef get_config():\n"
            "    return ConfigDict({'a': 1}).lock().b\n",
            "line 4: AttributeError",
        ),
        ("", "AttributeError"),
    ],
)
def test_broken_config_file_is_reported(tmp_path, text, message):
    path = tmp_path / "broken.py"
    path.write_text(text)
    with pytest.raises(InputError, match=message):
        config_files.load(str(path))


def test_missing_config_lists_the_names():
    with pytest.raises(
        InputError, match="--config=gone: no such file; .*depthnet.*experiments/losses"
    ):
        config_files.load("gone")
