"""The recipe as a command: what it writes, that the settings alone decide it, kills, refusals, and depth from each source."""

import dataclasses
import json
import os
import pathlib
import random
import re
import signal
import subprocess
import sys
import time

import numpy as np
import pytest
from PIL import Image

from modest.data import channels, compose, depth_maps, folder, recipe, sources, workshop
from modest.vocabulary import InputError

SMALL = {"work_size": 88, "figure_height": 40, "size": 28, "places": 2, "seed": 5}
ROOT = pathlib.Path(__file__).parents[1]


@pytest.fixture
def inputs(tmp_path):
    """Three backgrounds of different shapes and two cut-outs, as the flags of the command, with an `out`."""
    return {**SMALL, "out": str(tmp_path / "out"), **_inputs(tmp_path, backgrounds=3, figures=2)}


def _inputs(directory, backgrounds, figures):
    rng = np.random.default_rng(0)
    (directory / "bg").mkdir(), (directory / "fg").mkdir()
    for k in range(backgrounds):
        coarse = Image.fromarray(rng.integers(0, 256, (6, 6 + k % 3, 3), np.uint8))
        coarse.resize((90 + 10 * (k % 3), 90), Image.Resampling.BICUBIC).save(directory / "bg" / f"hall {k}.jpg")
    for k in range(figures):
        rgba = np.zeros((64, 40, 4), np.uint8)
        rgba[4:60, 8:24] = (220, 30 * k, 20, 255)  # margins all around, and nothing on the right of the arm
        rgba[10:20, 24:32] = (20, 200, 30, 255)
        Image.fromarray(rgba).save(directory / "fg" / f"{k}.png")
    return {"bg": str(directory / "bg"), "fg": str(directory / "fg")}


def _make(flags, workers=1, **changes):
    return workshop.make(recipe.Recipe(**flags | changes), workers)


def _command(flags, *more):
    return [word for name, value in flags.items() for word in (f"--{name}", str(value))] + ["--workers", "1", *more]


def _tree(directory):
    """{relative path: bytes} of every file, hidden ones too."""
    directory = pathlib.Path(directory)
    return {str(path.relative_to(directory)): path.read_bytes() for path in directory.rglob("*") if path.is_file()}


def _array(directory, kind, stem):
    [path] = (pathlib.Path(directory) / folder.DIRECTORIES[kind]).glob(f"{stem}.*")
    return np.asarray(Image.open(path))


def _names(flags):
    return [line.split("\t") for line in (pathlib.Path(flags["out"]) / "file_map.txt").read_text().splitlines()]


def test_layout_names_boxes_and_settings(inputs):
    assert _make(inputs, png=("bg_fg", "mask")) == 3 * 2 * 4
    found, mistakes = folder.entries(folder.open_files(inputs["out"]))
    assert not mistakes and not folder.has_depth(found)
    assert [e.bg_fg for e in found] == [f"bg{b:03}_fg{f:03}_{p:02}" for b in (1, 2, 3) for f in (1, 2) for p in (1, 2, 3, 4)]
    assert _names(inputs)[0] == ["bg001", "bg001_fg001_01", "bg001_fg001_01_mask", "-"]
    boxes = [line.split("\t") for line in (pathlib.Path(inputs["out"]) / "bbox.txt").read_text().splitlines()]
    assert [box[0] for box in boxes] == [f"{e.bg_fg}.png" for e in found]
    for entry, box in zip(found, boxes):
        mask = _array(inputs["out"], "mask", entry.mask)
        assert mask.shape == (28, 28) and tuple(map(int, box[1:])) == compose.box(mask)
        assert 12 <= int(box[4]) <= 13 and _array(inputs["out"], "bg_fg", entry.bg_fg).shape == (28, 28, 3)  # 40 px of 88, at 28
    files = _tree(inputs["out"])
    assert len(files) == 3 + 2 * 24 + 2 + 4  # two cut-outs; three texts and the lock
    settings = json.loads(files["recipe.json"])
    assert settings["inputs"]["backgrounds"]["bg002"]["file"] == "hall 1.jpg" and settings["depth"] == {"source": "none"}


