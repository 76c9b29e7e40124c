"""Sweeps with simulated runs: order, errors, resumption, files."""

import json
import os
import signal
import statistics

import pytest

from modest.run import configs, files, workdirs
from sweep_runs import CONFIG, NAMES, SEEDS, run_sweep


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--vary", "seed=0,1,x"], "--config.seed=x"),
        (["--vary", "sed=0"], "sed=0"),
        (
            ["--vary", "optimizer.learning_rate=0.1,-1"],
            "--config.optimizer.learning_rate=-1.0: must be",
        ),
        (["--vary", "loss=bce_rms"], "the variants are bce_rmse"),
        (["--vary", "loss=bce_rmse"], "masknet has no depth"),
        (["--vary", "seed"], "--vary seed: must be key=value"),
        (["--vary", "seed=0,,1"], "a value is empty"),
        (["--vary", "stages=((64,1)"], "not closed"),
        (["--vary", "seed=0,0"], "is repeated"),
        (["--vary", "seed=0", "--vary", "seed=1"], "is repeated"),
        (["--vary", "config=configs/unet.py"], "give the config, by --config or by --vary"),
        (
            ["--vary", "seed=0", "--", "--workdir=elsewhere"],
            "'--workdir=elsewhere': an override for all runs",
        ),
        (["--vary", "seed=0", "--", "--config.batch_size=0"], "--config.batch_size=0"),
    ],
)
def test_mistake_is_reported_before_anything_runs(tmp_path, capsys, launched, arguments, message):
    assert run_sweep("--config", CONFIG, "--workdir", str(tmp_path / "sweep"), *arguments) == 2
    error = capsys.readouterr().err
    assert error.startswith("error: ") and error.count("\n") == 1 and message in error
    assert not launched[0] and not (tmp_path / "sweep").exists()


def test_sweep_writes_its_files(tmp_path, capsys, launched):
    assert run_sweep(*SEEDS, "--workdir", str(tmp_path)) == 0
    assert launched[0] == NAMES
    table = json.loads((tmp_path / "sweep.json").read_text())
    ious = [1 / (1 + seed) + 0.08 for seed in (0, 1, 2)]
    assert [(row["setting"], row["n"]) for row in table["splits"]["test"]] == [
        ({"batch_size": "4"}, 3),
        ({"batch_size": "8"}, 3),
    ]
    assert table["splits"]["test"][1]["mask/iou"]["spread"] == pytest.approx(statistics.stdev(ious))
    assert table["not_done"] == []
    assert (tmp_path / "sweep.md").read_text() in capsys.readouterr().out
    assert (tmp_path / "figures/sweep.png").stat().st_size > 5000

    times = [(tmp_path / name / workdirs.EVAL).stat().st_mtime_ns for name in NAMES]
    assert run_sweep(*SEEDS, "--workdir", str(tmp_path)) == 0
    assert launched[0] == NAMES
    assert times == [(tmp_path / name / workdirs.EVAL).stat().st_mtime_ns for name in NAMES]
    assert json.loads((tmp_path / "sweep.json").read_text()) == table


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_stopped_sweep_is_resumed(tmp_path, launched, number):
    names, statuses = launched
    assert run_sweep(*SEEDS, "--workdir", str(tmp_path / "whole")) == 0
    names.clear()
    statuses[NAMES[2]] = 128 + number
    assert run_sweep(*SEEDS, "--workdir", str(tmp_path / "parts")) == 128 + number
    assert names == NAMES[:3] and not (tmp_path / "parts/sweep.json").exists()
    statuses.clear()
    assert run_sweep(*SEEDS, "--workdir", str(tmp_path / "parts")) == 0
    assert names == NAMES[:3] + NAMES[2:]
    whole, parts = ((tmp_path / part / "sweep.json").read_text() for part in ("whole", "parts"))
    assert whole == parts


def test_failed_run_is_listed(tmp_path, capsys, launched):
    names, statuses = launched
    statuses |= {NAMES[0]: 1, NAMES[4]: 2}
    assert run_sweep(*SEEDS, "--workdir", str(tmp_path)) == 1
    assert names == NAMES
    assert f"error: {NAMES[0]}: exited with status 1\n" in capsys.readouterr().err
    table = json.loads((tmp_path / "sweep.json").read_text())
    assert [row["n"] for row in table["splits"]["test"]] == [2, 2]
    assert table["not_done"] == [f"{NAMES[0]} (status 1)", f"{NAMES[4]} (status 2)"]

    statuses.clear()
    assert run_sweep(*SEEDS, "--workdir", str(tmp_path)) == 0  # retried
    assert names == [*NAMES, NAMES[0], NAMES[4]]


def test_bad_input_in_the_first_run_ends_the_sweep(tmp_path, launched):
    names, statuses = launched
    statuses[NAMES[0]] = 2
    assert run_sweep(*SEEDS, "--workdir", str(tmp_path)) == 2
    assert names == NAMES[:1]


def test_report_runs_nothing(tmp_path, capsys, launched):
    names, statuses = launched
    assert run_sweep(*SEEDS, "--workdir", str(tmp_path / "sweep"), "--report") == 0
    assert "no run is finished" in capsys.readouterr().out and not (tmp_path / "sweep").exists()
    statuses[NAMES[4]] = 143
    run_sweep(*SEEDS, "--workdir", str(tmp_path / "sweep"))
    assert run_sweep(*SEEDS, "--workdir", str(tmp_path / "sweep"), "--report") == 0
    table = json.loads((tmp_path / "sweep/sweep.json").read_text())
    assert (
        [row["n"] for row in table["splits"]["test"]] == [3, 1]
        and table["not_done"] == NAMES[4:]
        and names == NAMES[:5]
    )


def test_run_with_another_config_is_not_finished(tmp_path, capsys, launched):
    names, _ = launched
    arguments = [*SEEDS, "--workdir", str(tmp_path)]
    assert run_sweep(*arguments) == 0
    names.clear()
    assert run_sweep(*arguments, "--", "--config.eval.splits=test") == 0  # another evaluation
    assert names == NAMES
    names.clear()
    assert run_sweep(*arguments, "--", "--config.optimizer.momentum=0.5") == 2  # another training
    assert f"{NAMES[0]} was trained with optimizer" in capsys.readouterr().err and names == []
    began = tmp_path / NAMES[1] / configs.FILE
    os.utime(began, ns=(began.stat().st_mtime_ns + 10**10,) * 2)  # resumed since it was evaluated
    assert run_sweep(*arguments, "--", "--config.eval.splits=test") == 0
    assert names == NAMES[1:2]


def test_second_sweep_in_a_directory_is_refused(tmp_path, capsys, launched):
    with files.lock(tmp_path / workdirs.LOCK, "running a sweep in"):
        assert run_sweep(*SEEDS, "--workdir", str(tmp_path)) == 2
    assert f"process {os.getpid()}" in capsys.readouterr().err and launched[0] == []
