"""Prediction of one pair, of a directory, of a video; and the figures."""

import re
import sys

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from PIL import Image

from modest import config as configs
from modest import evaluate, frames, models, pictures, predict, report, state
from modest.checkpoint import Checkpoints
from modest.preprocess import to_float
from modest.vocabulary import InputError


@pytest.fixture
def workdir(config, tmp_path, drawn):
    """A work directory with one checkpoint of an untrained network."""
    configs.save(config, tmp_path, dataset={})
    with Checkpoints(tmp_path / "checkpoints", keep=2) as checkpoints:
        checkpoints.save(0, drawn(jax.eval_shape(state.create(config, 1, 1)[0])), {"step": 0, "epoch": 0})
    return tmp_path


@pytest.fixture
def pair(tmp_path, rng):
    paths = [str(tmp_path / name) for name in ("a.jpg", "b.png")]
    for path in paths:
        Image.fromarray(rng.integers(0, 255, (40, 60, 3), np.uint8)).save(path)
    return paths


def test_files_of_one_pair(workdir, pair, tmp_path):
    out = tmp_path / "out"
    assert predict.main(["--workdir", str(workdir), "--bg", pair[0], "--bg_fg", pair[1], "--out", str(out)]) == 0
    mask, depth = (np.asarray(Image.open(out / name)) for name in ("mask.png", "depth.png"))
    metres = np.load(out / "depth.npy")
    assert mask.shape == depth.shape == metres.shape == (40, 60)
    assert set(np.unique(mask)) <= {0, 255} and mask.dtype == np.uint8
    assert depth.dtype == np.uint16 and metres.dtype == np.float32 and 0 < metres.min() <= metres.max() < 10
    np.testing.assert_allclose(depth / 1000, metres, atol=0.00051)
    assert metres.std() > 0.05  # not a constant
    assert (out / "prediction.png").stat().st_size > 1000


@pytest.fixture
def predictor(workdir):
    return predict.Predictor(workdir)


def view(rng, count, size=(40, 60)):
    return list(rng.integers(0, 255, (count, *size, 3), np.uint8))


def test_the_backgrounds_own_map_takes_the_place_of_the_background(workdir, predictor, rng):
    """Many pictures, in batches of which the last is not full, against the network over each pair as it stands."""
    bg, *shown = view(rng, 6)
    config, model, best = evaluate.restore_best(workdir)
    given = list(predictor.each(bg, zip("abcde", shown), batch=2))
    assert [name for name, *_ in given] == list("abcde")
    for (_, picture, outputs), bg_fg in zip(given, shown):
        assert picture is bg_fg
        small = [pictures.resize(x, (32, 32))[None] for x in (bg, bg_fg)]
        logits, _ = state.forward(model, best, best.params, to_float(dict(zip(("bg", "bg_fg"), small))), train=False)
        for head, output in outputs.items():
            whole = np.asarray(Image.fromarray(np.asarray(jax.nn.sigmoid(logits[head][0, ..., 0]))).resize((60, 40), 2))
            np.testing.assert_allclose(output, whole, atol=1e-5)


@pytest.mark.parametrize("name", ["masknet", "depthnet", "unet"])
def test_every_network_can_be_given_the_backgrounds_map(name, rng, drawn):
    model = models.build(name, **({} if name == "masknet" else {"width": 2}))
    bg, bg_fg = jnp.asarray(rng.random((2, 1, 32, 32, 3), np.float32))
    variables = drawn(jax.eval_shape(model.init, jax.random.key(0), bg, bg_fg))
    from_map, whole = jax.jit(lambda v: (model.apply(v, None, bg_fg, bg_map=model.apply(v, bg)), model.apply(v, bg, bg_fg)))(
        variables
    )
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-5), from_map, whole)