def test_figure_is_cropped_mirrored_and_pasted_without_touching_the_rest(inputs):
    _make(inputs, png=("bg", "bg_fg", "mask"), size=88)
    bg = _array(inputs["out"], "bg", "bg001")
    for place in (1, 2, 3, 4):
        picture, mask = (
            _array(inputs["out"], "bg_fg", f"bg001_fg001_{place:02}"),
            _array(inputs["out"], "mask", f"bg001_fg001_{place:02}_mask"),
        )
        np.testing.assert_array_equal(picture[mask == 0], bg[mask == 0])
        x, y, width, height = compose.box(mask)
        assert (height, width) == (40, 17)  # 56 x 24 px of the cut-out, its margins gone
        arm = mask[y + 8, x : x + width] > 127
        assert arm.all() and (mask[y + 30, [x + 2, x + 14]] > 127).tolist() == [place <= 2, place > 2]


def test_workers_change_nothing_and_the_seed_does(inputs, tmp_path):
    _make(inputs)
    one = _tree(inputs["out"])
    _make(inputs, workers=2, out=str(tmp_path / "two"))
    assert _tree(tmp_path / "two") == one
    _make(inputs, out=str(tmp_path / "other"), seed=6)
    assert _tree(tmp_path / "other")["bbox.txt"] != one["bbox.txt"]


def test_a_pair_does_not_depend_on_the_others(inputs, tmp_path):
    for directory, prefix in (("bg", "bg"), ("fg", "fg")):
        for number, path in enumerate(sorted((tmp_path / directory).iterdir()), 11):
            path.rename(path.with_name(f"{prefix}{number}{path.suffix}"))
    _make(inputs)
    whole = _tree(inputs["out"])
    (tmp_path / "bg" / "bg11.jpg").unlink(), (tmp_path / "fg" / "fg11.png").unlink()
    _make(inputs, out=str(tmp_path / "fewer"))
    fewer = {name: data for name, data in _tree(tmp_path / "fewer").items() if name.endswith(".jpeg")}
    assert len(fewer) == 2 + 2 * 2 * 4 and fewer.items() <= whole.items()


def test_photographs_are_turned_upright_and_cropped_in_the_middle(tmp_path):
    picture = np.zeros((40, 80, 3), np.uint8)
    picture[:, 20:40], picture[:, 40:60] = 90, 200  # the middle square: a dark and a bright half
    tags = Image.Exif()
    tags[0x0112] = 6  # to be turned a quarter to the right
    Image.fromarray(picture).save(tmp_path / "plain.png")
    Image.fromarray(picture).save(tmp_path / "turned.png", exif=tags)
    plain = sources.background(tmp_path / "plain.png", 40)
    np.testing.assert_array_equal(plain, picture[:, 20:60])
    np.testing.assert_array_equal(sources.background(tmp_path / "turned.png", 40), np.rot90(plain, -1))
    assert sources.upright_shape(tmp_path / "turned.png") == (80, 40)


def test_killed_at_any_point_and_begun_again_it_ends_the_same(tmp_path):
    flags = SMALL | {"places": 5, "out": str(tmp_path / "out")} | _inputs(tmp_path, backgrounds=8, figures=4)
    _make(flags, out=str(tmp_path / "undisturbed"))
    undisturbed = _tree(tmp_path / "undisturbed")
    draw = random.Random(1)
    command = [sys.executable, "-m", "modest.data.compose", *_command(flags), "--workers", "2"]
    for least in (0, 0.2, 0.5):
        at = int((least + draw.uniform(0, 0.2)) * len(undisturbed))
        _start_and_kill(command, flags["out"], at)
        assert not (tmp_path / "out" / "file_map.txt").exists()
    subprocess.run(command, cwd=ROOT, check=True, stdout=subprocess.DEVNULL)
    assert _tree(flags["out"]) == undisturbed
    assert {path.name for path in (tmp_path / "out").iterdir()} == {path.name for path in (tmp_path / "undisturbed").iterdir()}


