"""Data sets in the MODEST layout: parsing, and errors that name the line or the file."""

import re
import stat
import zipfile

import pytest

import modest_folder
from modest.data import modest_layout
from modest.errors import InputError


@pytest.fixture
def directory(tmp_path):
    return modest_folder.make(tmp_path / "set")


def lines(directory):
    return (directory / "file_map.txt").read_text().splitlines(keepends=True)


def test_entries_of_a_directory(directory):
    files = modest_layout.open_files(directory)
    found, mistakes = modest_layout.entries(files)
    assert len(found) == 24 and not mistakes
    entry = found[3]
    assert (entry.line, entry.background, entry.figure) == (4, "bg001", "fg001")
    assert entry.bg_fg == "bg001_fg001_02"
    data, name = modest_layout.read_picture(files, entry, "depth")
    path = directory / "bg_fg_depth_map" / "bg001_fg001_02_depth_map.jpeg"
    assert name == str(path) and data == path.read_bytes()


def test_windows_line_ends_byte_order_mark_and_empty_lines_are_accepted(directory):
    text = (directory / "file_map.txt").read_text()
    (directory / "file_map.txt").write_bytes(
        b"\xef\xbb\xbf" + text.replace("\n", "\r\n\r\n").encode()
    )
    found, mistakes = modest_layout.entries(modest_layout.open_files(directory))
    assert len(found) == 24 and not mistakes


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("bg001\tbg001_fg001_01\n", "file_map.txt:3: 2 names; a line has four"),
        (
            "bg001 other_fg001_01 a b\n",
            "file_map.txt:3: 'other_fg001_01' is not named bg001_<figure>_<place>",
        ),
        ("bg001 bg001_fg001_09 a/b a_depth\n", "file_map.txt:3: 'a/b' is not a plain file name"),
        (
            "../bg ../bg_fg001_09 a_mask a_depth\n",
            "file_map.txt:3: '../bg' is not a plain file name",
        ),
    ],
)
def test_bad_line_is_reported_with_its_number(directory, line, message):
    (directory / "file_map.txt").write_text(
        "".join([*lines(directory)[:2], line, *lines(directory)[2:]])
    )
    found, mistakes = modest_layout.entries(modest_layout.open_files(directory))
    assert len(found) == 24 and len(mistakes) == 1 and re.search(message, mistakes[0])


def test_composite_listed_twice_is_reported(directory):
    (directory / "file_map.txt").write_text("".join(lines(directory) + lines(directory)[:1]))
    found, mistakes = modest_layout.entries(modest_layout.open_files(directory))
    assert len(found) == 24
    assert mistakes == [f"{directory}/file_map.txt:25: bg000_fg000_01 is listed twice"]


def test_missing_or_empty_file_map(tmp_path):
    with pytest.raises(InputError, match="file_map.txt: missing"):
        modest_layout.entries(modest_layout.open_files(tmp_path))
    (tmp_path / "file_map.txt").write_text("\n")
    with pytest.raises(InputError, match="lists no composite"):
        modest_layout.entries(modest_layout.open_files(tmp_path))
    with pytest.raises(InputError, match="neither a directory nor a zip"):
        modest_layout.open_files(tmp_path / "file_map.txt")


def zipped(directory, path, inside=""):
    """Pack the directory into a zip."""
    with zipfile.ZipFile(path, "w") as archive:
        for file in sorted(f for f in directory.rglob("*") if f.is_file()):
            archive.write(file, inside + str(file.relative_to(directory)))
    return path


@pytest.mark.parametrize("inside", ["", "modest/v1/"])
def test_zip_and_directory_give_the_same_data(directory, tmp_path, inside):
    files = modest_layout.open_files(zipped(directory, tmp_path / "set.zip", inside))
    unpacked = modest_layout.open_files(directory)
    found, _ = modest_layout.entries(files)
    assert found == modest_layout.entries(unpacked)[0]
    for kind in modest_layout.DIRECTORIES:
        data, _ = modest_layout.read_picture(files, found[5], kind)
        assert data == modest_layout.read_picture(unpacked, found[5], kind)[0]


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
        ("file_map.txt", "'file_map.txt' occurs twice"),
        ("other/file_map.txt", "2 members are called file_map.txt"),
    ],
)
@pytest.mark.filterwarnings("ignore:Duplicate name")
def test_hostile_zip_is_rejected_as_a_whole(directory, tmp_path, member, message):
    path = zipped(directory, tmp_path / "set.zip")
    with zipfile.ZipFile(path, "a") as archive:
        archive.writestr(member, b"x")
    before = sorted(tmp_path.rglob("*"))
    with pytest.raises(InputError, match=message):
        modest_layout.open_files(path)
    assert sorted(tmp_path.rglob("*")) == before


