"""The short form of `benchmarks/faults.py`: a run is killed, in a save too, its disk is full, its checkpoints are damaged."""

import argparse
import random
import shutil
import subprocess

import pytest

import modest_folder
from benchmarks import faults

NAMESPACES = ["unshare", "-rm", "bash", "-c", "mount -t tmpfs none /mnt"]


@pytest.fixture
def arguments(tmp_path):
    """What the command takes, cut short, on a small data set."""
    data = [f"--config.data.dir={modest_folder.make(tmp_path / 'set')}", f"--config.data.prepared_dir={tmp_path / 'prepared'}"]
    data += ["--config.data.name=folder", "--config.data.source=records", "--config.batch_size=8"]
    return argparse.Namespace(kills=2, points=1, flips=20, disk="1700k", seed=0, overrides=data)


def run(part, arguments, tmp_path):
    work = tmp_path / "work"
    work.mkdir()
    part(arguments, work, random.Random(arguments.seed))  # raises where anything is not as it must be


def test_killed_in_a_save_and_anywhere_it_ends_in_the_same_bits(arguments, tmp_path, capsys):
    run(faults.kills, arguments, tmp_path)
    said = capsys.readouterr().out
    assert "2 by SIGKILL" in said and " 0 processes left behind" in said


@pytest.mark.skipif(not shutil.which("strace"), reason="strace is not installed")
def test_killed_at_a_system_call_of_each_kind(arguments, tmp_path, capsys):
    run(faults.points, arguments, tmp_path)
    assert "killed at 5 calls" in capsys.readouterr().out


@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")  # of the reads that orbax leaves behind
def test_changed_bits_are_found(arguments, tmp_path, capsys):
    run(faults.flips, arguments, tmp_path)
    assert "20 in" in capsys.readouterr().out


@pytest.mark.skipif(bool(subprocess.run(NAMESPACES, capture_output=True).returncode), reason="no tmpfs of one's own can be mounted")
def test_a_full_disk(arguments, tmp_path, capsys):
    run(faults.full, arguments, tmp_path)
    assert "it went on to the same bits" in capsys.readouterr().out
