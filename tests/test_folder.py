"""A directory in the MODEST layout: read as it is written, refused by line and by name."""

import pytest

import modest_folder
from modest.data import folder, museum
from modest.vocabulary import InputError


@pytest.fixture
def directory(tmp_path):
    return modest_folder.make(tmp_path / "set")


def lines(directory):
    return (directory / "file_map.txt").read_text().splitlines(keepends=True)


def test_entries(directory):
    found = folder.entries(directory)
    assert len(found) == 24
    assert (found[3].background, found[3].figure, found[3].name) == ("bg001", "fg001", "bg001_fg001_02")
    assert found[3].depth == str(directory / "bg_fg_depth_map" / "bg001_fg001_02_depth_map.jpeg")


def test_windows_line_ends_a_mark_and_empty_lines_are_fine(directory):
    text = (directory / "file_map.txt").read_text()
    (directory / "file_map.txt").write_bytes(b"\xef\xbb\xbf" + text.replace("\n", "\r\n\r\n").encode())
    assert len(folder.entries(directory)) == 24


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("bg001\tbg001_fg001_01\n", "file_map.txt:3: 2 names; a line has four"),
        ("bg001 other_fg001_01 a b\n", "file_map.txt:3: 'other_fg001_01' is not named bg001_<figure>_<place>"),
        ("bg001 bg001_fg001_09 a_mask a_depth\n", "file_map.txt:3: no picture .*bg001_fg001_09.jpeg"),
        ("../bg ../bg_fg001_09 a_mask a_depth\n", "file_map.txt:3: '../bg' is not a plain file name"),
    ],
)
def test_a_broken_line_is_named_with_its_number(directory, line, message):
    (directory / "file_map.txt").write_text("".join([*lines(directory)[:2], line]))
    with pytest.raises(InputError, match=message):
        folder.entries(directory)


def test_a_composite_listed_twice(directory):
    (directory / "file_map.txt").write_text("".join(lines(directory) + lines(directory)[:1]))
    with pytest.raises(InputError, match="bg000_fg000_01 is listed twice"):
        folder.entries(directory)


def test_nothing_there(tmp_path):
    with pytest.raises(InputError, match="file_map.txt: not there"):
        folder.entries(tmp_path)
    (tmp_path / "file_map.txt").write_text("\n")
    with pytest.raises(InputError, match="lists no composite"):
        folder.entries(tmp_path)


def test_the_fingerprint_changes_with_a_picture(directory):
    before = folder.fingerprint(directory)
    assert folder.fingerprint(directory) == before
    picture = directory / "bg" / "bg000.jpeg"
    picture.write_bytes(picture.read_bytes() + b"x")
    assert folder.fingerprint(directory) != before


def test_a_truncated_picture_is_named_and_nothing_half_made_is_left(directory, tmp_path):
    picture = directory / "bg_fg" / "bg004_fg004_01.jpeg"
    picture.write_bytes(picture.read_bytes()[:700])
    with pytest.raises(InputError, match="bg004_fg004_01.jpeg: cannot be read"):
        museum.prepare("folder", str(directory), str(tmp_path / "prepared"))
    assert not list((tmp_path / "prepared").rglob("*.array_record*"))
    assert not list((tmp_path / "prepared").rglob("incomplete*"))


def test_prepared_once_all_pictures_in_their_splits(directory, tmp_path):
    builder = museum.prepare("folder", str(directory), str(tmp_path / "prepared"))
    counts = {name: info.num_examples for name, info in builder.info.splits.items()}
    assert counts.pop("backgrounds") == 12
    assert set(counts) == {"train", "validation", "test"} and sum(counts.values()) == 24
    record = museum.source(builder, "train")[0]
    original = directory / "bg_fg" / f"{record['bg_id'].decode()}_{record['fg_id'].decode()}_01.jpeg"
    stored = {museum.source(builder, "train")[i]["bg_fg"] for i in range(counts["train"])}
    assert original.read_bytes() in stored  # copied, not encoded again
    assert tuple(record["box"][1:]) == pytest.approx((10, 12, 20), abs=1)
    assert museum.prepare("folder", str(directory), str(tmp_path / "prepared")).data_dir == builder.data_dir
