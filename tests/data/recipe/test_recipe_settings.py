"""Settings and cut-outs that cannot be used are refused before anything is written."""

import pathlib

import pytest
from PIL import Image

from modest.errors import InputError
from recipe_inputs import make

MAPS = {"depth": "folder", "depth_dir": "{tmp}/bg"}


@pytest.mark.parametrize(
    "changes, message",
    [
        ({"bg": "nowhere"}, "nowhere: not a directory of backgrounds"),
        ({"fg": "{tmp}/empty"}, "contains no cut-outs"),
        ({"figure_height": 0}, "--figure_height must be at least 1, not 0"),
        ({"figure_height": 89}, "--figure_height must be at most --work_size, 88"),
        ({"size": 89}, "--work_size must be from --size"),
        ({"noise": float("nan")}, "--noise must be at least 0"),
        ({"jpeg_quality": 101}, "--jpeg_quality must be from 1 to 100"),
        ({"png": ("masks",)}, "no kind 'masks'"),
        ({"out": ""}, "--out is missing"),
        ({"bg": ""}, "--bg and --fg are missing"),
        ({"depth": "sonar"}, "no source 'sonar'; the sources are none, folder"),
        ({"depth": "scene"}, "draws its own rooms"),
        ({"depth": "folder", "depth_unit": "metres"}, "--depth folder needs --depth_dir"),
        (MAPS, "no unit ''; the units are metres"),
        (
            MAPS | {"depth_unit": "metres"},
            "no depth map of bg001_fg001_01 .*, and none of 7 other composites of bg001",
        ),
        (MAPS | {"depth_unit": "metres", "depth_scale": 0.0}, "the scale not 0"),
    ],
)
def test_bad_setting_names_its_option(options, tmp_path, changes, message):
    (tmp_path / "empty").mkdir()
    changes = {
        name: value.format(tmp=tmp_path) if isinstance(value, str) else value
        for name, value in changes.items()
    }
    with pytest.raises(InputError, match=message):
        make(options, **changes)
    assert not pathlib.Path(options["out"]).exists()


def _opaque(path):
    Image.new("RGB", (20, 40)).save(path)


def _faint(path):
    Image.new("RGBA", (20, 40), (9, 9, 9, 100)).save(path)


def _wide(path):
    Image.new("RGBA", (90, 40), (9, 9, 9, 255)).save(path)


def _truncated(path):
    Image.effect_noise((60, 60), 50).convert("RGBA").save(path)
    path.write_bytes(path.read_bytes()[:-200])


def _html(path):
    path.write_text("<html>")


def _same_stem(path):
    _faint(path.with_name("0.PNG"))


@pytest.mark.parametrize(
    "write, message",
    [
        (_opaque, "2.png: has no alpha channel"),
        (_faint, "2.png: its alpha is never above 127"),
        (_wide, "2.png: 90 px wide when 40 px high.*with --figure_height 39"),
        (_truncated, "2.png: cannot be read as a picture"),
        (_html, "2.png: cannot be read"),
        (_same_stem, "0.png has the same name|0.PNG has the same name"),
    ],
)
def test_bad_cutout_is_named(options, tmp_path, write, message):
    write(tmp_path / "fg" / "2.png")
    with pytest.raises(InputError, match=message):
        make(options)
    assert not pathlib.Path(options["out"]).exists()
