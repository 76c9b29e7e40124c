"""Reading directories and videos."""

import pathlib
import struct
import sys
import types

import numpy as np
import pytest
from PIL import Image

from modest.data import images, orientation
from modest.errors import IncompleteError, InputError
from modest.inference import frames
from modest.inference.clip import Clip
from modest.inference.video_writer import VideoWriter


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
    with pytest.raises(InputError, match="no .jpeg, .jpg, .*.png, .* in it"):
        list(frames.read(tmp_path))


def test_directory_of_heic_pictures_names_the_package(tmp_path, monkeypatch):
    monkeypatch.setattr(images, "FORMATS", {"PNG": (".png",)})
    monkeypatch.setattr(frames, "PICTURES", (".png",))
    (tmp_path / "IMG_1.HEIC").touch()
    with pytest.raises(InputError, match=r"no \.png in it; .*pip install pillow-heif"):
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
    (tmp_path / "in.mp4").touch()
    with pytest.raises(InputError, match="pip install 'av>="):
        list(frames.read(tmp_path / "in.mp4"))


def test_read_ahead_keeps_order_and_passes_errors_on():
    def items():
        yield from range(5)
        raise InputError("here")

    read = frames.read_ahead(items(), 2)
    assert [next(read) for _ in range(5)] == list(range(5))
    with pytest.raises(InputError, match="here"):
        next(read)


def write_video(path, shown, times=None):
    with VideoWriter(path, 10) as video:
        for number, picture in enumerate(shown):
            video.write(picture, None if times is None else times[number])


def test_name_with_a_colon_is_no_protocol(tmp_path, monkeypatch):
    pytest.importorskip("av", reason="PyAV is not installed")
    monkeypatch.chdir(tmp_path)
    path = pathlib.Path("out:1/12:30.mp4")
    path.parent.mkdir()
    write_video(path, levels(3))
    clip = Clip()
    assert len(list(frames.read(path, clip))) == 3 and clip.rate == 10


def levels(count):
    return [np.full((32, 64, 3), 20 * k, np.uint8) for k in range(count)]


def test_mirrored_video_is_turned_upright(tmp_path):
    pytest.importorskip("av", reason="PyAV is not installed")
    stored = np.zeros((32, 64, 3), np.uint8)
    stored[:16, :16] = 255
    for number, (a, b, c, d) in enumerate(orientation.OF_MATRIX):
        path = tmp_path / f"{number}.mp4"
        write_video(path, [stored])
        data = bytearray(path.read_bytes())
        place = data.index(b"tkhd") + 44  # the matrix in the header of the track
        fixed = [65536 * a, 65536 * b, 0, 65536 * c, 65536 * d, 0, 0, 0, 2**30]
        data[place : place + 36] = struct.pack(">9i", *fixed)
        path.write_bytes(data)
        ((_, frame),) = frames.read(path)
        expected = orientation.turn(stored, orientation.OF_MATRIX[a, b, c, d])
        assert frame.shape == expected.shape
        assert np.abs(frame.astype(int) - expected).mean() < 20


def test_times_of_a_video_with_a_variable_rate_are_kept(tmp_path):
    pytest.importorskip("av", reason="PyAV is not installed")
    times = [0, 0.1, 0.5, 0.6, 2.0]
    write_video(tmp_path / "in.mp4", levels(5), times)
    clip = Clip()
    assert len(list(frames.read(tmp_path / "in.mp4", clip))) == 5
    np.testing.assert_allclose(list(clip.times.values()), times, atol=1e-4)
    clip.check("in.mp4")


@pytest.mark.parametrize("suffix", [".mp4", ".avi"])
def test_truncated_video_gives_its_frames_and_says_how_many_are_missing(tmp_path, rng, suffix):
    av = pytest.importorskip("av", reason="PyAV is not installed")
    path, noise = tmp_path / f"in{suffix}", rng.integers(0, 255, (30, 32, 64, 3), np.uint8)
    options = {"movflags": "faststart"} if suffix == ".mp4" else {}
    with av.open(str(path), "w", options=options) as video:
        stream = video.add_stream("mpeg4", rate=10)
        stream.height, stream.width, stream.pix_fmt = 32, 64, "yuv420p"
        for picture in noise:
            video.mux(stream.encode(av.VideoFrame.from_ndarray(picture, format="rgb24")))
        video.mux(stream.encode())
    assert len(list(frames.read(path))) == 30
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    clip = Clip()
    count = len(list(frames.read(path, clip)))
    assert 2 < count < 25
    with pytest.raises(IncompleteError, match=f"in{suffix}: gave {count} of 30 frames"):
        clip.check(path)


