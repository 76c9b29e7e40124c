"""What the recipe writes, and that only the settings decide it."""

import json
import os
import pathlib

import numpy as np
import pytest
from PIL import Image

from modest.data import composite, modest_layout
from modest.data.recipe import build, inputs
from modest.errors import InputError
from modest.run import files
from recipe_inputs import make, read_file_map, read_picture, read_tree


def test_layout_names_boxes_and_settings(options):
    assert make(options, png=("bg_fg", "mask")) == 3 * 2 * 4
    found, mistakes = modest_layout.entries(modest_layout.open_files(options["out"]))
    assert not mistakes and not modest_layout.has_depth(found)
    assert [entry.bg_fg for entry in found] == [
        f"bg{b:03}_fg{f:03}_{p:02}" for b in (1, 2, 3) for f in (1, 2) for p in (1, 2, 3, 4)
    ]
    assert read_file_map(options)[0] == ["bg001", "bg001_fg001_01", "bg001_fg001_01_mask", "-"]
    text = (pathlib.Path(options["out"]) / "bbox.txt").read_text()
    boxes = [line.split("\t") for line in text.splitlines()]
    assert [box[0] for box in boxes] == [f"{entry.bg_fg}.png" for entry in found]
    for entry, box in zip(found, boxes):
        mask = read_picture(options["out"], "mask", entry.mask)
        assert mask.shape == (28, 28) and tuple(map(int, box[1:])) == composite.box(mask)
        assert 12 <= int(box[4]) <= 13  # 40 px of 88, at 28
        assert read_picture(options["out"], "bg_fg", entry.bg_fg).shape == (28, 28, 3)
    files = read_tree(options["out"])
    assert len(files) == 3 + 2 * 24 + 2 + 4  # two cut-outs; three texts and the lock
    settings = json.loads(files["recipe.json"])
    assert settings["inputs"]["backgrounds"]["bg002"]["file"] == "hall 1.jpg"
    assert settings["depth"] == {"source": "none"}


def test_figure_is_cropped_mirrored_and_pasted_without_other_changes(options):
    make(options, png=("bg", "bg_fg", "mask"), size=88)
    bg = read_picture(options["out"], "bg", "bg001")
    for place in (1, 2, 3, 4):
        picture = read_picture(options["out"], "bg_fg", f"bg001_fg001_{place:02}")
        mask = read_picture(options["out"], "mask", f"bg001_fg001_{place:02}_mask")
        np.testing.assert_array_equal(picture[mask == 0], bg[mask == 0])
        x, y, width, height = composite.box(mask)
        assert (height, width) == (40, 17)  # 56 x 24 px of the cut-out, without its margins
        assert (mask[y + 8, x : x + width] > 127).all()  # the arm
        body = (mask[y + 30, [x + 2, x + 14]] > 127).tolist()
        assert body == [place <= 2, place > 2]


def test_seed_changes_the_data_and_workers_do_not(options, tmp_path):
    make(options)
    one = read_tree(options["out"])
    make(options, workers=2, out=str(tmp_path / "two"))
    assert read_tree(tmp_path / "two") == one
    make(options, out=str(tmp_path / "other"), seed=6)
    assert read_tree(tmp_path / "other")["bbox.txt"] != one["bbox.txt"]


def test_pair_does_not_depend_on_other_pairs(options, tmp_path):
    for prefix in ("bg", "fg"):
        for number, path in enumerate(sorted((tmp_path / prefix).iterdir()), 11):
            path.rename(path.with_name(f"{prefix}{number}{path.suffix}"))
    make(options)
    whole = read_tree(options["out"])
    (tmp_path / "bg" / "bg11.jpg").unlink()
    (tmp_path / "fg" / "fg11.png").unlink()
    make(options, out=str(tmp_path / "fewer"))
    files = read_tree(tmp_path / "fewer")
    fewer = {name: data for name, data in files.items() if name.endswith(".jpeg")}
    assert len(fewer) == 2 + 2 * 2 * 4 and fewer.items() <= whole.items()


