"""The files of a prediction: of a pair, a directory, and a video."""

import re

import numpy as np
import pytest
from PIL import Image

from modest.data import images
from modest.data.synthetic import rooms
from modest.errors import InputError
from modest.inference import fitting, frames, output, output_directory, video_reader
from modest.inference.clip import Clip
from modest.inference.video_writer import VideoWriter


def test_files_of_a_pair(predictor, pair, tmp_path):
    bg, bg_fg = (images.read(path, "bg") for path in pair)
    out = tmp_path / "out"
    (result,) = fitting.predictions(predictor, bg, [("b", bg_fg)], "off", batch=1)
    names = [path.name for path in output.write_pair(out, bg, result)]
    assert names == ["mask.png", "depth.png", "depth.npy", "alignment.json", "prediction.png"]
    mask, depth = (np.asarray(Image.open(out / name)) for name in ("mask.png", "depth.png"))
    metres = np.load(out / "depth.npy")
    assert mask.shape == depth.shape == metres.shape == (40, 60)
    assert set(np.unique(mask)) <= {0, 255} and mask.dtype == np.uint8
    assert depth.dtype == np.uint16 and metres.dtype == np.float32
    assert 0 < metres.min() <= metres.max() < 10
    np.testing.assert_allclose(depth / 1000, metres, atol=0.00051)
    assert metres.std() > 0.05  # not a constant
    assert (out / "prediction.png").stat().st_size > 1000


def test_directory_gives_the_results_of_its_pairs(predictor, pair, tmp_path, rng):
    many, out = tmp_path / "many", tmp_path / "out"
    many.mkdir()
    shown = rng.integers(0, 255, (3, 40, 60, 3), np.uint8)
    for name, picture in zip("cab", shown):
        Image.fromarray(picture).save(many / f"{name}.png")
    (many / "notes.txt").write_text("not a picture")
    bg = images.read(pair[0], "bg")
    reports, clip = output.write_sequence(out, bg, many, predictor, "off")
    assert list(reports) == ["a", "b", "c"] and clip.problem(many) == ""
    written = sorted(str(path.relative_to(out)) for path in out.rglob("*.png"))
    assert written == [f"{head}/{name}.png" for head in ("depth", "mask") for name in "abc"]
    (result,) = fitting.predictions(predictor, bg, [("c", shown[0])], "off", batch=1)
    output.write_pair(tmp_path / "one", bg, result)
    paths = out / "depth/c.png", tmp_path / "one/depth.png"
    from_sequence, from_pair = (np.asarray(Image.open(path)).astype(int) for path in paths)
    assert np.abs(from_sequence - from_pair).max() <= 1  # mm


def test_part_that_a_background_does_not_reach_is_written(predictor, tmp_path):
    pytest.importorskip("cv2", reason="OpenCV is not installed")
    bg, many, out = rooms.render(1, 160).picture, tmp_path / "many", tmp_path / "out"
    many.mkdir()
    for name, shift in (("moved", 6), ("still", 0)):
        Image.fromarray(np.roll(bg, shift, axis=1)).save(many / f"{name}.png")
    reports, _ = output.write_sequence(out, bg, many, predictor, align_each=True)
    assert reports["moved"]["alignment"]["shift"] == pytest.approx([6, 0], abs=0.5)
    assert reports["still"]["alignment"] is None
    assert [path.name for path in (out / "unknown").iterdir()] == ["moved.png"]
    unknown, mask = (
        np.asarray(Image.open(out / kind / "moved.png")) for kind in ("unknown", "mask")
    )
    assert unknown[:, :3].min() == 255 and not unknown[10:-10, 20:-20].any()
    assert not mask[unknown > 0].any()


