"""`python -m modest predict`: bad input is one line on stderr and exit status 2."""

from unittest.mock import Mock

import jax
import pytest
from PIL import Image

from modest.commands import predict, process


@pytest.mark.parametrize(
    ("bad", "message"),
    [
        ("gone", "gone.png: no such picture"),
        ("--size=3200000", "--size=3200000: at most 4096 px"),
        ("size", "60 x 40 and 10 x 10"),
        ("workdir", "nothing was trained"),
        ("out", "--out=/proc/x: cannot be written"),
        ("existing out", "--out=/proc/self: cannot be written"),
        ("thin", "60 x 1 px; a side has at least 8 px"),
        ("platform", "JAX_PLATFORMS=cuda: JAX cannot start"),
    ],
)
def test_bad_input_is_one_line(tmp_path, capsys, monkeypatch, bad, message):
    bg, bg_fg = str(tmp_path / "a.jpg"), str(tmp_path / "b.png")
    Image.new("RGB", (60, 40)).save(bg)
    Image.new("RGB", (10, 10) if bad == "size" else (60, 40)).save(bg_fg)
    if bad == "gone":
        bg_fg = str(tmp_path / "gone.png")
    if bad == "thin":
        for path in (bg, bg_fg):
            Image.new("RGB", (60, 1)).save(path)
    if bad == "platform":
        monkeypatch.setenv("JAX_PLATFORMS", "cuda")
        monkeypatch.setattr(jax, "devices", Mock(side_effect=AssertionError))
    out = {"out": "/proc/x", "existing out": "/proc/self"}.get(bad, str(tmp_path / "out"))
    arguments = ["--workdir", str(tmp_path / "no"), "--bg", bg, "--bg_fg", bg_fg, "--out", out]
    arguments += [bad] * bad.startswith("--size")
    assert process.run(predict.main, arguments) == 2
    error = capsys.readouterr().err
    assert error.startswith("error: ") and error.count("\n") == 1 and message in error