def test_background_is_upright_and_its_central_square(tmp_path):
    picture = np.zeros((40, 80, 3), np.uint8)
    picture[:, 20:40], picture[:, 40:60] = 90, 200  # the central square: dark and bright half
    tags = Image.Exif()
    tags[0x0112] = 6  # orientation: rotate a quarter turn to the right
    Image.fromarray(picture).save(tmp_path / "plain.png")
    Image.fromarray(picture).save(tmp_path / "rotated.png", exif=tags)
    plain = inputs.background(tmp_path / "plain.png", 40)
    np.testing.assert_array_equal(plain, picture[:, 20:60])
    rotated = inputs.background(tmp_path / "rotated.png", 40)
    np.testing.assert_array_equal(rotated, np.rot90(plain, -1))
    assert inputs.upright_shape(tmp_path / "rotated.png") == (80, 40)


def test_finished_backgrounds_are_kept_and_temporary_files_removed(options, monkeypatch):
    make(options)
    whole, out = read_tree(options["out"]), pathlib.Path(options["out"])
    (out / ".done").mkdir()
    lines = whole["bbox.txt"].decode().splitlines()[8:16]
    (out / ".done" / "bg002").write_text("".join(line + "\n" for line in lines))
    (out / "file_map.txt").unlink()
    (out / "bbox.txt").unlink()
    for name in ("recipe.json", "bg_fg/bg003_fg001_01.jpeg", ".done/bg003"):
        files.temporary_name(out / name).write_bytes(b"half")
    composed, compose_background = [], build.compose_background

    def record(plan, background):
        composed.append(background)
        compose_background(plan, background)

    monkeypatch.setattr(build, "compose_background", record)
    make(options)
    assert composed == ["bg001", "bg003"] and read_tree(out) == whole
    make(options)
    assert len(composed) == 2  # a complete data set is not touched


def test_file_is_complete_or_absent_when_the_disk_is_full(options, monkeypatch):
    replace = os.replace

    def replace_until_full(source, target):
        source_path, target_path = pathlib.Path(source), pathlib.Path(target)
        assert source_path.parent == target_path.parent and not target_path.exists()
        if len(read_tree(options["out"])) > 12:
            raise OSError(28, "No space left on device")
        replace(source, target)

    message = "bg001_fg001_04_mask.jpeg: cannot be written .No space left on device"
    with monkeypatch.context() as patched:
        patched.setattr(os, "replace", replace_until_full)
        with pytest.raises(InputError, match=message):
            make(options)
    assert "file_map.txt" not in read_tree(options["out"])
    make(options)
    assert not [name for name in read_tree(options["out"]) if name.endswith(".tmp")]


def test_other_settings_and_foreign_directories_are_refused(options, tmp_path):
    make(options)
    with pytest.raises(InputError, match="different seed: 5 before, 6 now"):
        make(options, seed=6)
    (tmp_path / "fg" / "1.png").unlink()
    with pytest.raises(InputError, match=r"different inputs.figures.fg002: .* before, nothing now"):
        make(options)
    (tmp_path / "begun").mkdir()
    # Killed before it renamed its first file.
    files.temporary_name(tmp_path / "begun" / "recipe.json").touch()
    make(options, out=str(tmp_path / "begun"))
    (tmp_path / "mine").mkdir()
    for name in ("letter.txt", "letter.tmp"):
        (tmp_path / "mine" / name).touch()
        with pytest.raises(InputError, match=f"contains {name} but no recipe.json"):
            make(options, out=str(tmp_path / "mine"))
        (tmp_path / "mine" / name).unlink()  # which fails if the command has removed it


def test_dust_and_opaque_cutouts_are_reported(options, tmp_path, capsys):
    figures = tmp_path / "fg"
    dusty = np.asarray(Image.open(figures / "0.png")).copy()
    dusty[0, 0] = (9, 9, 9, 5)
    Image.fromarray(dusty).save(figures / "0.png")
    Image.new("RGBA", (20, 40), (9, 9, 9, 255)).save(figures / "1.png")
    make(options)
    printed = capsys.readouterr().out
    assert f"{figures}/0.png: 0.1% of its pixels have an alpha of 1 to 16" in printed
    assert "from 24 x 56 to 32 x 60 px; --alpha_threshold 16 leaves them out" in printed
    assert f"{figures}/1.png: 100.0% of its pixels are opaque" in printed
    make(options, alpha_threshold=16, out=options["out"] + "2")
    assert "0.png" not in capsys.readouterr().out
    dusty[0, 0] = 0
    Image.fromarray(dusty).save(figures / "0.png")
    make(options, out=options["out"] + "3")
    clean, cropped = (read_tree(options["out"] + n) for n in "32")
    assert all(cropped[name] == data for name, data in clean.items() if name[-4:] != "json")
