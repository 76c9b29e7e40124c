"""The runs of a sweep and their names."""

import re

import pytest

from configs.experiments import losses
from modest.errors import InputError
from modest.sweep import plan
from repository import ROOT
from sweep_runs import CONFIG, NAMES


def test_plan_is_the_product_of_the_values():
    runs = plan.plan(CONFIG, ["batch_size=4,8", "seed=0,1,2"], ["--config.log_every=3"], "runs/x")
    assert [str(run.workdir) for run in runs] == [f"runs/x/{name}" for name in NAMES]
    assert runs[3].overrides == ["--config.log_every=3", "--config.batch_size=8", "--config.seed=0"]
    assert runs[3].setting == ("8",) and runs[3].config == CONFIG
    config = runs[5].settings
    assert (config.log_every, config.batch_size, config.seed) == (3, 8, 2)


def test_key_that_varies_cannot_be_the_same_for_all():
    with pytest.raises(InputError, match="--config.seed: is also varied"):
        plan.plan(CONFIG, ["seed=0,1"], ["--config.seed=5"], "runs/x")


def test_value_may_contain_commas():
    assert plan.split("((64, 5), (128, 6)),((32,1),)") == ["((64, 5), (128, 6))", "((32,1),)"]
    assert plan.split("'a,b',\"c\", d,''") == ["a,b", "c", "d", ""]


def test_run_names_are_safe_and_unique():
    values = ["((64,5),)", "((64,5,))", "a/b", "a:b", "a-b", "..", "x" * 100, "x" * 101, ""]
    names = [plan.run_name({"key": value, "seed": "0"}) for value in values]
    assert len(set(names)) == len(values)
    assert all(re.fullmatch(r"key=[\w.+-]*,seed=0", name) and len(name) < 80 for name in names)


def test_loss_is_a_variant_of_the_experiment():
    depthnet = str(ROOT / "configs/depthnet.py")
    for run in plan.plan(depthnet, [f"loss={','.join(losses.COMBINATIONS)}"], [], "runs/x"):
        assert run.settings.to_dict() == losses.get_config(run.values["loss"]).to_dict()
        assert run.workdir.name == f"loss={run.values['loss']}"


def test_configs_may_vary():
    museum = str(ROOT / "configs/experiments/losses.py") + ":ssim_dice"
    runs = plan.plan(None, [f"config={CONFIG},{museum}"], [], "runs/x")
    assert [run.settings.model.name for run in runs] == ["masknet", "depthnet"]