def _start_and_kill(command, out, files):
    """Runs a command in a session of its own and kills its first process when `out` holds so many files; none may live on."""
    with subprocess.Popen(command, cwd=ROOT, start_new_session=True, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE) as process:
        _until(lambda: sum(len(found) for _, _, found in os.walk(out)) > files or process.poll() is not None)
        assert process.poll() is None, process.stderr.read()
        process.kill()
    _until(lambda: not _in_session(process.pid))


def _until(condition, seconds=30):
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "waited in vain"
        time.sleep(0.005)


def _in_session(session):
    """The living processes of a session (a zombie is none), where the system tells."""
    alive = []
    for path in pathlib.Path("/proc").glob("[0-9]*/stat"):
        try:
            state, _, _, of = path.read_text().rsplit(")", 1)[1].split()[:4]
        except OSError:
            continue  # it ended just now
        if int(of) == session and state != "Z":
            alive.append(path.parent.name)
    return alive


def test_finished_units_are_kept_and_temporary_files_removed(inputs, monkeypatch):
    _make(inputs)
    whole, out = _tree(inputs["out"]), pathlib.Path(inputs["out"])
    (out / ".done").mkdir()
    (out / ".done" / "bg002").write_text("".join(line + "\n" for line in whole["bbox.txt"].decode().splitlines()[8:16]))
    (out / "file_map.txt").unlink(), (out / "bbox.txt").unlink()
    for stray in (out / ".recipe.json.7.tmp", out / "bg_fg" / ".bg003_fg001_01.jpeg.7.tmp", out / ".done" / ".bg003.7.tmp"):
        stray.write_bytes(b"half")
    composed, unit = [], workshop.compose_unit
    monkeypatch.setattr(workshop, "compose_unit", lambda plan, background: composed.append(background) or unit(plan, background))
    _make(inputs)
    assert composed == ["bg001", "bg003"] and _tree(out) == whole
    _make(inputs)
    assert len(composed) == 2  # a complete one is left alone


def test_a_file_is_there_as_a_whole_or_not_at_all(inputs, monkeypatch):
    def full(source, target):
        assert pathlib.Path(source).parent == pathlib.Path(target).parent and not pathlib.Path(target).exists()
        if len(_tree(inputs["out"])) > 12:
            raise OSError(28, "No space left on device")
        replace(source, target)

    replace = os.replace
    with monkeypatch.context() as patched:
        patched.setattr(os, "replace", full)
        with pytest.raises(InputError, match="bg001_fg001_04_mask.jpeg: cannot be written .No space left on device"):
            _make(inputs)
    assert "file_map.txt" not in _tree(inputs["out"])
    _make(inputs)
    assert not [name for name in _tree(inputs["out"]) if name.endswith(".tmp")]


def test_two_composers_do_not_share_a_directory(inputs, capsys):
    flags = inputs | {"places": 200}
    command = [sys.executable, "-m", "modest.data.compose", *_command(flags)]
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.DEVNULL) as first:
        try:
            _until(lambda: (pathlib.Path(flags["out"]) / "bg_fg").is_dir())
            first.send_signal(signal.SIGSTOP)
            assert workshop.main(_command(flags)) == 2
        finally:
            first.kill()
    error = capsys.readouterr().err
    assert re.fullmatch(rf"error: {flags['out']}: process {first.pid} on \S+ is composing into it; wait for it\n", error)
    _make(inputs | {"out": flags["out"] + "2"})  # the lock is that directory's alone


