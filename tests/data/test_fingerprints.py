"""A data set is its content: hidden files, times, places and zips do not matter."""

import json
import os
import shutil
import zipfile

import pytest

import modest_folder
from modest.data import fingerprints, modest_layout


@pytest.fixture
def directory(tmp_path):
    return modest_folder.make(tmp_path / "set", backgrounds=3)


def fingerprint(directory, cache):
    return fingerprints.fingerprint(modest_layout.open_files(directory), cache)


def test_content_counts_wherever_it_is(directory, tmp_path, monkeypatch):
    before = fingerprint(directory, tmp_path)
    (directory / "bg_fg" / ".DS_Store").write_text("x")
    (directory / "bg_fg" / "Thumbs.db").write_text("x")
    (directory / "bg" / "unlisted.png").write_text("x")
    os.utime(directory / "bg" / "bg000.jpeg", (1e9, 1e9))
    assert fingerprint(directory, tmp_path) == before
    moved = directory.rename(tmp_path / "moved")
    assert fingerprint(moved, tmp_path) == before
    monkeypatch.chdir(moved)
    assert fingerprint(".", tmp_path) == before
    with zipfile.ZipFile(tmp_path / "set.zip", "w") as archive:
        for file in moved.rglob("*"):
            archive.write(file, f"inside/{file.relative_to(moved)}")
    assert fingerprint(tmp_path / "set.zip", tmp_path) == before


@pytest.mark.parametrize("kind", [*modest_layout.DIRECTORIES.values(), "fg"])
def test_every_kind_of_picture_counts(directory, tmp_path, kind):
    (directory / "fg").mkdir()
    (directory / "fg" / "fg000.png").write_bytes(b"figure")
    before = fingerprint(directory, tmp_path)
    picture = sorted((directory / kind).iterdir())[0]
    data = bytearray(picture.read_bytes())
    data[-1] ^= 1
    picture.write_bytes(data)  # of the same size
    assert fingerprint(directory, tmp_path) != before


def test_pictures_are_read_once(directory, tmp_path, monkeypatch):
    before = fingerprint(directory, tmp_path / "cache")
    with monkeypatch.context() as patch:
        patch.setattr(modest_layout.DirectoryFiles, "size_and_crc", lambda *_: 1 / 0)
        assert fingerprint(directory, tmp_path / "cache") == before
    cache = tmp_path / "cache" / fingerprints.CACHE
    assert list(json.loads(cache.read_text())) == [str(directory)]
    for damage in ("{", "[]", "null"):
        cache.write_text(damage)
        assert fingerprint(directory, tmp_path / "cache") == before
    shutil.rmtree(tmp_path / "cache")
    (tmp_path / "cache").write_text("not a directory")
    assert fingerprint(directory, tmp_path / "cache") == before
