"""Depth of a recipe from each source: maps, drawn rooms, and estimators."""

import json
import pathlib
import sys

import numpy as np
import pytest
from PIL import Image

from modest.data import composite, modest_layout
from modest.data.recipe import depth_maps, inputs, plan, settings
from modest.data.synthetic import dataset
from modest.errors import InputError
from recipe_inputs import SMALL, make, read_file_map, read_picture, read_tree


def test_values_become_metres_as_declared():
    to_metres = depth_maps.to_metres
    values = np.array([[0.0, 2.0], [4.0, 8.0]], np.float32)
    np.testing.assert_allclose(to_metres(values, "metres"), values)
    np.testing.assert_allclose(to_metres(1000 * values, "millimetres"), values)
    centimetres = to_metres(values, "centimetres", scale=50, shift=10)
    np.testing.assert_allclose(centimetres, values / 2 + 0.1)
    np.testing.assert_allclose(to_metres(np.array([255, 51]), "modest"), [10, 2])
    inverse = to_metres(values, "inverse_metres", 0.5, 1)
    np.testing.assert_allclose(inverse, [[1, 0.5], [1 / 3, 0.2]])
    unbounded = to_metres(np.array([0.0, -1.0]), "inverse_metres")
    assert unbounded.tolist() == pytest.approx([1e6, 1e6])  # far, not near
    formula = depth_maps.formula("inverse_metres", 0.5, 1)
    assert formula == "metres = 1 / (0.5 * value + 1)"


def test_maps_of_composites(options, tmp_path):
    make(options)
    (tmp_path / "maps").mkdir()
    for k, (_, name, _, _) in enumerate(read_file_map(options)):
        values = np.full((56, 56), 1000 + 100 * k, np.uint16)  # millimetres, twice the size
        values[:28] = 9000
        Image.fromarray(values).save(tmp_path / "maps" / f"{name}.png")
    maps = {"depth": "folder", "depth_dir": str(tmp_path / "maps"), "png": ("depth",)}
    maps |= {"depth_unit": "millimetres"}
    make(options, **maps, out=str(tmp_path / "deep"))
    found, _ = modest_layout.entries(modest_layout.open_files(tmp_path / "deep"))
    assert modest_layout.has_depth(found)
    for k, entry in enumerate(found):
        stored = read_picture(tmp_path / "deep", "depth", entry.depth)
        np.testing.assert_array_equal(stored[:13], composite.encode_depth(9.0))
        np.testing.assert_array_equal(stored[15:], composite.encode_depth(1 + k / 10))
    plain, deep = read_tree(options["out"]), read_tree(tmp_path / "deep")
    same = [name for name in plain if name.endswith((".jpeg", "bbox.txt"))]
    assert all(deep[name] == plain[name] for name in same)
    described = json.loads(deep["recipe.json"])["depth"]
    assert described["unit"] == "millimetres"
    assert described["conversion"] == "metres = 0.001 * (1 * value + 0)"
    Image.new("L", (56, 40)).save(tmp_path / "maps" / f"{found[3].bg_fg}.png")
    with pytest.raises(InputError, match="bg001_fg001_04.png: 56 x 40 px"):
        make(options, **maps, out=str(tmp_path / "deep2"))


def test_maps_of_backgrounds_give_the_figure_the_depth_at_its_feet(options, tmp_path):
    (tmp_path / "maps").mkdir()
    for path in (tmp_path / "bg").iterdir():
        height, width = inputs.upright_shape(path)
        metres = np.linspace(8, 2, height, dtype=np.float32)  # a floor that comes nearer
        np.save(tmp_path / "maps" / f"{path.stem}.npy", 1 / np.repeat(metres[:, None], width, 1))
    maps = {"depth": "folder", "depth_dir": str(tmp_path / "maps"), "depth_of": "backgrounds"}
    maps |= {"depth_unit": "inverse_metres"}
    make(options, **maps, png=("mask", "depth"))
    floor = 8 - 6 * (np.arange(28) + 0.5) / 28
    room = np.broadcast_to(floor[:, None], (28, 28))
    for _, _, mask_name, depth_name in read_file_map(options):
        mask = read_picture(options["out"], "mask", mask_name)
        stored = read_picture(options["out"], "depth", depth_name) / 25.5
        _, y, _, height = composite.box(mask)
        figure, outside = stored[mask > 127], mask <= 127
        assert np.ptp(figure) == 0
        assert figure[0] == pytest.approx(floor[y + height - 1], abs=0.1)
        np.testing.assert_allclose(stored[outside], room[outside], atol=0.1)
    np.save(tmp_path / "maps" / "hall 2.npy", np.ones((110, 90), np.float32))
    message = "hall 2.npy: 90 x 110 px, but its background is 110 x 90"
    with pytest.raises(InputError, match=message):
        make(options, **maps, out=options["out"] + "2")