def test_other_settings_and_foreign_directories_are_refused(inputs, tmp_path):
    _make(inputs)
    with pytest.raises(InputError, match="another seed: 5 then, 6 now"):
        _make(inputs, seed=6)
    with pytest.raises(InputError, match=r"another inputs.figures.fg002: .* then, nothing now"):
        (tmp_path / "fg" / "1.png").unlink()
        _make(inputs)
    (tmp_path / "begun").mkdir()
    (tmp_path / "begun" / ".recipe.json.7.tmp").touch()  # killed before its first file had its name
    _make(inputs, out=str(tmp_path / "begun"))
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "letter.txt").touch()
    with pytest.raises(InputError, match="holds letter.txt"):
        _make(inputs, out=str(tmp_path / "mine"))
    assert [path.name for path in (tmp_path / "mine").iterdir()] == ["letter.txt"]


@pytest.mark.parametrize(
    "changes, message",
    [
        ({"bg": "nowhere"}, "nowhere: not a directory of backgrounds"),
        ({"fg": "{tmp}/empty"}, "holds no cut-outs"),
        ({"figure_height": 0}, "--figure_height must be at least 1, not 0"),
        ({"figure_height": 89}, "--figure_height must be at most --work_size, 88"),
        ({"size": 89}, "--work_size must be from --size"),
        ({"noise": float("nan")}, "--noise must be at least 0"),
        ({"jpeg_quality": 101}, "--jpeg_quality must be from 1 to 100"),
        ({"png": ("masks",)}, "no kind 'masks'"),
        ({"out": ""}, "--out is missing"),
        ({"bg": ""}, "--bg and --fg are missing"),
        ({"depth": "sonar"}, "no source 'sonar'; there are none, folder"),
        ({"depth": "scene"}, "draws its own rooms"),
        ({"depth": "folder", "depth_unit": "metres"}, "--depth folder needs --depth_dir"),
        ({"depth": "folder", "depth_dir": "{tmp}/bg"}, "no unit ''; there are metres"),
        (
            {"depth": "folder", "depth_dir": "{tmp}/bg", "depth_unit": "metres"},
            "no depth map of bg001_fg001_01 nor of 7 more of bg001",
        ),
        ({"depth": "folder", "depth_dir": "{tmp}/bg", "depth_unit": "metres", "depth_scale": 0.0}, "the scale not 0"),
    ],
)
def test_settings_that_cannot_be_used(inputs, tmp_path, changes, message):
    (tmp_path / "empty").mkdir()
    changes = {name: value.format(tmp=tmp_path) if isinstance(value, str) else value for name, value in changes.items()}
    with pytest.raises(InputError, match=message):
        _make(inputs, **changes)
    assert not pathlib.Path(inputs["out"]).exists()


def _opaque(path):
    Image.new("RGB", (20, 40)).save(path)


def _faint(path):
    Image.new("RGBA", (20, 40), (9, 9, 9, 100)).save(path)


def _wide(path):
    Image.new("RGBA", (90, 40), (9, 9, 9, 255)).save(path)


def _cut_short(path):
    Image.effect_noise((60, 60), 50).convert("RGBA").save(path)
    path.write_bytes(path.read_bytes()[:-200])


@pytest.mark.parametrize(
    "broken, message",
    [
        (_opaque, "2.png: has no alpha channel"),
        (_faint, "2.png: its alpha is nowhere above 127"),
        (_wide, "2.png: 90 px wide when 40 px high.*with --figure_height 39"),
        (_cut_short, "2.png: cannot be read as a JPEG or PNG"),
        (lambda path: path.write_text("<html>"), "2.png: cannot be read"),
        (lambda path: _faint(path.with_name("1.jpeg.png").with_name("0.PNG")), "0.png has the same name|0.PNG has the same name"),
    ],
)
def test_cutouts_that_cannot_be_used(inputs, tmp_path, broken, message):
    broken(tmp_path / "fg" / "2.png")
    with pytest.raises(InputError, match=message):
        _make(inputs)
    assert not pathlib.Path(inputs["out"]).exists()


def test_bad_input_is_one_line_and_status_2(inputs, tmp_path, capsys):
    Image.new("I;16", (50, 50)).save(tmp_path / "bg" / "deep.png")
    assert workshop.main(_command(inputs)) == 2
    assert capsys.readouterr().err == f"error: {tmp_path / 'bg' / 'deep.png'}: mode I;16; a picture has 8 bits a channel\n"


