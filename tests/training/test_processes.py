"""Two processes on one machine: they give the result of one, stop together, and end together."""

import json
import os
import signal
import socket
import subprocess
import sys
import time

import numpy as np

import modest_folder
from modest.run import logbook
from repository import ROOT

EPOCHS = 12


def start(tmp_path, workdir, devices, *arguments):
    command = [
        sys.executable,
        "launch.py",
        "--config=configs/masknet.py",
        f"--workdir={tmp_path / workdir}",
        "--config.data.name=folder",
        f"--config.data.dir={tmp_path / 'set'}",
        f"--config.data.prepared_dir={tmp_path / 'prepared'}",
        f"--config.stages=((32, {EPOCHS}),)",
        "--config.data.source=records",
        "--config.log_every=1",
        "--config.eval.batch_size=4",
        *arguments,
    ]
    flags = f"--xla_force_host_platform_device_count={devices}"
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
    return subprocess.Popen(command, cwd=ROOT, env=os.environ | {"XLA_FLAGS": flags}, **pipes)


def start_two(tmp_path, workdir):
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    shared = ["--distributed", f"--coordinator=127.0.0.1:{port}", "--num_processes=2"]
    return [start(tmp_path, workdir, 1, *shared, f"--process_id={number}") for number in (0, 1)]


def wait_for_lines(path, count, process):
    """Wait until the run has logged `count` lines."""
    while not path.exists() or path.read_text().count("\n") < count:
        assert process.poll() is None, process.communicate()
        time.sleep(0.02)


def finish(processes):
    """Return stderr and exit status of each process."""
    errors = [process.communicate(timeout=300)[1] for process in processes]
    return errors, [process.returncode for process in processes]


def outcome(workdir):
    """Return everything that a run leaves, without values that a clock has measured."""
    lines = logbook.read_metrics(workdir)
    metadata = workdir.glob("checkpoints/*/meta/metadata")
    manifests = {path.parts[-3]: json.loads(path.read_text())["arrays"] for path in metadata}
    names = ("eval.json", "eval_details.json", "eval_pictures.csv")
    results = [(workdir / name).read_text() for name in names]
    with np.load(workdir / "eval_extremes.npz") as pictures:
        results.append({name: pictures[name].tobytes() for name in pictures})
    clock = logbook.CLOCK_VALUES
    return [{k: v for k, v in line.items() if k not in clock} for line in lines], manifests, results


def test_two_processes_equal_one_with_two_devices(tmp_path):
    modest_folder.make(tmp_path / "set")
    _, statuses = finish([start(tmp_path, "one", 2)])
    assert statuses == [0]
    expected = outcome(tmp_path / "one")
    lines = tmp_path / "two/metrics.jsonl"

    processes = start_two(tmp_path, "two")
    wait_for_lines(lines, 8, processes[0])
    processes[1].kill()  # the other process exits, and says why
    errors, statuses = finish(processes)
    assert statuses == [1, -signal.SIGKILL]
    assert "this or another process of the run failed" in errors[0].splitlines()[-1]

    processes = start_two(tmp_path, "two")
    wait_for_lines(lines, 16, processes[0])
    processes[1].terminate()  # both stop before the same step, and save
    _, statuses = finish(processes)
    assert statuses == [143, 143]

    _, statuses = finish(start_two(tmp_path, "two"))
    assert statuses == [0, 0]
    assert outcome(tmp_path / "two") == expected


def test_bad_data_set_ends_both_processes_with_status_2(tmp_path):
    """The main process prepares first; the other one must neither wait for ever nor be killed."""
    (tmp_path / "set").mkdir()
    (tmp_path / "set/file_map.txt").write_text("bg001 bg001_fg001_01\n")
    errors, statuses = finish(start_two(tmp_path, "two"))
    assert statuses == [2, 2]
    assert all("file_map.txt:1: 2 names" in error.splitlines()[-1] for error in errors)


def test_compilation_cache_changes_no_bit(tmp_path, monkeypatch):
    modest_folder.make(tmp_path / "set")
    cache = tmp_path / "cache"
    monkeypatch.setenv("JAX_COMPILATION_CACHE_DIR", str(cache))
    runs = ("without", "empty", "filled")
    for name in runs:
        monkeypatch.setenv("JAX_ENABLE_COMPILATION_CACHE", str(name != "without").lower())
        assert finish([start(tmp_path, name, 1, "--config.stages=((32, 1),)")])[1] == [0]
        assert cache.exists() == (name != "without")
    assert (
        outcome(tmp_path / "without") == outcome(tmp_path / "empty") == outcome(tmp_path / "filled")
    )