def test_video_gives_maps_of_every_frame_and_a_video(predictor, tmp_path, rng):
    av = pytest.importorskip("av", reason="PyAV is not installed")
    blocks = np.ones((8, 15, 1), np.uint8)
    shown = [np.kron(rng.integers(0, 255, (5, 4, 3), np.uint8), blocks) for _ in range(11)]
    with VideoWriter(tmp_path / "in.mp4", 10) as video:
        for picture in shown:
            video.write(picture)
    read = list(frames.read(tmp_path / "in.mp4"))
    assert [name for name, _ in read] == [f"{i:06}" for i in range(1, 12)]
    error = np.abs(np.stack([p for _, p in read]).astype(int) - np.stack(shown)).mean()
    assert error < 12  # the loss of H.264
    out = tmp_path / "out"
    reports, _ = output.write_sequence(out, read[0][1], tmp_path / "in.mp4", predictor, "off")
    assert list(reports) == [name for name, _ in read]
    assert len(list((out / "mask").iterdir())) == len(list((out / "depth").iterdir())) == 11
    with av.open(str(out / "prediction.mp4")) as video:
        sizes = [frame.to_ndarray(format="rgb24").shape for frame in video.decode(video=0)]
        assert sizes == [(40, 180, 3)] * 11
        assert video.streams.video[0].average_rate == 10
    # Its own results are replaced.
    output_directory.check(out, str(tmp_path / "bg.png"), str(tmp_path / "in.mp4"))


def test_picture_of_another_size_is_reported_by_name(predictor, pair, tmp_path):
    many = tmp_path / "many"
    many.mkdir()
    Image.new("RGB", (61, 40)).save(many / "wide.png")
    message = re.escape("--bg_fg wide differ in size (60 x 40 and 61 x 40 px)")
    with pytest.raises(InputError, match=message):
        output.write_sequence(tmp_path / "out", images.read(pair[0], "bg"), many, predictor)


def test_predicted_video_keeps_its_times_and_says_what_is_missing(
    predictor, tmp_path, rng, monkeypatch
):
    pytest.importorskip("av", reason="PyAV is not installed")
    times, shown = [0, 0.1, 0.5, 2.0], rng.integers(0, 255, (4, 40, 60, 3), np.uint8)
    with VideoWriter(tmp_path / "in.mp4", 10) as video:
        for time, picture in zip(times, shown):
            video.write(picture, time)
    out, clip = tmp_path / "out", Clip()
    monkeypatch.setattr(video_reader, "_promised", lambda *_: 9)
    _, given = output.write_sequence(out, shown[0], tmp_path / "in.mp4", predictor)
    assert given.problem("in.mp4").startswith("in.mp4: gave 4 of 9 frames")
    assert len(list((out / "mask").iterdir())) == 4
    assert len(list(frames.read(out / "prediction.mp4", clip))) == 4
    np.testing.assert_allclose(list(clip.times.values()), times, atol=1e-4)


def test_figure_of_a_large_picture_is_reduced(pair, tmp_path):
    large = np.full((1300, 1300, 3), 90, np.uint8)
    maps = {"mask": np.full((1300, 1300), 0.4, np.float32)}
    result = fitting.Result("large", large, maps, None, {})
    output.write_pair(tmp_path / "out", large, result)
    assert np.asarray(Image.open(tmp_path / "out" / "mask.png")).shape == (1300, 1300)
    assert output._reduced(large, output.FIGURE_PIXELS).shape == (1200, 1200, 3)


def test_video_of_wide_frames_is_reduced(tmp_path):
    """H.264 takes at most 16,384 px."""
    pytest.importorskip("av", reason="PyAV is not installed")
    wide, maps = np.zeros((40, 8200, 3), np.uint8), {"mask": np.ones((40, 8200), np.float32)}
    with VideoWriter(tmp_path / "out.mp4", 10) as video:
        video.write(output._side_by_side(wide, maps))
    ((_, frame),) = frames.read(tmp_path / "out.mp4")
    assert frame.shape == (20, 8192, 3)
    assert frame[:, :4000].max() < 20 and frame[:, 4200:].min() > 235


@pytest.fixture
def directory(tmp_path, rng):
    """Return a directory of three pictures of 60 x 40 px."""
    for name in "abc":
        picture = rng.integers(0, 255, (40, 60, 3), np.uint8)
        (tmp_path / "many").mkdir(exist_ok=True)
        Image.fromarray(picture).save(tmp_path / "many" / f"{name}.png")
    return tmp_path / "many"