def test_values_become_metres_as_declared():
    values = np.array([[0.0, 2.0], [4.0, 8.0]], np.float32)
    np.testing.assert_allclose(depth_maps.to_metres(values, "metres"), values)
    np.testing.assert_allclose(depth_maps.to_metres(1000 * values, "millimetres"), values)
    np.testing.assert_allclose(depth_maps.to_metres(values, "centimetres", scale=50, shift=10), values / 2 + 0.1)
    np.testing.assert_allclose(depth_maps.to_metres(np.array([255, 51]), "modest"), [10, 2])
    np.testing.assert_allclose(depth_maps.to_metres(values, "inverse_metres", 0.5, 1), [[1, 0.5], [1 / 3, 0.2]])
    assert depth_maps.to_metres(np.array([0.0, -1.0]), "inverse_metres").tolist() == pytest.approx([1e6, 1e6])  # far, not near
    assert depth_maps.formula("inverse_metres", 0.5, 1) == "metres = 1 / (0.5 * value + 1)"


def test_maps_of_composites_made_elsewhere(inputs, tmp_path):
    _make(inputs)
    (tmp_path / "maps").mkdir()
    for k, (_, name, _, _) in enumerate(_names(inputs)):
        values = np.full((56, 56), 1000 + 100 * k, np.uint16)  # millimetres, twice the size
        values[:28] = 9000
        Image.fromarray(values).save(tmp_path / "maps" / f"{name}.png")
    depth = {"depth": "folder", "depth_dir": str(tmp_path / "maps"), "depth_unit": "millimetres", "png": ("depth",)}
    _make(inputs, **depth, out=str(tmp_path / "deep"))
    found, _ = folder.entries(folder.open_files(tmp_path / "deep"))
    assert folder.has_depth(found)
    for k, entry in enumerate(found):
        stored = _array(tmp_path / "deep", "depth", entry.depth)
        np.testing.assert_array_equal(stored[:13], compose.encode_depth(9.0))
        np.testing.assert_array_equal(stored[15:], compose.encode_depth(1 + k / 10))
    plain, deep = _tree(inputs["out"]), _tree(tmp_path / "deep")
    assert all(deep[name] == plain[name] for name in plain if name.endswith((".jpeg", "bbox.txt")))
    described = json.loads(deep["recipe.json"])["depth"]
    assert described["unit"] == "millimetres" and described["conversion"] == "metres = 0.001 * (1 * value + 0)"
    Image.new("L", (56, 40)).save(tmp_path / "maps" / f"{found[3].bg_fg}.png")
    with pytest.raises(InputError, match="bg001_fg001_04.png: 56 x 40 px"):
        _make(inputs, **depth, out=str(tmp_path / "deep2"))


def test_maps_of_backgrounds_put_the_figure_where_its_feet_are(inputs, tmp_path):
    (tmp_path / "maps").mkdir()
    for path in (tmp_path / "bg").iterdir():
        height, width = sources.upright_shape(path)
        metres = np.repeat(np.linspace(8, 2, height, dtype=np.float32)[:, None], width, 1)  # a floor that comes nearer
        np.save(tmp_path / "maps" / f"{path.stem}.npy", 1 / metres)
    depth = {"depth": "folder", "depth_dir": str(tmp_path / "maps"), "depth_unit": "inverse_metres", "depth_of": "backgrounds"}
    _make(inputs, **depth, png=("mask", "depth"))
    floor = 8 - 6 * (np.arange(28) + 0.5) / 28
    for _, _, mask, stored in _names(inputs):
        mask, stored = _array(inputs["out"], "mask", mask), _array(inputs["out"], "depth", stored) / 25.5
        _, y, _, height = compose.box(mask)
        assert np.ptp(stored[mask > 127]) == 0 and stored[mask > 127][0] == pytest.approx(floor[y + height - 1], abs=0.1)
        np.testing.assert_allclose(stored[mask <= 127], np.broadcast_to(floor[:, None], (28, 28))[mask <= 127], atol=0.1)
    np.save(tmp_path / "maps" / "hall 2.npy", np.ones((110, 90), np.float32))
    with pytest.raises(InputError, match="hall 2.npy: 90 x 110 px, but its background is 110 x 90"):
        _make(inputs, **depth, out=inputs["out"] + "2")