@pytest.mark.parametrize(
    "values",
    [np.full((8, 8), np.nan), np.array([{}], object), np.ones((8, 8, 3)), np.array(["far"])],
)
def test_bad_map_is_named(tmp_path, values):
    np.save(tmp_path / "map.npy", values)
    with pytest.raises(InputError, match="map.npy"):
        inputs.depth_map(tmp_path / "map.npy")


HOLES = {"zero": 0, "65535": 65535, "nan": np.nan, "inf": np.inf, "negative": -1}


@pytest.mark.parametrize("hole", HOLES)
def test_holes_are_unknown_and_not_averaged(options, tmp_path, capsys, hole):
    (tmp_path / "maps").mkdir()
    for path in (tmp_path / "bg").iterdir():
        height, width = inputs.upright_shape(path)
        values = np.full((height, width), 6000.0)
        values[:, ::3] = HOLES[hole]  # a third: each pixel of the result still sees known ones
        values[: height // 3] = HOLES[hole]
        if hole in ("zero", "65535"):
            Image.fromarray(values.astype(np.uint16)).save(tmp_path / "maps" / f"{path.stem}.tif")
        else:
            np.savez(tmp_path / "maps" / f"{path.stem}.npz", values)
    maps = {"depth": "folder", "depth_dir": str(tmp_path / "maps"), "depth_of": "backgrounds"}
    maps |= {"depth_unit": "millimetres"} | ({"depth_unknown": 65535.0} if hole == "65535" else {})
    make(options, **maps, png=("mask",))
    assert "maps: 55." in capsys.readouterr().out  # per cent are unknown
    for _, _, mask_name, depth_name in read_file_map(options):
        stored = read_picture(options["out"], "depth", depth_name.strip())
        mask = read_picture(options["out"], "mask", mask_name) > 127
        assert set(np.unique(stored)) == {0, 153}
        assert (stored[:8][~mask[:8]] == 0).all() and (stored[11:] > 0).all()
        assert (stored[mask] > 0).all()  # a figure on unknown ground has the median depth


@pytest.mark.parametrize(
    ("unit", "message"),
    [
        ("metres", "100.0% .* 10 m or more; its values are 2000 to 8000"),
        ("inverse_metres", "0.1 m"),
    ],
)
def test_wrong_unit_is_refused_with_the_range(options, tmp_path, unit, message):
    (tmp_path / "maps").mkdir()
    for path in (tmp_path / "bg").iterdir():
        height, width = inputs.upright_shape(path)
        values = np.linspace(2000, 8000, height * width).reshape(height, width)
        np.save(tmp_path / "maps" / f"{path.stem}.npy", values)
    maps = {"depth": "folder", "depth_dir": str(tmp_path / "maps"), "depth_of": "backgrounds"}
    with pytest.raises(InputError, match=f"--depth_unit {unit}: .*{message}"):
        make(options, **maps, depth_unit=unit)
    assert not pathlib.Path(options["out"]).exists()


def test_formats_of_depth_maps(tmp_path):
    values = np.arange(12, dtype=np.float32).reshape(3, 4) + 1
    grey = values.astype(np.uint8)
    Image.fromarray(np.dstack([grey] * 3)).save(tmp_path / "rgb.png")
    Image.fromarray(values.astype(np.uint16)).save(tmp_path / "short.tif")
    Image.fromarray(values).save(tmp_path / "float.tif")
    np.savez(tmp_path / "array.npz", depth=values)
    for path in tmp_path.iterdir():
        np.testing.assert_array_equal(inputs.depth_map(path), values)
    np.savez(tmp_path / "two.npz", values, values)
    with pytest.raises(InputError, match="two.npz: not a single array"):
        inputs.depth_map(tmp_path / "two.npz")
    Image.fromarray(np.dstack([grey, grey, grey + 1])).save(tmp_path / "colour.png")
    with pytest.raises(InputError, match="colour.png: a depth map is"):
        inputs.depth_map(tmp_path / "colour.png")


def test_openexr(tmp_path):
    openexr = pytest.importorskip("OpenEXR", reason="OpenEXR is not installed")
    values = np.arange(12, dtype=np.float32).reshape(3, 4)
    header = {"compression": openexr.ZIP_COMPRESSION, "type": openexr.scanlineimage}
    openexr.File(header, {"Z": values}).write(str(tmp_path / "a.exr"))
    np.testing.assert_array_equal(inputs.depth_map(tmp_path / "a.exr"), values)
    (tmp_path / "a.exr").write_bytes(b"v/1\x01 damaged")
    with pytest.raises(InputError, match="a.exr: cannot be read as OpenEXR"):
        inputs.depth_map(tmp_path / "a.exr")


def test_scene_has_exact_depth(tmp_path):
    options = SMALL | {"depth": "scene", "rooms": 2, "people": 2, "places": 1}
    options |= {"out": str(tmp_path / "out"), "png": ("mask", "depth")}
    make(options)
    museum = plan.museum(settings.Recipe(**options))
    room, person = dataset.room(museum, 1), dataset.person(museum, 0)
    exact = composite.encode_depth(depth_maps.resize(room.depth, 28, nearest=True))
    mask = read_picture(tmp_path / "out", "mask", "bg002_fg001_01_mask")
    stored = read_picture(tmp_path / "out", "depth", "bg002_fg001_01_depth_map")
    np.testing.assert_array_equal(stored[mask <= 127], exact[mask <= 127])
    metres = composite.figure_depth(room.focal, person.height_m, 40)
    np.testing.assert_array_equal(stored[mask > 127], composite.encode_depth(metres))
    assert (mask > 127).any() and np.ptp(exact) > 50
    found, mistakes = modest_layout.entries(modest_layout.open_files(tmp_path / "out"))
    assert len(found) == 8 and not mistakes


@pytest.fixture(scope="module")
def tiny_model(tmp_path_factory):
    """Save a depth estimator with a few thousand random weights, as transformers does."""
    reason = "needs torch and transformers: pip install torch transformers"
    torch = pytest.importorskip("torch", reason=reason)
    transformers = pytest.importorskip("transformers", reason=reason)
    torch.manual_seed(0)
    ones = {name: [1, 1, 1, 1] for name in ("depths", "num_attention_heads", "mlp_ratios")}
    config = transformers.GLPNConfig(
        hidden_sizes=[8] * 4, decoder_hidden_size=8, sr_ratios=[4, 2, 1, 1], **ones
    )
    directory = tmp_path_factory.mktemp("tiny")
    transformers.GLPNForDepthEstimation(config).save_pretrained(directory)
    processor = getattr(transformers, "GLPNImageProcessorPil", None)
    processor = processor or transformers.GLPNImageProcessor
    processor(size_divisor=32).save_pretrained(directory)
    return str(directory)


@pytest.mark.parametrize("of", ["composites", "backgrounds"])
def test_transformers_estimator(options, tmp_path, tiny_model, of):
    depth = {"depth": "transformers", "depth_model": tiny_model, "depth_unit": "metres"}
    depth |= {"depth_scale": 4.0, "depth_shift": -18.0, "depth_of": of}
    make(options, **depth, places=1, png=("mask", "depth"))
    assert len(modest_layout.entries(modest_layout.open_files(options["out"]))[0]) == 12
    mask = read_picture(options["out"], "mask", "bg002_fg002_02_mask")
    stored = read_picture(options["out"], "depth", "bg002_fg002_02_depth_map")
    estimate, fingerprint = depth_maps.estimator(tiny_model)
    bg = inputs.background(tmp_path / "bg" / "hall 1.jpg", 88)
    estimated = composite.encode_depth(depth_maps.resize(4 * estimate(bg) - 18, 28))
    assert len(np.unique(estimated)) > 3 and 3 < estimated.min() and estimated.max() < 255
    room = np.full((28, 28), of == "backgrounds") & (mask <= 127)
    np.testing.assert_array_equal(stored[room], estimated[room])
    assert (np.ptp(stored[mask > 127]) == 0) == (of == "backgrounds")
    assert (stored != estimated).any()
    text = (pathlib.Path(options["out"]) / "recipe.json").read_text()
    described = json.loads(text)["depth"]
    assert described["sha256"] == fingerprint
    assert described["conversion"] == "metres = 1 * (4 * value + -18)"


def test_estimates_in_another_unit_are_refused(options, monkeypatch):
    def estimate(picture):
        return np.full(picture.shape[:2], 5, np.float32)

    monkeypatch.setattr(depth_maps, "estimator", lambda *_: (estimate, "sha256"))
    depth = {"depth": "transformers", "depth_model": "some", "depth_unit": "millimetres"}
    with pytest.raises(InputError, match="unit millimetres: 100.0% .* some is 0.1 m or less"):
        make(options, **depth)
    assert not pathlib.Path(options["out"]).exists()


def test_missing_model_is_named(options, tiny_model, tmp_path):
    (tmp_path / "hollow").mkdir()
    depth = {"depth": "transformers", "depth_unit": "metres"}
    with pytest.raises(InputError, match="hollow: cannot be loaded as a depth-estimation model"):
        make(options, **depth, depth_model=str(tmp_path / "hollow"))


def test_missing_transformers_names_what_to_install(options, monkeypatch):
    monkeypatch.setitem(sys.modules, "transformers", None)
    monkeypatch.setitem(sys.modules, "torch", None)
    depth = {"depth": "transformers", "depth_unit": "metres"}
    with pytest.raises(InputError, match="pip install torch transformers"):
        make(options, **depth, depth_model="some/model")


def test_unknown_value_with_a_fraction_is_found_in_float32(tmp_path):
    np.save(tmp_path / "map.npy", np.array([[1, 2], [65.535, -999.9]], np.float32))
    read = inputs.depth_map(tmp_path / "map.npy", (0.0, 65.535, -999.9))
    assert np.isnan(read).tolist() == [[False, False], [True, True]]
