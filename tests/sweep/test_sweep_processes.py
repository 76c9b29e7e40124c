"""Sweeps that start real processes."""

import json
import os
import shlex
import signal
import subprocess
import sys
import threading
import time

import pytest

import modest_folder
from modest.run import workdirs
from modest.sweep import plan
from repository import ROOT
from sweep_runs import CONFIG, SEEDS, run_sweep


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
    (row,) = json.loads(table)["splits"]["test"]
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
