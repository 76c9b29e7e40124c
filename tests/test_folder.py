"""A directory in the MODEST layout: read as it is written, refused by line and by name."""

import re
import stat
import zipfile

import pytest

import modest_folder
from modest.data import folder
from modest.vocabulary import InputError


@pytest.fixture
def directory(tmp_path):
    return modest_folder.make(tmp_path / "set")


def lines(directory):
    return (directory / "file_map.txt").read_text().splitlines(keepends=True)


def test_entries(directory):
    files = folder.open_files(directory)
    found, mistakes = folder.entries(files)
    assert len(found) == 24 and not mistakes
    assert (found[3].line, found[3].background, found[3].figure, found[3].bg_fg) == (4, "bg001", "fg001", "bg001_fg001_02")
    data, name = folder.read_picture(files, found[3], "depth")
    assert name == str(directory / "bg_fg_depth_map" / "bg001_fg001_02_depth_map.jpeg")
    assert data == (directory / "bg_fg_depth_map" / "bg001_fg001_02_depth_map.jpeg").read_bytes()


def test_windows_line_ends_a_mark_and_empty_lines_are_fine(directory):
    text = (directory / "file_map.txt").read_text()
    (directory / "file_map.txt").write_bytes(b"\xef\xbb\xbf" + text.replace("\n", "\r\n\r\n").encode())
    found, mistakes = folder.entries(folder.open_files(directory))
    assert len(found) == 24 and not mistakes


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("bg001\tbg001_fg001_01\n", "file_map.txt:3: 2 names; a line has four"),
        ("bg001 other_fg001_01 a b\n", "file_map.txt:3: 'other_fg001_01' is not named bg001_<figure>_<place>"),
        ("bg001 bg001_fg001_09 a/b a_depth\n", "file_map.txt:3: 'a/b' is not a plain file name"),
        ("../bg ../bg_fg001_09 a_mask a_depth\n", "file_map.txt:3: '../bg' is not a plain file name"),
    ],
)
def test_a_broken_line_is_named_with_its_number(directory, line, message):
    (directory / "file_map.txt").write_text("".join([*lines(directory)[:2], line, *lines(directory)[2:]]))
    found, mistakes = folder.entries(folder.open_files(directory))
    assert len(found) == 24 and len(mistakes) == 1 and re.search(message, mistakes[0])


def test_a_composite_listed_twice(directory):
    (directory / "file_map.txt").write_text("".join(lines(directory) + lines(directory)[:1]))
    found, mistakes = folder.entries(folder.open_files(directory))
    assert len(found) == 24
    assert mistakes == [f"{directory}/file_map.txt:25: bg000_fg000_01 is listed twice"]


def test_nothing_there(tmp_path):
    with pytest.raises(InputError, match="file_map.txt: not there"):
        folder.entries(folder.open_files(tmp_path))
    (tmp_path / "file_map.txt").write_text("\n")
    with pytest.raises(InputError, match="lists no composite"):
        folder.entries(folder.open_files(tmp_path))
    with pytest.raises(InputError, match="neither a directory nor a zip"):
        folder.open_files(tmp_path / "file_map.txt")


def test_the_fingerprint_changes_with_a_picture(directory):
    fingerprint = lambda: folder.open_files(directory).fingerprint()
    before = fingerprint()
    assert fingerprint() == before
    picture = directory / "bg" / "bg000.jpeg"
    picture.write_bytes(picture.read_bytes() + b"x")
    assert fingerprint() != before


def zipped(directory, path, inside=""):
    """The directory as a zip."""
    with zipfile.ZipFile(path, "w") as archive:
        for file in sorted(f for f in directory.rglob("*") if f.is_file()):
            archive.write(file, inside + str(file.relative_to(directory)))
    return path


@pytest.mark.parametrize("inside", ["", "modest/v1/"])
def test_a_zip_is_read_as_the_directory_is(directory, tmp_path, inside):
    files = folder.open_files(zipped(directory, tmp_path / "set.zip", inside))
    unpacked = folder.open_files(directory)
    found, _ = folder.entries(files)
    assert found == folder.entries(unpacked)[0]
    for kind in folder.DIRECTORIES:
        assert folder.read_picture(files, found[5], kind)[0] == folder.read_picture(unpacked, found[5], kind)[0]


def link(name):
    member = zipfile.ZipInfo(name)
    member.external_attr = (stat.S_IFLNK | 0o777) << 16
    return member


@pytest.mark.parametrize(
    ("member", "message"),
    [
        ("../out.txt", "'../out.txt' leads out"),
        ("a/../../out.txt", "leads out"),
        ("/out.txt", "leads out"),
        ("C:/out.txt", "leads out"),
        ("..\\out.txt", "leads out"),
        (link("bg/link.jpeg"), "'bg/link.jpeg' is a link"),
        ("file_map.txt", "'file_map.txt' is there twice"),
        ("other/file_map.txt", "2 members are called file_map.txt"),
    ],
)
@pytest.mark.filterwarnings("ignore:Duplicate name")
def test_a_hostile_zip_is_refused_whole(directory, tmp_path, member, message):
    path = zipped(directory, tmp_path / "set.zip")
    with zipfile.ZipFile(path, "a") as archive:
        archive.writestr(member, b"x")
    before = sorted(tmp_path.rglob("*"))
    with pytest.raises(InputError, match=message):
        folder.open_files(path)
    assert sorted(tmp_path.rglob("*")) == before


def test_a_bomb_is_refused(directory, tmp_path):
    path = zipped(directory, tmp_path / "set.zip")
    with zipfile.ZipFile(path, "a", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("bg/bomb.png", bytes(10**7))
    with pytest.raises(InputError, match="'bg/bomb.png' unpacks to 10000000 bytes"):
        folder.open_files(path)


def test_a_zip_cut_short_is_refused(directory, tmp_path):
    path = zipped(directory, tmp_path / "set.zip")
    path.write_bytes(path.read_bytes()[:-2000])
    with pytest.raises(InputError, match="neither a directory nor a zip|cannot be read"):
        folder.open_files(path)


def test_a_link_out_of_the_directory_is_refused(directory, tmp_path):
    (tmp_path / "secret.jpeg").write_bytes((directory / "bg" / "bg000.jpeg").read_bytes())
    (directory / "bg" / "bg000.jpeg").unlink()
    (directory / "bg" / "bg000.jpeg").symlink_to(tmp_path / "secret.jpeg")
    files = folder.open_files(directory)
    with pytest.raises(InputError, match="bg000.jpeg: leads out of"):
        folder.read_picture(files, folder.entries(files)[0][0], "bg")


def test_depth_for_all_or_for_none(directory):
    some = lines(directory)
    (directory / "file_map.txt").write_text("".join(some[:5] + [line.rsplit("\t", 1)[0] + "\t-\n" for line in some[5:]]))
    found, _ = folder.entries(folder.open_files(directory))
    assert folder.has_depth(found[:5]) and not folder.has_depth(found[5:])
    with pytest.raises(InputError, match="file_map.txt:6: no depth, but others have one"):
        folder.has_depth(found)


def test_many_mistakes_are_counted_and_the_first_ten_told():
    message = folder.complain([f"line {i}" for i in range(25)])
    assert message.startswith("25 mistakes:") and "line 9" in message and "line 10" not in message and "15 more" in message