def test_a_directory_gives_what_each_pair_gives(predictor, pair, tmp_path, rng):
    (tmp_path / "many").mkdir()
    shown = view(rng, 3)
    for name, picture in zip("cab", shown):
        Image.fromarray(picture).save(tmp_path / f"many/{name}.png")
    (tmp_path / "many/notes.txt").write_text("not a picture")
    bg = pictures.read(pair[0], "bg")
    count, out = predict.write_many(tmp_path / "out", bg, tmp_path / "many", predictor)
    assert count == 3 and sorted(str(path.relative_to(out)) for path in out.rglob("*.png")) == sorted(
        f"{head}/{name}.png" for head in ("mask", "depth") for name in "abc"
    )
    predict.write(tmp_path / "one", bg, shown[0], predictor(bg, shown[0]))
    depths = [np.asarray(Image.open(path)).astype(int) for path in (out / "depth/c.png", tmp_path / "one/depth.png")]
    assert np.abs(depths[0] - depths[1]).max() <= 1  # mm


def test_a_video_gives_a_mask_and_a_depth_for_every_frame_and_a_video_of_them(predictor, tmp_path, rng):
    av = pytest.importorskip("av", reason="PyAV is not installed")
    shown = [np.kron(rng.integers(0, 255, (5, 4, 3), np.uint8), np.ones((8, 15, 1), np.uint8)) for _ in range(11)]
    with frames.VideoWriter(tmp_path / "in.mp4", 10) as video:
        for picture in shown:
            video.write(picture)
    read = list(frames.read(tmp_path / "in.mp4"))
    assert [name for name, _ in read] == [f"{i:06}" for i in range(1, 12)]
    assert np.abs(np.stack([p for _, p in read]).astype(int) - np.stack(shown)).mean() < 12  # as well as H.264 keeps it
    count, out = predict.write_many(tmp_path / "out", read[0][1], tmp_path / "in.mp4", predictor)
    assert count == len(list((out / "mask").iterdir())) == len(list((out / "depth").iterdir())) == 11
    with av.open(str(out / "prediction.mp4")) as video:
        sizes = [frame.to_ndarray(format="rgb24").shape for frame in video.decode(video=0)]
        assert sizes == [(40, 180, 3)] * 11 and video.streams.video[0].average_rate == 10


def test_where_nothing_can_be_written_is_told_before_any_work(pair, capsys):
    arguments = ["--workdir", "/nowhere", "--bg", str(pair[0]), "--bg_fg", str(pair[1]), "--out", "/proc/x"]
    assert predict.main(arguments) == 2
    assert capsys.readouterr().err.startswith("error: --out=/proc/x: cannot be written")


@pytest.mark.parametrize("degrees, corner", [(0, (0, 0)), (90, (-1, 0)), (-90, (0, -1)), (180, (-1, -1))])
def test_the_video_of_a_phone_is_turned_upright(tmp_path, degrees, corner):
    av = pytest.importorskip("av", reason="PyAV is not installed")
    stored = np.zeros((32, 64, 3), np.uint8)
    stored[:16, :16] = 255  # the first corner, and where it goes when turned counterclockwise
    with av.open(str(tmp_path / "phone.mp4"), "w") as video:
        stream = video.add_stream("libx264", rate=10)
        stream.height, stream.width, stream.pix_fmt = 32, 64, "yuv420p"
        stream.set_display_rotation(degrees)
        video.mux([*stream.encode(av.VideoFrame.from_ndarray(stored, format="rgb24")), *stream.encode()])
    ((_, frame),) = frames.read(tmp_path / "phone.mp4")
    assert frame.shape == ((64, 32, 3) if degrees in (90, -90) else (32, 64, 3))
    assert frame[corner].min() > 200 and frame.mean() < 80


