"""Sweeps: which runs, in which order, which errors come before the first run, and the table."""

import json
import os
import pathlib
import re
import shlex
import signal
import statistics
import subprocess
import sys
import threading
import time

import pytest

import modest_folder
from configs.experiments import losses
from modest.commands import process, sweep
from modest.errors import InputError
from modest.run import config_files, configs, files, workdirs
from modest.sweep import plan, report, runner
from repository import ROOT

CONFIG = str(ROOT / "configs/masknet.py")
SEEDS = ["--config", CONFIG, "--vary", "batch_size=4,8", "--vary", "seed=0,1,2"]
NAMES = [f"batch_size={b},seed={s}" for b in (4, 8) for s in (0, 1, 2)]


def run_sweep(*arguments):
    """Run the command in this process; return the exit status."""
    before = {number: signal.getsignal(number) for number in runner.SIGNALS}
    try:
        return process.run(sweep.main, [str(argument) for argument in arguments])
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


@pytest.fixture
def launched(monkeypatch):
    """Replace the training of a run by the files that it leaves.

    Returns the names of the runs so far, and a dict for the exit statuses of runs that fail.
    """

    def run(command, received):
        options = dict(option.split("=", 1) for option in command[4:6])
        workdir = pathlib.Path(options["--workdir"])
        names.append(workdir.name)
        status = statuses.get(workdir.name, 0)
        config = config_files.read(options["--config"], command[6:])
        workdir.mkdir(parents=True, exist_ok=True)
        configs.save(config, workdir, dataset=None)
        if status in runner.STOPPED:
            received.append(status - 128)
        if status == 0:
            finish(workdir, iou=1 / (1 + config.seed) + 0.01 * config.batch_size)
        return status

    names, statuses = [], {}
    monkeypatch.setattr(runner, "_run_process", run)
    return names, statuses


def finish(workdir, iou, split="test"):
    """Write what a finished run leaves: results, and two validations."""
    lines = [{"step": e, "epoch": e, "val/loss": 1.0, "val/mask/iou": iou * e / 2} for e in (1, 2)]
    (workdir / "metrics.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    (workdir / workdirs.EVAL).write_text(
        json.dumps({split: {"mask/iou": iou, "mask/boundary_f1": 1 - iou, "examples": 3}})
    )


def test_plan_is_the_product_of_the_values():
    runs = plan.plan(CONFIG, ["batch_size=4,8", "seed=0,1,2"], ["--config.log_every=3"], "runs/x")
    assert [str(run.workdir) for run in runs] == [f"runs/x/{name}" for name in NAMES]
    assert runs[3].overrides == ["--config.log_every=3", "--config.batch_size=8", "--config.seed=0"]
    assert runs[3].setting == ("8",) and runs[3].config == CONFIG
    config = runs[5].settings
    assert (config.log_every, config.batch_size, config.seed) == (3, 8, 2)


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


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--vary", "seed=0,1,x"], "seed=x: flag --config.seed=x: invalid literal"),
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
        (["--vary", "seed=0,0"], "twice"),
        (["--vary", "seed=0", "--vary", "seed=1"], "twice"),
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