@pytest.mark.parametrize("values", [np.full((8, 8), np.nan), np.array([{}], object), np.ones((8, 8, 3)), np.array(["far"])])
def test_maps_that_are_none(tmp_path, values):
    np.save(tmp_path / "map.npy", values)
    with pytest.raises(InputError, match="map.npy"):
        sources.depth_map(tmp_path / "map.npy")


def test_scene_has_exact_depth(tmp_path):
    flags = SMALL | {"depth": "scene", "rooms": 2, "people": 2, "places": 1, "out": str(tmp_path / "out"), "png": ("mask", "depth")}
    _make(flags)
    made = recipe.Recipe(**flags)
    room, person = workshop.procedural.room(made.museum, 1), workshop.procedural.person(made.museum, 0)
    exact = compose.encode_depth(depth_maps.resize(room.depth, 28, exact=True))
    mask, stored = (
        _array(tmp_path / "out", "mask", "bg002_fg001_01_mask"),
        _array(tmp_path / "out", "depth", "bg002_fg001_01_depth_map"),
    )
    np.testing.assert_array_equal(stored[mask <= 127], exact[mask <= 127])
    metres = compose.figure_depth(room.focal, person.height_m, 40)
    np.testing.assert_array_equal(stored[mask > 127], compose.encode_depth(metres))
    assert (mask > 127).any() and np.ptp(exact) > 50
    found, mistakes = folder.entries(folder.open_files(tmp_path / "out"))
    assert len(found) == 8 and not mistakes


@pytest.fixture(scope="module")
def tiny_model(tmp_path_factory):
    """A depth estimator with a few thousand random weights, saved as transformers save one."""
    reason = "needs torch and transformers: pip install torch transformers"
    torch = pytest.importorskip("torch", reason=reason)
    transformers = pytest.importorskip("transformers", reason=reason)
    torch.manual_seed(0)
    ones = {name: [1, 1, 1, 1] for name in ("depths", "num_attention_heads", "mlp_ratios")}
    config = transformers.GLPNConfig(hidden_sizes=[8] * 4, decoder_hidden_size=8, sr_ratios=[4, 2, 1, 1], **ones)
    directory = tmp_path_factory.mktemp("tiny")
    transformers.GLPNForDepthEstimation(config).save_pretrained(directory)
    processor = getattr(transformers, "GLPNImageProcessorPil", None) or transformers.GLPNImageProcessor
    processor(size_divisor=32).save_pretrained(directory)
    return str(directory)


@pytest.mark.parametrize("of", ["composites", "backgrounds"])
def test_an_estimator_of_transformers(inputs, tmp_path, tiny_model, of):
    depth = {"depth": "transformers", "depth_model": tiny_model, "depth_unit": "metres", "depth_scale": 4.0, "depth_shift": -18.0}
    _make(inputs, **depth, depth_of=of, places=1, png=("mask", "depth"))
    assert len(folder.entries(folder.open_files(inputs["out"]))[0]) == 12
    mask, stored = _array(inputs["out"], "mask", "bg002_fg002_02_mask"), _array(inputs["out"], "depth", "bg002_fg002_02_depth_map")
    estimate, fingerprint = depth_maps.estimator(tiny_model)
    bg = sources.background(tmp_path / "bg" / "hall 1.jpg", 88)
    estimated = compose.encode_depth(depth_maps.resize(4 * estimate(bg) - 18, 28))
    assert len(np.unique(estimated)) > 3 and 3 < estimated.min() and estimated.max() < 255
    far = np.full((28, 28), of == "backgrounds") & (mask <= 127)
    np.testing.assert_array_equal(stored[far], estimated[far])
    assert (np.ptp(stored[mask > 127]) == 0) == (of == "backgrounds")
    assert (stored != estimated).any()
    described = json.loads((pathlib.Path(inputs["out"]) / "recipe.json").read_text())["depth"]
    assert described["sha256"] == fingerprint and described["conversion"] == "metres = 1 * (4 * value + -18)"


