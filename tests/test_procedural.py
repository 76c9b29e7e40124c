"""The embedded museum: the same seed gives the same bytes, and what is stored can be read back."""

import dataclasses
import io

import numpy as np
import pytest
from PIL import Image

from modest.data import compose, procedural

MUSEUM = procedural.Museum(rooms=2, people=3, size=64, figure_height=31, places=2)


def _made(museum, room_index=1, person_index=2):
    room, person = procedural.room(museum, room_index), procedural.person(museum, person_index)
    return room, person, list(procedural.composites(museum, room, room_index, person, person_index))


def _read(data):
    return Image.open(io.BytesIO(data))


def test_two_runs_give_the_same_bytes():
    room, _, first = _made(MUSEUM)
    again_room, _, again = _made(MUSEUM)
    assert first == again
    assert procedural.background(MUSEUM, 1, room) == procedural.background(MUSEUM, 1, again_room)


def test_another_seed_room_or_person_gives_others():
    _, _, first = _made(MUSEUM)
    for museum, indices in ((dataclasses.replace(MUSEUM, seed=1), (1, 2)), (MUSEUM, (0, 2)), (MUSEUM, (1, 1))):
        assert _made(museum, *indices)[2][0]["bg_fg"] != first[0]["bg_fg"]


def test_composites_can_be_read_back():
    room, person, made = _made(MUSEUM)
    assert [m["place"] for m in made] == [0, 1, 2, 3]
    metres = compose.figure_depth(room.focal, person.height_m, 31)
    for one in made:
        picture, mask, depth = (_read(one[name]) for name in ("bg_fg", "mask", "depth"))
        assert picture.format == "JPEG" and picture.mode == "RGB" and picture.size == (64, 64)
        assert mask.format == depth.format == "PNG" and mask.mode == depth.mode == "L" and mask.size == (64, 64)
        mask, depth = np.asarray(mask), np.asarray(depth)
        x, y, w, h = one["box"]
        rows, columns = np.nonzero(mask > 127)
        assert (x, y, x + w, y + h) == (columns.min(), rows.min(), columns.max() + 1, rows.max() + 1)
        assert 28 <= h <= 31
        np.testing.assert_array_equal(depth[mask > 127], compose.encode_depth(metres))
        np.testing.assert_array_equal(depth[mask <= 127], compose.encode_depth(room.depth)[mask <= 127])


def test_odd_places_are_mirrored():
    _, person, made = _made(dataclasses.replace(MUSEUM, jpeg_quality=0))
    silhouette = person.rgba[..., 3] > 127
    for one in made:
        x, y, w, h = one["box"]
        figure = (np.asarray(_read(one["mask"])) > 127)[y : y + h, x : x + w]
        expected = silhouette[:, ::-1] if one["place"] % 2 else silhouette
        rows, columns = np.flatnonzero(expected.any(1)), np.flatnonzero(expected.any(0))
        np.testing.assert_array_equal(figure, expected[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1])


def test_the_background_is_the_room_and_lossless_if_asked():
    museum = dataclasses.replace(MUSEUM, jpeg_quality=0, noise=0.0)
    room = procedural.room(museum, 0)
    stored = procedural.background(museum, 0, room)
    assert _read(stored["picture"]).format == "PNG"
    np.testing.assert_array_equal(np.asarray(_read(stored["picture"])), room.picture)
    np.testing.assert_array_equal(np.asarray(_read(stored["depth"])), compose.encode_depth(room.depth))
    noisy = procedural.background(MUSEUM, 0, room)
    difference = np.asarray(_read(noisy["picture"])).astype(float) - room.picture
    assert 0.5 < difference.std() < 12


def test_an_index_outside_the_museum_is_refused():
    with pytest.raises(IndexError, match="room 2"):
        procedural.room(MUSEUM, 2)
    with pytest.raises(IndexError, match="person -1"):
        procedural.person(MUSEUM, -1)


def test_the_command_writes_a_sheet(tmp_path):
    for kind in ("rooms", "people", "composites"):
        path = tmp_path / f"{kind}.png"
        procedural.main(["--out", str(path), "--kind", kind, "--count", "1"])
        with Image.open(path) as sheet:
            assert min(sheet.size) > 200


@pytest.mark.parametrize("arguments", [["--count=0"], ["--count=101"], ["--count=1", "--kind=people", "--out=/nowhere/a.png"]])
def test_a_sheet_that_cannot_be_made(arguments, tmp_path, capsys):
    with pytest.raises(SystemExit) as ended:
        procedural.main([f"--out={tmp_path / 'a.png'}", *arguments])
    assert ended.value.code == 2 and arguments[-1] in capsys.readouterr().err