def test_list_prints_commands_for_a_shell(tmp_path):
    """Also from another directory."""
    stages = "stages=((32, 1),),((64, 1), (96, 2))"
    arguments = [
        "--config",
        CONFIG,
        "--workdir",
        str(tmp_path / "a sweep"),
        "--vary",
        stages,
        "--vary",
        "seed=0,1",
        "--list",
    ]
    command = [sys.executable, "-m", "modest", "sweep", *arguments]
    command += ["--", "--config.eval.splits=test,test_seen_figure"]
    done = subprocess.run(
        command,
        cwd=tmp_path,
        env=os.environ | {"PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    commands = [shlex.split(line) for line in done.stdout.splitlines()]
    runs = plan.plan(
        CONFIG,
        [stages, "seed=0,1"],
        ["--config.eval.splits=test,test_seen_figure"],
        tmp_path / "a sweep",
    )
    assert commands == [run.command for run in runs] and len(commands) == 4
    assert commands[2][:4] == [sys.executable, "-m", "modest", "train"]
    assert commands[2][-2:] == ["--config.stages=((64, 1), (96, 2))", "--config.seed=0"]
    assert list(tmp_path.iterdir()) == []


def test_mean_and_spread():
    ious = [0.5, 0.75, 0.875]
    results = {("a",): [{"other": {}, "test": {"mask/iou": x, "examples": 9}} for x in ious]}
    results[("b",)] = [{"test": {"mask/iou": 0.25, "depth/rmse": 0.125}}]
    split, rows = report.summarise(results)
    assert split == "test"
    assert rows[("a",)] == {
        "n": 3,
        "mask/iou": {
            "mean": pytest.approx(statistics.mean(ious)),
            "spread": pytest.approx(statistics.stdev(ious)),
        },
    }
    assert rows[("b",)] == {
        "n": 1,
        "mask/iou": {"mean": 0.25, "spread": None},
        "depth/rmse": {"mean": 0.125, "spread": None},
    }
    lines = [
        [cell.strip() for cell in line.split("|")[1:-1]]
        for line in report.markdown(["loss"], rows).splitlines()
    ]
    assert lines[0] == ["loss", "n", "mask/iou", "depth/rmse"]
    assert lines[2:] == [["a", "3", "0.7083 ± 0.1909", "-"], ["b", "1", "0.2500", "0.1250"]]


def test_split_is_common_to_all_runs():
    assert report.summarise({("a",): [{"x": {}, "y": {}}], ("b",): [{"y": {}}]})[0] == "y"
    with pytest.raises(InputError, match="same split"):
        report.summarise({("a",): [{"x": {}}], ("b",): [{"y": {}}]})


def test_sweep_writes_its_files(tmp_path, capsys, launched):
    assert run_sweep(*SEEDS, "--workdir", str(tmp_path)) == 0
    assert launched[0] == NAMES
    table = json.loads((tmp_path / "sweep.json").read_text())
    ious = [1 / (1 + seed) + 0.08 for seed in (0, 1, 2)]
    assert [(row["setting"], row["n"]) for row in table["rows"]] == [
        ({"batch_size": "4"}, 3),
        ({"batch_size": "8"}, 3),
    ]
    assert table["rows"][1]["mask/iou"]["spread"] == pytest.approx(statistics.stdev(ious))
    assert table["not_done"] == []
    assert (tmp_path / "sweep.md").read_text() in capsys.readouterr().out
    assert (tmp_path / "figures/sweep.png").stat().st_size > 5000

    times = [(tmp_path / name / workdirs.EVAL).stat().st_mtime_ns for name in NAMES]
    assert run_sweep(*SEEDS, "--workdir", str(tmp_path)) == 0
    assert launched[0] == NAMES
    assert times == [(tmp_path / name / workdirs.EVAL).stat().st_mtime_ns for name in NAMES]
    assert json.loads((tmp_path / "sweep.json").read_text()) == table


def test_curves_have_a_colour_per_setting():
    def lines(*ious):
        epochs = enumerate(ious, 1)
        return [{"epoch": e, "val/mask/iou": x, "val/loss": 1.0} for e, x in epochs]

    logs = {(str(i),): [lines(0.25, 0.5, 0.75), lines(0.5, 1.0)] for i in range(9)}
    figure = report.curves(logs)
    thick = [line for line in figure.axes[0].lines if line.get_linewidth() > 1]
    assert len(figure.axes) == 1 and len(figure.axes[0].lines) == 3 * len(thick) == 27
    assert all(
        list(line.get_xdata()) == [1, 2] and list(line.get_ydata()) == [0.375, 0.75]
        for line in thick
    )
    assert len({(line.get_color(), line.get_linestyle()) for line in thick}) == 9
    assert [text.get_text() for text in figure.legends[0].get_texts()] == [str(i) for i in range(9)]


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
    assert [row["n"] for row in table["rows"]] == [2, 2]
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
        [row["n"] for row in table["rows"]] == [3, 1]
        and table["not_done"] == NAMES[4:]
        and names == NAMES[:5]
    )


def test_run_with_another_config_is_not_finished(tmp_path, capsys, launched):
    names, _ = launched
    arguments = [*SEEDS, "--workdir", str(tmp_path)]
    assert run_sweep(*arguments) == 0
    names.clear()
    assert run_sweep(*arguments, "--", "--config.eval.splits=test") == 0  # the same training
    assert names == NAMES
    names.clear()
    assert run_sweep(*arguments, "--", "--config.optimizer.momentum=0.5") == 2  # another
    assert f"{NAMES[0]} was trained with optimizer" in capsys.readouterr().err and names == []
    began = tmp_path / NAMES[1] / configs.FILE
    os.utime(began, ns=(began.stat().st_mtime_ns + 10**10,) * 2)  # resumed since it was evaluated
    assert run_sweep(*arguments, "--", "--config.eval.splits=test") == 0
    assert names == NAMES[1:2]


def test_second_sweep_in_a_directory_is_refused(tmp_path, capsys, launched):
    with files.lock(tmp_path / workdirs.LOCK, "running a sweep in"):
        assert run_sweep(*SEEDS, "--workdir", str(tmp_path)) == 2
    assert f"process {os.getpid()}" in capsys.readouterr().err and launched[0] == []


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_signal_is_passed_on_once(tmp_path, monkeypatch, number):
    """The run needs time to save. It gets the signal once; a second one would end it."""
    child = tmp_path / "launch.py"
    child.write_text(
        "import os, pathlib, signal, sys, time\n"
        "here, asked = pathlib.Path(__file__).parent, []\n"
        f"signal.signal({int(number)}, lambda number, frame: asked.append(number))\n"
        "(here / 'ready').write_text(sys.argv[-1])\n"
        "end = time.monotonic() + 20\n"
        "while not asked and time.monotonic() < end: time.sleep(0.01)\n"
        "time.sleep(0.5)\n"
        "(here / 'saved').write_text(f'{len(asked)} {os.getpgrp() == os.getpid()}')\n"
        f"sys.exit({128 + int(number)})\n"
    )
    monkeypatch.setattr(plan, "COMMAND", (sys.executable, str(child)))

    def stop():
        end = time.monotonic() + 20
        while not (tmp_path / "ready").exists() and time.monotonic() < end:
            time.sleep(0.01)
        if (tmp_path / "ready").exists():
            os.kill(os.getpid(), number)

    thread, before = threading.Thread(target=stop), signal.getsignal(number)
    thread.start()
    status = run_sweep(*SEEDS, "--workdir", str(tmp_path / "sweep"))
    thread.join()
    assert status == 128 + number and signal.getsignal(number) == before
    assert (tmp_path / "ready").read_text() == "--config.seed=0"  # the others did not start
    assert (tmp_path / "saved").read_text() == "1 True"


def test_real_run_is_stopped_resumed_and_then_skipped(tmp_path):
    modest_folder.make(tmp_path / "set", size=32, grow=0)
    data = [
        "name=folder",
        f"dir={tmp_path / 'set'}",
        f"prepared_dir={tmp_path / 'prepared'}",
        "source=records",
    ]
    common = [
        *(f"--config.data.{part}" for part in data),
        "--config.stages=((16, 12),)",
        "--config.eval.batch_size=4",
    ]
    command = [sys.executable, "-m", "modest", "sweep", "--config", "masknet", "--vary", "seed=3"]
    command += ["--workdir", str(tmp_path / "sweep"), "--", *common, "--config.log_every=1"]
    cache = {
        "JAX_COMPILATION_CACHE_DIR": str(tmp_path / "cache"),
        "JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS": "0",
    }
    environment = os.environ | {"XLA_FLAGS": ""} | cache
    lines, results = (tmp_path / "sweep/seed=3" / name for name in ("metrics.jsonl", workdirs.EVAL))

    process = subprocess.Popen(
        command,
        cwd=ROOT,
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    while not lines.exists() or lines.read_text().count("\n") < 6:
        assert process.poll() is None, process.communicate()
        time.sleep(0.02)
    process.terminate()
    out, errors = process.communicate(timeout=300)
    assert process.returncode == 143, (out, errors)
    assert "stopped by SIGTERM, saved" in out and not results.exists()

    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert "resuming after step" in done.stdout
    table, written = (tmp_path / "sweep/sweep.json").read_text(), results.stat().st_mtime_ns
    (row,) = json.loads(table)["rows"]
    assert (
        row["n"] == 1
        and row["mask/iou"]["mean"] == json.loads(results.read_text())["test"]["mask/iou"]
    )

    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True)
    assert done.returncode == 0 and "[1/1] seed=3: finished before" in done.stdout
    assert (
        results.stat().st_mtime_ns == written
        and (tmp_path / "sweep/sweep.json").read_text() == table
    )