def test_zip_bomb_is_rejected(directory, tmp_path):
    path = zipped(directory, tmp_path / "set.zip")
    with zipfile.ZipFile(path, "a", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("bg/bomb.png", bytes(10**8))
    with pytest.raises(InputError, match="'bg/bomb.png' unpacks to 100000000 bytes"):
        modest_layout.open_files(path)


def test_empty_mask_is_no_bomb(directory, tmp_path):
    path = zipped(directory, tmp_path / "set.zip")
    with zipfile.ZipFile(path, "a", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("bg_fg_mask/blank.bmp", bytes(10**7))
    assert modest_layout.open_files(path).read("bg_fg_mask/blank.bmp") == bytes(10**7)


def test_zip_with_backslashes_is_read(directory, tmp_path):
    with zipfile.ZipFile(tmp_path / "set.zip", "w") as archive:
        for file in sorted(f for f in directory.rglob("*") if f.is_file()):
            member = zipfile.ZipInfo("x")
            member.filename = "set\\" + str(file.relative_to(directory)).replace("/", "\\")
            archive.writestr(member, file.read_bytes())
    files = modest_layout.open_files(tmp_path / "set.zip")
    found, mistakes = modest_layout.entries(files)
    assert len(found) == 24 and not mistakes
    assert modest_layout.read_picture(files, found[3], "mask")[0]


@pytest.mark.parametrize("packed", [False, True])
def test_suffixes_in_capitals_and_decomposed_names_are_found(directory, tmp_path, packed):
    picture = directory / "bg" / "bg000.jpeg"
    picture.rename(picture.with_name("Cafe\u0301.JPG"))  # e and an accent, as macOS stores it
    text = (directory / "file_map.txt").read_text().replace("bg000", "Caf\u00e9")
    (directory / "file_map.txt").write_text(text)
    for kind in ("bg_fg", "bg_fg_mask", "bg_fg_depth_map"):
        for path in (directory / kind).glob("bg000*"):
            path.rename(path.with_name(path.name.replace("bg000", "Cafe\u0301")))
    path = zipped(directory, tmp_path / "set.zip") if packed else directory
    files = modest_layout.open_files(path)
    found, _ = modest_layout.entries(files)
    for kind in modest_layout.DIRECTORIES:
        assert modest_layout.read_picture(files, found[0], kind)[0]
    assert modest_layout.unlisted(files, found[1:]) == ["bg_fg/Cafe\u0301_fg000_01.jpeg"]


def test_two_pictures_of_one_name_are_refused(directory):
    (directory / "bg" / "bg000.PNG").write_bytes(b"")
    files = modest_layout.open_files(directory)
    with pytest.raises(InputError, match="bg: bg000.PNG and bg000.jpeg have the same name"):
        modest_layout.read_picture(files, modest_layout.entries(files)[0][0], "bg")


def test_truncated_zip_is_rejected(directory, tmp_path):
    path = zipped(directory, tmp_path / "set.zip")
    path.write_bytes(path.read_bytes()[:-2000])
    with pytest.raises(InputError, match="neither a directory nor a zip|cannot be read"):
        modest_layout.open_files(path)


def test_link_out_of_the_directory_is_rejected(directory, tmp_path):
    (tmp_path / "secret.jpeg").write_bytes((directory / "bg" / "bg000.jpeg").read_bytes())
    (directory / "bg" / "bg000.jpeg").unlink()
    (directory / "bg" / "bg000.jpeg").symlink_to(tmp_path / "secret.jpeg")
    files = modest_layout.open_files(directory)
    with pytest.raises(InputError, match="bg000.jpeg: leads out of"):
        modest_layout.read_picture(files, modest_layout.entries(files)[0][0], "bg")


def test_depth_must_exist_for_all_composites_or_none(directory):
    some = lines(directory)
    without = [line.rsplit("\t", 1)[0] + "\t-\n" for line in some[5:]]
    (directory / "file_map.txt").write_text("".join(some[:5] + without))
    found, _ = modest_layout.entries(modest_layout.open_files(directory))
    assert modest_layout.has_depth(found[:5]) and not modest_layout.has_depth(found[5:])
    with pytest.raises(InputError, match="file_map.txt:6: no depth, but other lines have it"):
        modest_layout.has_depth(found)


def test_summary_counts_mistakes_and_shows_the_first_ten():
    message = modest_layout.summarise_mistakes([f"line {i}" for i in range(25)])
    assert message.startswith("25 mistakes:") and "15 more" in message
    assert "line 9" in message and "line 10" not in message