def results(out):
    return sorted(str(path.relative_to(out)) for path in out.rglob("*") if path.is_file())


@pytest.mark.parametrize("kind", ["truncated", "size"])
def test_unusable_picture_is_named_and_the_others_are_predicted(
    predictor, pair, directory, tmp_path, kind
):
    bad, bg = directory / "a.png", images.read(pair[0], "bg")
    if kind == "size":
        Image.new("RGB", (61, 40)).save(bad)
    else:
        bad.write_bytes(bad.read_bytes()[:500])
    named = "a differ in size" if kind == "size" else f"{bad}: cannot be read"
    _, clip = output.write_sequence(tmp_path / "out", bg, directory, predictor, "off")
    assert re.search(f"1 picture was left out: .*{named}", clip.problem(directory))
    heads = [f"{head}/{name}.png" for head in ("depth", "mask") for name in "bc"]
    assert results(tmp_path / "out") == ["alignment.json", *heads]
    for name in "bc":
        (directory / f"{name}.png").write_bytes(b"")
    with pytest.raises(InputError, match=r"(a|b)(.png: cannot be read| differ in size)"):
        output.write_sequence(tmp_path / "out", bg, directory, predictor, "off")
    assert len(results(tmp_path / "out")) == 5  # nothing new, so nothing was removed


def test_results_of_an_earlier_run_are_replaced(predictor, pair, directory, tmp_path):
    bg, out = images.read(pair[0], "bg"), tmp_path / "out"
    output.write_sequence(out, bg, directory, predictor, "off")
    (out / "mine.txt").touch()
    (out / "mask" / "notes.txt").touch()
    (directory / "a.png").rename(directory / "d.png")
    output.write_sequence(out, bg, directory, predictor, "off")
    heads = [f"{head}/{name}.png" for head in ("depth", "mask") for name in "bcd"]
    kept = ["mask/notes.txt", "mine.txt"]
    assert results(out) == ["alignment.json", *heads, *kept]
    (result,) = fitting.predictions(predictor, bg, [("b", bg)], "off", batch=1)
    output.write_pair(out, bg, result)
    of_pair = ["alignment.json", "depth.npy", "depth.png", "mask.png", "prediction.png"]
    assert results(out) == sorted([*of_pair, *kept])


def test_pictures_of_others_survive_beside_results(predictor, pair, directory, tmp_path):
    bg, out = images.read(pair[0], "bg"), tmp_path / "out"
    for folder in ("mask", "unknown"):
        (out / folder).mkdir(parents=True)
        Image.fromarray(bg).save(out / folder / "mine.png")
    (out / "thesis.tmp").touch()
    (result,) = fitting.predictions(predictor, bg, [("b", bg)], "off", batch=1)
    for _ in range(2):
        output_directory.check(out, *map(str, pair))
        output.write_pair(out, bg, result)
    for name in ("mask/mine.png", "unknown/mine.png", "thesis.tmp"):
        assert (out / name).exists(), name
    with pytest.raises(InputError, match="contains mask/mine.png, which is no result"):
        output_directory.check(out, str(pair[0]), str(directory))


@pytest.mark.parametrize("name", output_directory.OF_PAIR)
def test_results_of_a_pair_do_not_replace_files_of_others(pair, tmp_path, name):
    (tmp_path / name).touch()
    with pytest.raises(InputError, match=f"contains {name}, but no alignment.json"):
        output_directory.check(tmp_path, *map(str, pair))


@pytest.mark.parametrize("name", ["mask.png", "prediction.png", "unknown.png"])
def test_picture_that_was_put_among_results_is_not_replaced(predictor, pair, tmp_path, name):
    bg, out = images.read(pair[0], "bg"), tmp_path / "out"
    (result,) = fitting.predictions(predictor, bg, [("b", bg)], "off", batch=1)
    output.write_pair(out, bg, result)
    output_directory.check(out, *map(str, pair))
    Image.fromarray(bg).save(out / name)
    with pytest.raises(InputError, match=f"contains {name}, which is no result"):
        output_directory.check(out, *map(str, pair))