def test_a_model_that_is_none(inputs, tiny_model, tmp_path):
    (tmp_path / "hollow").mkdir()
    with pytest.raises(InputError, match="hollow: cannot be loaded as a depth-estimation model"):
        _make(inputs, depth="transformers", depth_model=str(tmp_path / "hollow"), depth_unit="metres")


def test_without_transformers_it_says_what_to_install(inputs, monkeypatch):
    monkeypatch.setitem(sys.modules, "transformers", None)
    monkeypatch.setitem(sys.modules, "torch", None)
    with pytest.raises(InputError, match="pip install torch transformers"):
        _make(inputs, depth="transformers", depth_model="some/model", depth_unit="metres")


def test_statistics_are_those_of_all_pixels(inputs, capsys):
    flags = inputs | {"depth": "scene", "rooms": 2, "people": 2, "places": 1, "bg": "", "fg": ""}
    assert workshop.main(_command(flags, "--statistics")) == 0
    measured = json.loads((pathlib.Path(flags["out"]) / "statistics.json").read_text())
    assert list(measured) == ["bg", "bg_fg", "mask", "depth"] and measured == channels.measure(flags["out"])
    for kind, directory in folder.DIRECTORIES.items():
        paths = list((pathlib.Path(flags["out"]) / directory).iterdir())
        pixels = np.concatenate([np.asarray(Image.open(path)).reshape(28 * 28, -1) for path in paths]) / 255
        assert measured[kind]["pictures"] == len(paths) == (2 if kind == "bg" else 8)
        np.testing.assert_allclose(measured[kind]["mean"], pixels.mean(0), rtol=1e-9)
        np.testing.assert_allclose(measured[kind]["std"], pixels.std(0), rtol=1e-9)
    assert "bg_fg         8 pictures" in capsys.readouterr().out


def test_statistics_are_in_rgb_order_and_weigh_pixels(tmp_path):
    (tmp_path / "bg").mkdir()
    Image.new("RGB", (30, 10), (255, 51, 0)).save(tmp_path / "bg" / "a.png")
    Image.new("RGB", (10, 10), (255, 51, 204)).save(tmp_path / "bg" / "b.png")
    assert workshop.main(["--out", str(tmp_path), "--statistics"]) == 0
    measured = json.loads((tmp_path / "statistics.json").read_text())
    assert list(measured) == ["bg"]
    np.testing.assert_allclose(measured["bg"]["mean"], [1, 0.2, 0.2], atol=1e-12)
    np.testing.assert_allclose(measured["bg"]["std"], [0, 0, 0.8 * 3**0.5 / 4], atol=1e-9)
    with pytest.raises(InputError, match="has no pictures in bg, bg_fg"):
        channels.measure(tmp_path / "bg")


def test_every_flag_has_help_and_reaches_the_recipe(inputs, monkeypatch, capsys):
    made = []
    monkeypatch.setattr(workshop, "make", lambda *arguments: made.append(arguments) or 0)
    assert compose.main(_command(inputs, "--png", "mask", "depth", "--workers", "3", "--shadow", "0.25")) == 0
    assert made == [(recipe.Recipe(**inputs, png=("mask", "depth"), shadow=0.25), 3)]
    assert all(field.metadata["help"] for field in dataclasses.fields(recipe.Recipe))
    with pytest.raises(SystemExit, match="0"):
        workshop.main(["--help"])
    assert "--depth_unit" in capsys.readouterr().out
