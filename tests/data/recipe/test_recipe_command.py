"""The command `compose`: options, exit statuses, kills, its lock, and the statistics."""

import dataclasses
import json
import os
import pathlib
import random
import re
import signal
import subprocess
import sys

import numpy as np
import pytest
from PIL import Image

from modest.commands import compose, process
from modest.data import modest_layout, pixel_statistics
from modest.data.recipe import build, settings
from modest.errors import InputError
from recipe_inputs import SMALL, arguments, make, read_tree, wait_until, write_inputs
from repository import ROOT

COMPOSE = [sys.executable, "-m", "modest", "compose"]


def test_every_option_has_help_and_reaches_the_recipe(options, monkeypatch, capsys):
    made = []

    def record(recipe, workers):
        made.append((recipe, workers))
        return 0

    monkeypatch.setattr(build, "make", record)
    more = ["--png", "mask", "depth", "--workers", "3", "--shadow", "0.25"]
    assert process.run(compose.main, arguments(options, *more)) == 0
    assert made == [(settings.Recipe(**options, png=("mask", "depth"), shadow=0.25), 3)]
    assert all(field.metadata["help"] for field in dataclasses.fields(settings.Recipe))
    with pytest.raises(SystemExit, match="0"):
        compose.main(["--help"])
    assert "--depth_unit" in capsys.readouterr().out


def test_help_imports_no_numpy():
    code = (
        "import sys; from modest.commands import compose\n"
        "try: compose.main(['--help'])\n"
        "finally: assert not {'numpy', 'PIL', 'scipy', 'jax'} & set(sys.modules)\n"
    )
    subprocess.run([sys.executable, "-c", code], cwd=ROOT, check=True, capture_output=True)


def test_bad_input_gives_one_line_and_status_2(options, tmp_path, capsys):
    path = tmp_path / "bg" / "deep.png"
    Image.new("I;16", (50, 50)).save(path)
    assert process.run(compose.main, arguments(options)) == 2
    message = f"error: {path}: mode I;16; a picture must have 8 bits per channel: convert it"
    error = capsys.readouterr().err
    assert error.startswith(message) and error.count("\n") == 1


def test_rerun_after_kills_is_bit_identical(tmp_path):
    out, undisturbed = tmp_path / "out", tmp_path / "undisturbed"
    inputs = write_inputs(tmp_path, backgrounds=8, figures=4)
    options = SMALL | {"places": 5, "out": str(out)} | inputs
    make(options, out=str(undisturbed))
    expected = read_tree(undisturbed)
    draw = random.Random(1)
    command = [*COMPOSE, *arguments(options), "--workers", "2"]
    for least in (0, 0.2, 0.5):
        _start_and_kill(command, out, int((least + draw.uniform(0, 0.2)) * len(expected)))
        assert not (out / "file_map.txt").exists()
    subprocess.run(command, cwd=ROOT, check=True, stdout=subprocess.DEVNULL)
    assert read_tree(out) == expected
    assert {path.name for path in out.iterdir()} == {path.name for path in undisturbed.iterdir()}


def _start_and_kill(command, out, file_count):
    """Run a command in its own session, and kill it when `out` has more than `file_count` files.

    Only the first process is killed. Its workers must end by themselves; wait for that.
    """

    def enough():
        return sum(len(files) for _, _, files in os.walk(out)) > file_count

    with subprocess.Popen(
        command,
        cwd=ROOT,
        start_new_session=True,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
    ) as running:
        wait_until(lambda: enough() or running.poll() is not None)
        assert running.poll() is None, running.stderr.read()
        running.kill()
    wait_until(lambda: not _processes_of_session(running.pid))


def _processes_of_session(session):
    """Return the ids of the living processes of a session, except zombies; needs `/proc`."""
    alive = []
    for path in pathlib.Path("/proc").glob("[0-9]*/stat"):
        try:
            state, _, _, of = path.read_text().rsplit(")", 1)[1].split()[:4]
        except OSError:
            continue  # it ended just now
        if int(of) == session and state != "Z":
            alive.append(path.parent.name)
    return alive


def test_directory_is_locked_by_one_process(options, capsys):
    out = pathlib.Path(options["out"])
    options = options | {"places": 200}
    command = [*COMPOSE, *arguments(options)]
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.DEVNULL) as first:
        try:
            wait_until(lambda: (out / "bg_fg").is_dir())
            first.send_signal(signal.SIGSTOP)
            assert process.run(compose.main, arguments(options)) == 2
        finally:
            first.kill()
    error = capsys.readouterr().err
    message = rf"error: {out}: process {first.pid} on \S+ is composing into it; wait for it\n"
    assert re.fullmatch(message, error)
    make(options | {"out": f"{out}2"})  # another directory is not locked


def test_statistics_are_those_of_all_pixels(options, capsys):
    drawn = {"depth": "scene", "rooms": 2, "people": 2, "places": 1, "bg": "", "fg": ""}
    assert process.run(compose.main, arguments(options | drawn, "--statistics")) == 0
    out = pathlib.Path(options["out"])
    measured = json.loads((out / "statistics.json").read_text())
    assert list(measured) == ["bg", "bg_fg", "mask", "depth"]
    assert measured == pixel_statistics.measure(out)
    for kind, directory in modest_layout.DIRECTORIES.items():
        paths = list((out / directory).iterdir())
        pictures = [np.asarray(Image.open(path)).reshape(28 * 28, -1) for path in paths]
        pixels = np.concatenate(pictures) / 255
        assert measured[kind]["pictures"] == len(paths) == (2 if kind == "bg" else 8)
        np.testing.assert_allclose(measured[kind]["mean"], pixels.mean(0), rtol=1e-9)
        np.testing.assert_allclose(measured[kind]["std"], pixels.std(0), rtol=1e-9)
    assert "bg_fg         8 pictures" in capsys.readouterr().out


def test_statistics_are_in_rgb_order_and_weighted_by_pixels(tmp_path):
    (tmp_path / "bg").mkdir()
    Image.new("RGB", (30, 10), (255, 51, 0)).save(tmp_path / "bg" / "a.png")
    Image.new("RGB", (10, 10), (255, 51, 204)).save(tmp_path / "bg" / "b.png")
    assert process.run(compose.main, ["--out", str(tmp_path), "--statistics"]) == 0
    measured = json.loads((tmp_path / "statistics.json").read_text())
    assert list(measured) == ["bg"]
    np.testing.assert_allclose(measured["bg"]["mean"], [1, 0.2, 0.2], atol=1e-12)
    np.testing.assert_allclose(measured["bg"]["std"], [0, 0, 0.8 * 3**0.5 / 4], atol=1e-9)
    with pytest.raises(InputError, match="has no pictures in bg, bg_fg"):
        pixel_statistics.measure(tmp_path / "bg")