def test_large_result_is_replaced(pair, tmp_path, monkeypatch):
    bg = images.read(pair[0], "bg")
    maps = {"mask": np.ones((40, 60), np.float32)}
    result = fitting.Result("b", bg, maps, None, {"mismatch": None})
    output.write_pair(tmp_path / "out", bg, result)
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 60 * 40 // 4)  # Pillow raises above twice that
    output_directory.check(tmp_path / "out", *pair)


def test_depth_without_its_mask_is_not_replaced(predictor, pair, tmp_path):
    bg, out = images.read(pair[0], "bg"), tmp_path / "out"
    (result,) = fitting.predictions(predictor, bg, [("b", bg)], "off", batch=1)
    output.write_pair(out, bg, result)
    (out / "mask.png").unlink()
    with pytest.raises(InputError, match=r"contains depth\.npy, which is no result"):
        output_directory.check(out, *map(str, pair))


def test_video_of_others_is_not_overwritten(predictor, pair, directory, tmp_path):
    bg, out = images.read(pair[0], "bg"), tmp_path / "out"
    out.mkdir()
    (out / output_directory.OF_VIDEO).write_bytes(b"a video")
    output_directory.check(out, str(pair[0]), str(directory))  # writes no video
    with pytest.raises(InputError, match="contains prediction.mp4, but no alignment.json"):
        output_directory.check(out, str(pair[0]), str(tmp_path / "walk.mp4"))
    for _ in range(2):
        output.write_sequence(out, bg, directory, predictor, "off")
        assert (out / output_directory.OF_VIDEO).read_bytes() == b"a video"
    with pytest.raises(InputError, match="contains prediction.mp4, which is no result"):
        output_directory.check(out, str(pair[0]), str(tmp_path / "walk.mp4"))


def test_results_of_a_pair_are_not_read_as_pictures(predictor, pair, tmp_path):
    bg, out = images.read(pair[0], "bg"), tmp_path / "out"
    (result,) = fitting.predictions(predictor, bg, [("b", bg)], "off", batch=1)
    output.write_pair(out, bg, result)
    with pytest.raises(InputError, match="holds results already"):
        output_directory.check(out, str(pair[0]), str(out))


@pytest.mark.parametrize("content", ['{"homography": [1, 0]}', '{"a": {}}', "[]", "1", "{"])
def test_other_json_of_the_name_of_the_reports_is_kept(pair, directory, tmp_path, content):
    path = tmp_path / "out" / "alignment.json"
    path.parent.mkdir()
    path.write_text(content)
    for bg_fg in (pair[1], str(directory)):
        with pytest.raises(InputError, match=r"contains another alignment\.json"):
            output_directory.check(path.parent, pair[0], bg_fg)
    assert path.read_text() == content
    path.write_text("{}")  # of a run that was killed
    output_directory.check(path.parent, *pair)


def test_files_of_others_are_not_overwritten(directory, tmp_path):
    out = tmp_path / "out"
    (out / "mask").mkdir(parents=True)
    output_directory.check(out, "bg.png", str(directory))
    (out / "mask" / "mine.png").touch()
    with pytest.raises(InputError, match="contains mask/mine.png, but no alignment.json"):
        output_directory.check(out, "bg.png", str(directory))
    (out / "mask.png").touch()
    for bg, bg_fg in (("bg.png", out / "mask.png"), (out / "mask/mine.png", directory)):
        with pytest.raises(InputError, match="would overwrite --bg"):
            output_directory.check(out, str(bg), str(bg_fg))
    with pytest.raises(InputError, match="would overwrite --bg="):
        output_directory.check(out, str(out / "unknown/bg.png"), str(directory))
    with pytest.raises(InputError, match="would overwrite --bg_fg"):
        output_directory.check(out, "bg.png", str(out / "mask"))