@pytest.mark.parametrize(
    ("suffix", "form", "message"),
    [
        (".mkv", None, "gave [0-9]+ of about 30 frames"),
        (".ts", None, "gave [0-9]+ frames; the file is truncated"),
        (".m2ts", "mpegts", "gave [0-9]+ frames; the file is truncated"),
        (".gif", "gif", "gave [0-9]+ frames; the file is truncated"),
    ],
)
def test_truncated_video_that_states_no_number_of_frames(tmp_path, rng, suffix, form, message):
    av = pytest.importorskip("av", reason="PyAV is not installed")
    path = tmp_path / f"in{suffix}"
    with av.open(str(path), "w", format=form) as video:
        stream = video.add_stream("gif" if form == "gif" else "mpeg4", rate=5)
        stream.height, stream.width = 32, 64
        stream.pix_fmt = "rgb8" if form == "gif" else "yuv420p"
        for picture in rng.integers(0, 255, (30, 32, 64, 3), np.uint8):
            video.mux(stream.encode(av.VideoFrame.from_ndarray(picture, format="rgb24")))
        video.mux(stream.encode())
    clip = Clip()
    assert len(list(frames.read(path, clip))) == 30
    clip.check(path)
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2 + 1])
    clip = Clip()
    assert 2 < len(list(frames.read(path, clip))) < 25
    with pytest.raises(IncompleteError, match=message):
        clip.check(path)


@pytest.mark.parametrize("suffix", [".GIF", ".mpg", ".ts", ".3gp", ".wmv", ".flv", ".MTS"])
def test_other_containers_are_videos(tmp_path, suffix):
    av = pytest.importorskip("av", reason="PyAV is not installed")
    path, codec = (
        tmp_path / f"in{suffix}",
        {".GIF": "gif", ".mpg": "mpeg1video", ".flv": "flv"}.get(suffix),
    )
    shown = [np.kron(picture, np.ones((4, 2, 1), np.uint8)) for picture in levels(5)]
    with av.open(str(path), "w", format={".GIF": "gif", ".MTS": "mpegts"}.get(suffix)) as video:
        stream = video.add_stream(codec or "mpeg4", rate=25)
        stream.height, stream.width = shown[0].shape[:2]
        stream.pix_fmt = "rgb8" if codec == "gif" else "yuv420p"
        for picture in shown:
            video.mux(stream.encode(av.VideoFrame.from_ndarray(picture, format="rgb24")))
        video.mux(stream.encode())
    assert frames.is_video(path)
    clip = Clip()
    assert len(list(frames.read(path, clip))) == 5
    clip.check(path)


def test_hidden_files_are_passed_over_and_equal_names_are_found(tmp_path):
    picture = Image.new("RGB", (60, 40))
    picture.save(tmp_path / "a.JPG", "JPEG")
    picture.save(tmp_path / "b.webp")
    (tmp_path / "._a.JPG").write_bytes(b"\0\5\x16\7")
    assert [name for name, _ in frames.read(tmp_path)] == ["a", "b"]
    picture.save(tmp_path / "a.XX.jpg")  # sorts between the two of one name
    picture.save(tmp_path / "a.jpg")
    with pytest.raises(InputError, match="a.JPG and a.jpg have the same name"):
        list(frames.read(tmp_path))


def test_directory_with_the_name_of_a_video_holds_pictures(tmp_path):
    (tmp_path / "walk.mp4").mkdir()
    Image.new("RGB", (60, 40)).save(tmp_path / "walk.mp4" / "a.png")
    frames.check(tmp_path / "walk.mp4")
    assert [name for name, _ in frames.read(tmp_path / "walk.mp4")] == ["a"]


def test_old_pyav_is_reported(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "av", types.SimpleNamespace(__version__="12.3.0"))
    (tmp_path / "in.mp4").touch()
    with pytest.raises(InputError, match="PyAV 15 or later, and 12.3.0 is installed"):
        frames.check(tmp_path / "in.mp4")


def test_interrupted_video_leaves_no_file(tmp_path):
    with pytest.raises(KeyError), VideoWriter(tmp_path / "out.mp4", 10) as video:
        video.write(np.zeros((40, 60, 3), np.uint8))
        raise KeyError
    assert not list(tmp_path.iterdir())
