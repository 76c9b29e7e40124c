"""`python -m modest predict`: a background of another view is refused, unless asked to go on."""

import json

import jax
import numpy as np
import pytest
from PIL import Image

from modest.commands import predict, process
from modest.data import images
from modest.data.synthetic import rooms
from modest.inference import frames
from modest.run import configs, files
from modest.state import train_state, weights


@pytest.fixture
def arguments(quick, tmp_path, drawn):
    """Return the arguments of a prediction with the background of another room."""
    config = configs.parse(json.loads(configs.as_json(quick)))
    created = train_state.create(config, 1, 1)
    trained = weights.Trained(config, created.model, drawn(jax.eval_shape(created.init)))
    weights.save(tmp_path / "network.safetensors", trained, made_by={})
    for name, seed in (("room", 1), ("other", 7)):
        Image.fromarray(rooms.render(seed, 128).picture).save(tmp_path / f"{name}.png")
    paths = {"workdir": "network.safetensors", "bg": "other.png", "bg_fg": "room.png", "out": "out"}
    return {name: str(tmp_path / path) for name, path in paths.items()}


def run(arguments, *more):
    given = [part for name, value in arguments.items() for part in (f"--{name}", value)]
    return process.run(predict.main, [*given, *more])


def test_background_of_another_view_is_refused(arguments, tmp_path, capsys):
    assert run(arguments) == 1
    error = capsys.readouterr().err
    assert error.count("\n") == 1 and "does not show the view of" in error
    assert not (tmp_path / "out" / "mask.png").exists()
    assert run(arguments, "--on_mismatch", "continue") == 0
    report = json.loads((tmp_path / "out" / "alignment.json").read_text())["room.png"]
    assert report["mismatch"] > 0.25


def test_two_runs_do_not_write_into_one_directory(arguments, tmp_path, capsys):
    with files.lock(tmp_path / "out" / predict.LOCK, "predicting into"):
        assert run(arguments | {"bg": arguments["bg_fg"]}) == 2
    assert f"{tmp_path}/out: " in (error := capsys.readouterr().err)
    assert "is predicting into it; wait for it" in error and error.count("\n") == 1
    assert [path.name for path in (tmp_path / "out").iterdir()] == [predict.LOCK]


def test_background_that_fits_is_used_as_it_is(arguments, tmp_path, capsys):
    assert run(arguments | {"bg": arguments["bg_fg"]}) == 0
    assert "are the same picture" in capsys.readouterr().out
    report = json.loads((tmp_path / "out" / "alignment.json").read_text())["room.png"]
    assert report.pop("mismatch") == pytest.approx(0, abs=1e-6)
    assert report == {"alignment": None, "compared_in_grey": False}


def test_unusable_pictures_of_a_directory_are_named(arguments, tmp_path, capsys, monkeypatch):
    pictures = tmp_path / "pictures"
    pictures.mkdir()
    for name in ("a", "b"):
        Image.open(arguments["bg"]).save(pictures / f"{name}.png")
    Image.open(arguments["bg_fg"]).save(pictures / "c.png")
    (pictures / "d.png").write_bytes(b"no picture")
    for name in ("notes.txt", "IMG_1.HEIC"):
        (pictures / name).touch()
    monkeypatch.setattr(images, "FORMATS", {"PNG": (".png",)})
    monkeypatch.setattr(frames, "PICTURES", (".png",))
    assert run(arguments | {"bg_fg": str(pictures)}) == 1
    printed = capsys.readouterr()
    assert "1 of 3 pictures: c;" in printed.err and "1 picture was left out: " in printed.err
    assert printed.err.count("\n") == 1
    assert "mismatch of the background" in printed.out and "passed over 2 files" in printed.out
    assert "pip install pillow-heif" in printed.out
    masks = {path.name for path in (tmp_path / "out" / "mask").iterdir()}
    assert masks == {"a.png", "b.png", "c.png"}
    assert np.asarray(Image.open(tmp_path / "out" / "mask" / "a.png")).shape == (128, 128)
