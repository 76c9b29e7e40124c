"""Two processes on one machine: they train what one with two devices does, stop together, and do not wait for the dead."""

import json
import os
import pathlib
import signal
import socket
import subprocess
import sys
import time

import modest_folder
from modest import logbook

ROOT = pathlib.Path(__file__).parent.parent
EPOCHS = 12


def start(tmp_path, workdir, devices, *arguments):
    data = [
        "--config.data.name=folder",
        f"--config.data.dir={tmp_path / 'set'}",
        f"--config.data.prepared_dir={tmp_path / 'prepared'}",
    ]
    sizes = [
        f"--config.stages=((32, {EPOCHS}),)",
        "--config.data.source=records",
        "--config.log_every=1",
        "--config.eval.batch_size=4",
    ]
    command = [
        sys.executable,
        "launch.py",
        "--config=configs/masknet.py",
        f"--workdir={tmp_path / workdir}",
        *data,
        *sizes,
        *arguments,
    ]
    environment = os.environ | {"XLA_FLAGS": f"--xla_force_host_platform_device_count={devices}"}
    return subprocess.Popen(command, cwd=ROOT, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def start_two(tmp_path, workdir):
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    shared = ["--distributed", f"--coordinator=127.0.0.1:{port}", "--num_processes=2"]
    return [start(tmp_path, workdir, 1, *shared, f"--process_id={number}") for number in (0, 1)]


def wait_for_lines(path, count, process):
    """Until the run has logged so many lines."""
    while not path.exists() or path.read_text().count("\n") < count:
        assert process.poll() is None, process.communicate()
        time.sleep(0.02)


def finish(processes):
    """What each wrote to stderr, and their statuses."""
    errors = [process.communicate(timeout=300)[1] for process in processes]
    return errors, [process.returncode for process in processes]


def outcome(workdir):
    lines = logbook.read_metrics(workdir)
    manifests = {path.parts[-3]: json.loads(path.read_text())["arrays"] for path in workdir.glob("checkpoints/*/meta/metadata")}
    results = (workdir / "eval.json").read_text()
    return [{k: v for k, v in line.items() if k not in logbook.CLOCK_VALUES} for line in lines], manifests, results


def test_two_processes_train_what_one_with_two_devices_does(tmp_path):
    modest_folder.make(tmp_path / "set")
    _, statuses = finish([start(tmp_path, "one", 2)])
    assert statuses == [0]
    expected = outcome(tmp_path / "one")
    lines = tmp_path / "two/metrics.jsonl"

    processes = start_two(tmp_path, "two")
    wait_for_lines(lines, 8, processes[0])
    processes[1].kill()  # the other leaves, and says why
    errors, statuses = finish(processes)
    assert statuses == [1, -signal.SIGKILL] and "another process of this run has died" in errors[0].splitlines()[-1]

    processes = start_two(tmp_path, "two")
    wait_for_lines(lines, 16, processes[0])
    processes[1].terminate()  # both stop before the same step, and save
    _, statuses = finish(processes)
    assert statuses == [143, 143]

    _, statuses = finish(start_two(tmp_path, "two"))
    assert statuses == [0, 0]
    assert outcome(tmp_path / "two") == expected