@pytest.mark.parametrize("kind", ["empty", "damaged", "not there", "another size", "one name", "no PyAV"])
def test_bad_input_among_many(predictor, pair, tmp_path, monkeypatch, kind):
    source, bg = tmp_path / "many", pictures.read(pair[0], "bg")
    source.mkdir()
    said = {"empty": "many: no .jpg", "damaged": "in.mp4: not a video", "not there": "in.mp4: no such video"}
    said |= {"another size": "--bg_fg wide differ in size (60 x 40 and 61 x 40 px)", "no PyAV": "pip install av"}
    said["one name"] = "a.jpg and a.png have one name"
    if kind == "one name":
        for name in ("a.jpg", "a.png"):
            Image.new("RGB", (60, 40)).save(source / name)
    elif kind == "another size":
        Image.new("RGB", (61, 40)).save(source / "wide.png")
    elif kind != "empty":
        if kind != "no PyAV":
            pytest.importorskip("av", reason="PyAV is not installed")
        source = tmp_path / "in.mp4"
    if kind in ("damaged", "no PyAV"):
        source.write_bytes(b"no video at all")
    if kind == "no PyAV":
        monkeypatch.setitem(sys.modules, "av", None)
    with pytest.raises(InputError, match=re.escape(said[kind])):
        predict.write_many(tmp_path / "out", bg, source, predictor)


def test_ahead_keeps_the_order_and_hands_on_what_is_raised():
    def items():
        yield from range(5)
        raise InputError("here")

    given = frames.ahead(items(), 2)
    assert [next(given) for _ in range(5)] == list(range(5))
    with pytest.raises(InputError, match="here"):
        next(given)


@pytest.mark.parametrize("changed", ["gone", "size", "workdir", "network size"])
def test_bad_input(workdir, pair, tmp_path, capsys, changed):
    if changed == "size":
        Image.new("RGB", (10, 10)).save(pair[1])
    bg_fg = str(tmp_path / "gone.png") if changed == "gone" else pair[1]
    nothing = tmp_path if changed == "network size" else tmp_path / "nothing"
    arguments = ["--workdir", str(nothing), "--size=40", "--bg", pair[0], "--bg_fg", bg_fg, "--out", str(tmp_path / "out")]
    assert predict.main(arguments) == 2
    error = capsys.readouterr().err
    assert error.count("\n") == 1
    said = {"gone": "gone.png: no such picture", "size": "60 x 40 and 10 x 10", "workdir": "nothing was trained"}
    assert (said | {"network size": "--size=40: depthnet takes sizes that are divisible by 32"})[changed] in error


def test_curves_are_drawn_from_the_lines_alone():
    lines = [
        {"step": 1, "epoch": 1, "seconds": 1, "train/loss": 2.0, "train/mask/iou": 0.1},
        {"step": 2, "epoch": 1, "seconds": 2, "train/loss": 1.0, "train/mask/iou": 0.3},
        {"step": 2, "epoch": 1, "seconds": 3, "val/loss": 1.2, "val/mask/iou": 0.25},
    ]
    loss, iou = report.curves(lines).axes  # no depth in the lines, so no such panel
    assert (loss.get_title(), iou.get_title()) == ("loss", "mask IoU")
    training, validation = loss.get_lines()
    assert training.get_ydata().tolist() == [1.5] and validation.get_ydata().tolist() == [1.2]


def test_predictions_put_truth_beside_prediction():
    picture = lambda value, channels: np.full((1, 8, 8, channels), value, np.uint8)
    example = {"bg": picture(10, 3), "bg_fg": picture(20, 3), "mask": picture(255, 1), "output_mask": picture(200, 1)}
    example |= {"depth": picture(51, 1), "output_depth": picture(102, 1)}
    figure = report.predictions({"test": example})
    panels = [axis for axis in figure.axes if axis.get_images() and axis.get_title()]
    assert [axis.get_title() for axis in panels] == list(report.COLUMNS.values())
    shown = [axis.get_images()[0].get_array().max() for axis in panels]
    assert shown == pytest.approx([10, 20, 255, 200, 2.0, 4.0])  # depth in metres
    tile = report.tile(example)
    assert tile.shape == (8, 48, 3) and tile[0, ::8, 0].tolist() == [10, 20, 255, 200, 51, 102]
