"""The embedded data set: the same seed gives the same bytes, and what is stored can be read."""

import dataclasses
import io

import numpy as np
import pytest
from PIL import Image

from modest.commands import process, sheet
from modest.data import composite
from modest.data.synthetic import dataset

MUSEUM = dataset.SyntheticMuseum(rooms=2, people=3, size=64, figure_height=31, places=2)


def _compose(museum, room_index=1, person_index=2):
    room, person = dataset.room(museum, room_index), dataset.person(museum, person_index)
    made = dataset.composites(museum, room, room_index, person, person_index)
    return room, person, list(made)


def _read(data):
    return Image.open(io.BytesIO(data))


def test_two_runs_are_byte_identical():
    room, _, first = _compose(MUSEUM)
    again_room, _, again = _compose(MUSEUM)
    assert first == again
    assert dataset.background(MUSEUM, 1, room) == dataset.background(MUSEUM, 1, again_room)


def test_seed_room_and_person_change_the_composite():
    _, _, first = _compose(MUSEUM)
    other_seed = dataclasses.replace(MUSEUM, seed=1)
    for museum, indices in ((other_seed, (1, 2)), (MUSEUM, (0, 2)), (MUSEUM, (1, 1))):
        assert _compose(museum, *indices)[2][0]["bg_fg"] != first[0]["bg_fg"]


def test_stored_composites_can_be_read():
    room, person, made = _compose(MUSEUM)
    assert [m["place"] for m in made] == [0, 1, 2, 3]
    metres = composite.figure_depth(room.focal, person.height_m, 31)
    room_depth = composite.encode_depth(room.depth)
    for one in made:
        picture, mask, depth = (_read(one[name]) for name in ("bg_fg", "mask", "depth"))
        assert picture.format == "JPEG" and picture.mode == "RGB" and picture.size == (64, 64)
        assert mask.format == depth.format == "PNG" and mask.mode == depth.mode == "L"
        assert mask.size == (64, 64)
        mask, depth = np.asarray(mask), np.asarray(depth)
        x, y, w, h = one["box"]
        rows, columns = np.nonzero(mask > 127)
        expected = (columns.min(), rows.min(), columns.max() + 1, rows.max() + 1)
        assert (x, y, x + w, y + h) == expected
        assert 28 <= h <= 31
        np.testing.assert_array_equal(depth[mask > 127], composite.encode_depth(metres))
        np.testing.assert_array_equal(depth[mask <= 127], room_depth[mask <= 127])


def test_odd_places_are_mirrored():
    _, person, made = _compose(dataclasses.replace(MUSEUM, jpeg_quality=0))
    silhouette = person.rgba[..., 3] > 127
    for one in made:
        x, y, w, h = one["box"]
        figure = (np.asarray(_read(one["mask"])) > 127)[y : y + h, x : x + w]
        expected = silhouette[:, ::-1] if one["place"] % 2 else silhouette
        rows, columns = np.flatnonzero(expected.any(1)), np.flatnonzero(expected.any(0))
        cropped = expected[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1]
        np.testing.assert_array_equal(figure, cropped)


def test_background_is_the_room_and_lossless_with_quality_0():
    museum = dataclasses.replace(MUSEUM, jpeg_quality=0, noise=0.0)
    room = dataset.room(museum, 0)
    stored = dataset.background(museum, 0, room)
    assert _read(stored["picture"]).format == "PNG"
    np.testing.assert_array_equal(np.asarray(_read(stored["picture"])), room.picture)
    depth = np.asarray(_read(stored["depth"]))
    np.testing.assert_array_equal(depth, composite.encode_depth(room.depth))
    noisy = dataset.background(MUSEUM, 0, room)
    difference = np.asarray(_read(noisy["picture"])).astype(float) - room.picture
    assert 0.5 < difference.std() < 12


def test_index_out_of_range_is_refused():
    with pytest.raises(IndexError, match="room 2"):
        dataset.room(MUSEUM, 2)
    with pytest.raises(IndexError, match="person -1"):
        dataset.person(MUSEUM, -1)


@pytest.mark.parametrize("kind", ["rooms", "people", "composites"])
def test_sheet_command_writes_a_picture(kind, tmp_path):
    path = tmp_path / f"{kind}.png"
    sheet.main(["--out", str(path), "--kind", kind, "--count", "1"])
    with Image.open(path) as written:
        assert min(written.size) > 200


@pytest.mark.parametrize(
    "arguments",
    [["--count=0"], ["--count=101"], ["--count=1", "--kind=people", "--out=/nowhere/a.png"]],
)
def test_bad_sheet_option_is_named(arguments, tmp_path, capsys):
    assert process.run(sheet.main, [f"--out={tmp_path / 'a.png'}", *arguments]) == 2
    assert arguments[-1] in capsys.readouterr().err
