"""How a command ends when its output is closed, and in what environment it runs."""

import errno
import os
import subprocess
import sys

import pytest

from modest.commands import process
from repository import ROOT

BEGIN = """
import contextlib, os, sys, time
from modest.commands import process
from modest.run import signals
"""


def command(code, **environment):
    """Return a process that runs a command, its stdout a pipe."""
    return subprocess.Popen(
        [sys.executable, "-c", BEGIN + code],
        cwd=ROOT,
        env=os.environ | environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


WRITE = """
def main():
    record = signals.recorded(lambda number: print(number, file=sys.stderr))
    with record if {saves} else contextlib.nullcontext():
        for number in range(100):
            print(number)
            time.sleep(0.02)
process.command(main)
"""


@pytest.mark.parametrize(("saves", "status", "error"), [(False, 141, ""), (True, 0, "13\n")])
def test_closed_output_is_a_signal(saves, status, error):
    with command(WRITE.format(saves=saves)) as run:
        assert run.stdout.readline() == "0\n"
        run.stdout.close()
        assert run.stderr.read() == error
    assert run.returncode == status


def test_status_of_argparse_and_of_a_stopped_run():
    for raised, status in (("SystemExit(2)", 2), ("SystemExit", 0), ("SystemExit(143)", 143)):
        run = command(f"def main(): raise {raised}\nprocess.command(main)")
        assert (*run.communicate(), run.returncode) == ("", "", status)


def test_figures_need_no_backend_of_a_notebook():
    code = "def main(): import matplotlib.figure\nprocess.command(main)"
    run = command(code, MPLBACKEND="module://matplotlib_inline.no_such_backend")
    assert run.communicate()[1] == "" and run.returncode == 0


def test_ascii_locale(tmp_path):
    code = """
def main():
    print(sys.argv[1], os.listdir(sys.argv[1]), chr(0xDC80))
if __name__ == "__main__": process.command(main)
"""
    (tmp_path / "ä").mkdir()
    (tmp_path / "ä" / "ö").touch()
    (tmp_path / "program.py").write_text(BEGIN + code)
    environment = {"LC_ALL": "C", "PYTHONCOERCECLOCALE": "0", "PYTHONUTF8": "0"}
    done = subprocess.run(
        [sys.executable, tmp_path / "program.py", tmp_path / "ä"],
        env=os.environ | environment | {"PYTHONPATH": str(ROOT)},
        capture_output=True,
    )
    assert done.stdout.decode() == f"{tmp_path}/ä ['ö'] \\udc80\n" and not done.stderr


def test_home_directory_is_completed(monkeypatch):
    monkeypatch.setenv("HOME", "/home/me")
    seen = []
    given = ["--out=~/x", "--config.data.dir=~", "--out", "~/x", "--vary", "a=~", "~x/y", "a~"]
    assert process.run(seen.extend, given) == 0
    home = ["--out=/home/me/x", "--config.data.dir=/home/me", "--out", "/home/me/x"]
    assert seen == [*home, "--vary", "a=~", "~x/y", "a~"]


def test_full_disk_is_one_line(capsys):
    def main(argv):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), "/disk/file")

    assert process.run(main, []) == 2
    assert capsys.readouterr().err == "error: /disk/file: No space left on device\n"


def test_too_little_memory_is_one_line(capsys):
    def main(argv):
        raise MemoryError("Unable to allocate 93 GiB")

    assert process.run(main, []) == 2
    error = capsys.readouterr().err
    assert error.startswith("error: out of memory (Unable to allocate 93 GiB); ")
    assert error.count("\n") == 1
