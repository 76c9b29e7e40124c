"""The command line: bad input is one line on stderr, exit status 2, and quick."""

import os
import pathlib
import socket
import subprocess
import sys

import pytest

import modest_folder
from configs import masknet
from modest import files, workdirs

ROOT = pathlib.Path(__file__).parent.parent


def launch(*arguments, timeout=300):
    command = [sys.executable, str(ROOT / "launch.py"), *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, cwd=ROOT, timeout=timeout, stdin=subprocess.DEVNULL)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (
            ["--config.optimizer.learning_rte=0.1"],
            """error: --config.*: no such key: 'learning_rte' Did you mean "learning_rate" """,
        ),
        (["--config.library.composites=8"], "error: --config.*: no such key: 'library'\n"),
        (["--config.batch_size=many"], "batch_size"),
        (["--config.seed=1.5"], "seed"),
        (["--config.optimizer.learning_rate=nan"], "--config.optimizer.learning_rate=nan: must be a finite number above 0"),
        (["--config.optimizer.learning_rate=-0.1"], "--config.optimizer.learning_rate=-0.1"),
        (["--config.data.name=folder", "--config.data.dir=/nowhere"], "--config.data.dir=/nowhere: neither a zip nor a directory"),
        (["--mode=trian"], "mode"),
        (["--config.eval.splits=tset"], "--config.eval.splits=tset: must be one of train"),
        (["--config.profile=(2, 3.5)"], "--config.profile=(2, 3.5): must be empty or"),
        (["--process_id=1"], "--process_id is of use with --distributed only"),
        (["--mode=lr_range", "--distributed"], "--mode=lr_range runs in one process"),
        (["batch_size=3"], "'batch_size=3' is not an option"),
        (["--workdir=/proc/modest"], "--workdir=/proc/modest: cannot be written"),
        (["--mode=eval", "--workdir=/nowhere"], "/nowhere: no config.json, nothing was trained there"),
    ],
)
def test_bad_input_is_one_line_and_status_2(arguments, message):
    done = launch("--config", "configs/depthnet.py", "--config.batch_size=8", *arguments)
    assert done.returncode == 2
    assert done.stderr.count("\n") == 1 and done.stderr.startswith("error: ") and message in done.stderr


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ([], "--config is missing"),
        (["--config", "configs/gone.py"], "configs/gone.py"),
        (
            ["--config", "configs/depthnet.py:musem"],
            "musem: ValueError: configs/depthnet.py:musem: the variants are '' and 'museum'\n",
        ),
    ],
)
def test_a_config_that_is_not_there(arguments, message):
    done = launch(*arguments)
    assert done.returncode == 2
    assert done.stderr.count("\n") == 1 and message in done.stderr


def test_bad_data_is_named(tmp_path):
    directory = modest_folder.make(tmp_path / "set")
    picture = directory / "bg_fg_mask" / "bg002_fg002_01_mask.jpeg"
    picture.write_bytes(picture.read_bytes()[:300])
    data = ["--config.data.name=folder", f"--config.data.dir={directory}", f"--config.data.prepared_dir={tmp_path / 'prepared'}"]
    arguments = ["--config", "configs/depthnet.py", "--config.batch_size=8", "--workdir", tmp_path / "run", *data]
    done = launch(*arguments)
    assert done.returncode == 2 and "bg002_fg002_01_mask.jpeg: cannot be read" in done.stderr.splitlines()[-1]

    picture.write_bytes((directory / "bg_fg_mask" / "bg002_fg002_02_mask.jpeg").read_bytes())
    with (directory / "file_map.txt").open("a") as file:
        file.write("bg001 bg001_fg001_03\n")
    done = launch(*arguments)
    assert done.returncode == 2 and "file_map.txt:25: 2 names" in done.stderr.splitlines()[-1]


def test_a_batch_that_does_not_split_over_the_devices(tmp_path):
    done = launch(
        "--config", "configs/depthnet.py", "--config.batch_size=12", "--config.eval.batch_size=16", "--workdir", tmp_path / "run"
    )
    assert done.returncode == 2  # conftest gives every process eight devices
    assert "--config.batch_size=12 cannot be split over 8 devices" in done.stderr


def test_a_directory_that_somebody_trains_in_is_refused(tmp_path):
    with files.lock(tmp_path / workdirs.LOCK, "training in"):
        done = launch("--config", "configs/masknet.py", "--config.batch_size=8", "--workdir", tmp_path)
    assert done.returncode == 2
    assert f"{tmp_path}: process {os.getpid()} on {socket.gethostname()} is training in it" in done.stderr


def test_summary_prints_the_layer_table():
    done = launch("--config", "configs/masknet.py", "--mode", "summary")
    assert done.returncode == 0
    size = masknet.get_config().stages[-1][0]
    assert "76,097" in done.stdout and "MFLOP" in done.stdout and f"{size} x {size} x 32" in done.stdout


def test_summary_needs_no_data():
    done = launch("--config", "configs/masknet.py:museum", "--mode", "summary")
    assert done.returncode == 0 and "76,097" in done.stdout


def test_help():
    assert "--config" in launch("--help").stdout
