"""Reading directories and videos."""

import re
import sys

import numpy as np
import pytest
from PIL import Image

from modest.errors import InputError
from modest.inference import frames


@pytest.mark.parametrize(
    ("degrees", "corner"), [(0, (0, 0)), (90, (-1, 0)), (-90, (0, -1)), (180, (-1, -1))]
)
def test_rotated_video_is_turned_upright(tmp_path, degrees, corner):
    av = pytest.importorskip("av", reason="PyAV is not installed")
    stored = np.zeros((32, 64, 3), np.uint8)
    stored[:16, :16] = 255  # the top left corner, which moves to `corner`
    with av.open(str(tmp_path / "phone.mp4"), "w") as video:
        stream = video.add_stream("libx264", rate=10)
        stream.height, stream.width, stream.pix_fmt = 32, 64, "yuv420p"
        stream.set_display_rotation(degrees)
        frame = av.VideoFrame.from_ndarray(stored, format="rgb24")
        video.mux([*stream.encode(frame), *stream.encode()])
    ((_, frame),) = frames.read(tmp_path / "phone.mp4")
    assert frame.shape == ((64, 32, 3) if degrees in (90, -90) else (32, 64, 3))
    assert frame[corner].min() > 200 and frame.mean() < 80


def test_empty_directory_is_reported(tmp_path):
    with pytest.raises(InputError, match=re.escape("no .jpg, .jpeg, .png in it")):
        list(frames.read(tmp_path))


def test_two_pictures_of_the_same_name_are_reported(tmp_path):
    for name in ("a.jpg", "a.png"):
        Image.new("RGB", (60, 40)).save(tmp_path / name)
    with pytest.raises(InputError, match="a.jpg and a.png have the same name"):
        list(frames.read(tmp_path))


@pytest.mark.parametrize("content", [None, b"no video at all"])
def test_unreadable_video_is_reported(tmp_path, content):
    pytest.importorskip("av", reason="PyAV is not installed")
    path = tmp_path / "in.mp4"
    if content is not None:
        path.write_bytes(content)
    message = "no such video" if content is None else "not a video"
    with pytest.raises(InputError, match=f"in.mp4: {message}"):
        list(frames.read(path))


def test_missing_pyav_is_reported(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "av", None)
    with pytest.raises(InputError, match="pip install av"):
        list(frames.read(tmp_path / "in.mp4"))


def test_read_ahead_keeps_order_and_passes_errors_on():
    def items():
        yield from range(5)
        raise InputError("here")

    read = frames.read_ahead(items(), 2)
    assert [next(read) for _ in range(5)] == list(range(5))
    with pytest.raises(InputError, match="here"):
        next(read)
