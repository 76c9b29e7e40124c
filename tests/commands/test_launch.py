"""`launch.py`: bad input is one line on stderr and exit status 2."""

import os
import socket
import subprocess
import sys

import pytest

import modest_folder
from configs import masknet
from modest.run import files, workdirs
from repository import ROOT


def launch(*arguments, timeout=300):
    command = [sys.executable, "launch.py", *map(str, arguments)]
    options = {"capture_output": True, "text": True, "stdin": subprocess.DEVNULL}
    return subprocess.run(command, cwd=ROOT, timeout=timeout, **options)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (
            ["--config.optimizer.learning_rte=0.1"],
            "--config.optimizer.learning_rte: no such key: 'learning_rte'; "
            "did you mean learning_rate?",
        ),
        (["--config.library.composites=8"], "--config.library.composites: no such key: 'library'"),
        (["--config.batch_size=many"], "batch_size"),
        (["--config.seed=1.5"], "seed"),
        (
            ["--config.optimizer.learning_rate=nan"],
            "--config.optimizer.learning_rate=nan: must be a finite number above 0",
        ),
        (["--config.optimizer.learning_rate=-0.1"], "--config.optimizer.learning_rate=-0.1"),
        (
            ["--config.data.name=folder", "--config.data.dir=/nowhere"],
            "--config.data.dir=/nowhere: neither a zip nor a directory",
        ),
        (["--config.eval.splits=tset"], "--config.eval.splits=tset: must be one of train"),
        (["--config.profile=(2, 3.5)"], "--config.profile=(2, 3.5): must be empty or"),
        (["--process_id=1"], "--process_id needs --distributed"),
        (["--distributed", "--coordinator=foo"], "--coordinator=foo: must be HOST:PORT"),
        (["--distributed", "--coordinator=a:99999"], "--coordinator=a:99999: must be HOST:PORT"),
        (["--distributed", "--process_id=-1"], "--process_id=-1: must be at least 0"),
        (["--mode=lr_range", "--distributed"], "lr-range runs in one process"),
        (["batch_size=3"], "'batch_size=3' is not an option"),
        (["--workdir=/proc/modest"], "--workdir=/proc/modest: cannot be written"),
        (
            ["--mode=eval", "--workdir=/nowhere"],
            "/nowhere: no config.json, nothing was trained there",
        ),
    ],
)
def test_bad_input_is_one_line(arguments, message):
    done = launch("--config", "configs/depthnet.py", "--config.batch_size=8", *arguments)
    assert done.returncode == 2
    assert done.stderr.startswith("error: ") and done.stderr.count("\n") == 1
    assert message in done.stderr


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ([], "--config is missing"),
        (["--config", "configs/gone.py"], "configs/gone.py"),
        (
            ["--config", "configs/depthnet.py:musem"],
            "configs/depthnet.py:musem: the variants are '', 'gpu' and 'museum'\n",
        ),
    ],
)
def test_missing_config_is_one_line(arguments, message):
    done = launch(*arguments)
    assert done.returncode == 2
    assert done.stderr.count("\n") == 1 and message in done.stderr


def test_unknown_mode_is_refused():
    done = launch("--config", "configs/depthnet.py", "--mode=trian")
    assert done.returncode == 2 and "--mode" in done.stderr.splitlines()[-1]


def test_bad_data_is_reported_by_file_and_line(tmp_path):
    directory = modest_folder.make(tmp_path / "set")
    picture = directory / "bg_fg_mask" / "bg002_fg002_01_mask.jpeg"
    picture.write_bytes(picture.read_bytes()[:300])
    arguments = [
        *(
            "--config",
            "configs/depthnet.py",
            "--config.batch_size=8",
            "--workdir",
            tmp_path / "run",
        ),
        "--config.data.name=folder",
        f"--config.data.dir={directory}",
        f"--config.data.prepared_dir={tmp_path / 'prepared'}",
    ]
    done = launch(*arguments)
    assert done.returncode == 2
    assert "bg002_fg002_01_mask.jpeg: cannot be read" in done.stderr.splitlines()[-1]

    picture.write_bytes((directory / "bg_fg_mask" / "bg002_fg002_02_mask.jpeg").read_bytes())
    with (directory / "file_map.txt").open("a") as file:
        file.write("bg001 bg001_fg001_03\n")
    done = launch(*arguments)
    assert done.returncode == 2 and "file_map.txt:25: 2 names" in done.stderr.splitlines()[-1]


def test_batch_must_split_over_the_devices(tmp_path):
    sizes = "--config.batch_size=12", "--config.eval.batch_size=16"
    done = launch("--config", "configs/depthnet.py", *sizes, "--workdir", tmp_path / "run")
    assert done.returncode == 2  # conftest gives every process eight devices
    assert "--config.batch_size=12 cannot be split over 8 devices" in done.stderr


def test_locked_directory_is_refused(tmp_path):
    with files.lock(tmp_path / workdirs.LOCK, "training in"):
        arguments = "--config.batch_size=8", "--workdir", tmp_path
        done = launch("--config", "configs/masknet.py", *arguments)
    assert done.returncode == 2
    holder = f"process {os.getpid()} on {socket.gethostname()}"
    assert f"{tmp_path}: {holder} is training in it" in done.stderr


def test_summary_prints_the_layer_table():
    done = launch("--config", "configs/masknet.py", "--mode", "summary")
    assert done.returncode == 0
    size = masknet.get_config().stages[-1][0]
    assert "76,097" in done.stdout and "MFLOP" in done.stdout
    assert f"{size} x {size} x 32" in done.stdout


def test_summary_needs_no_data():
    done = launch("--config", "configs/masknet.py:museum", "--mode", "summary")
    assert done.returncode == 0 and "76,097" in done.stdout


def test_help():
    assert "--config" in launch("--help").stdout
