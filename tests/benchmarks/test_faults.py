"""A short form of `benchmarks/faults.py`: kills, a full disk, and damaged checkpoints."""

import argparse
import importlib
import random
import shutil
import subprocess
import sys

import pytest

import modest_folder
from benchmarks import faults
from benchmarks.jobs import checkpoint_faults, input_faults, input_readers

MOUNT_TMPFS = ["unshare", "-rm", "bash", "-c", "mount -t tmpfs none /mnt"]


@pytest.fixture
def arguments(tmp_path):
    """Return the arguments of the command with small numbers, and make a small data set."""
    overrides = [
        f"--config.data.dir={modest_folder.make(tmp_path / 'set')}",
        f"--config.data.prepared_dir={tmp_path / 'prepared'}",
        "--config.data.name=folder",
        "--config.data.source=records",
        "--config.batch_size=8",
    ]
    return argparse.Namespace(
        kills=2,
        points=1,
        flips=20,
        inputs=300,
        disk="1700k",
        seed=0,
        overrides=overrides,
    )


def run(part, arguments, tmp_path):
    """Run a part; it raises `RuntimeError` if a result is not as expected."""
    work = tmp_path / "work"
    work.mkdir()
    part(arguments, work, random.Random(arguments.seed))


def test_run_killed_during_a_save_and_elsewhere_is_bit_identical(arguments, tmp_path, capsys):
    run(faults.kills, arguments, tmp_path)
    output = capsys.readouterr().out
    assert "2 by SIGKILL" in output and " 0 processes left behind" in output


@pytest.mark.skipif(not shutil.which("strace"), reason="strace is not installed")
def test_save_killed_at_each_kind_of_system_call(arguments, tmp_path, capsys):
    run(checkpoint_faults.points, arguments, tmp_path)
    assert "killed at 5 calls" in capsys.readouterr().out


def test_mutated_inputs_are_read_or_refused(arguments, tmp_path, capsys):
    run(input_faults.inputs, arguments, tmp_path)
    assert "inputs: 300 mutated" in capsys.readouterr().out


# Orbax abandons reads of damaged files, which then raise where no one can catch it.
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
def test_damaged_files_are_found(arguments, tmp_path, capsys):
    run(checkpoint_faults.flips, arguments, tmp_path)
    assert "20 in" in capsys.readouterr().out


@pytest.mark.skipif(
    not shutil.which("unshare")
    or bool(subprocess.run(MOUNT_TMPFS, capture_output=True).returncode),
    reason="a tmpfs cannot be mounted without privileges",
)
def test_run_resumes_after_a_full_disk(arguments, tmp_path, capsys):
    run(faults.full, arguments, tmp_path)
    assert "resumed after room was made, with identical bits" in capsys.readouterr().out


def test_unknown_part_is_an_error(monkeypatch, capsys):
    monkeypatch.setattr(sys, "argv", ["faults", "--only", "kill"])
    with pytest.raises(SystemExit, match="2"):
        faults.main()
    assert "'kill'" in capsys.readouterr().err


def test_parts_without_depth_maps_need_no_openexr(monkeypatch):
    monkeypatch.setitem(sys.modules, "OpenEXR", None)
    importlib.reload(input_readers)
