"""`python -m modest predict`: bad input is one line on stderr and exit status 2."""

import pytest
from PIL import Image

from modest.commands import predict, process


@pytest.mark.parametrize(
    ("bad", "message"),
    [
        ("gone", "gone.png: no such picture"),
        ("size", "60 x 40 and 10 x 10"),
        ("workdir", "nothing was trained"),
        ("out", "--out=/proc/x: cannot be written"),
    ],
)
def test_bad_input_is_one_line(tmp_path, capsys, bad, message):
    bg, bg_fg = str(tmp_path / "a.jpg"), str(tmp_path / "b.png")
    Image.new("RGB", (60, 40)).save(bg)
    Image.new("RGB", (10, 10) if bad == "size" else (60, 40)).save(bg_fg)
    if bad == "gone":
        bg_fg = str(tmp_path / "gone.png")
    out = "/proc/x" if bad == "out" else str(tmp_path / "out")
    arguments = ["--workdir", str(tmp_path / "no"), "--bg", bg, "--bg_fg", bg_fg, "--out", out]
    assert process.run(predict.main, arguments) == 2
    error = capsys.readouterr().err
    assert error.startswith("error: ") and error.count("\n") == 1 and message in error
