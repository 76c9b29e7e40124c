"""Data sets built from a directory: damaged parts, full disks, and options out of range."""

import pathlib
import shutil

import numpy as np
import pytest
from PIL import Image

import modest_folder
from modest.data import modest_layout
from modest.data.batches import library_loader
from modest.data.museum import preparation, shards
from modest.data.museum.builder import REJECTED
from modest.errors import InputError
from modest.run import files


@pytest.fixture
def directory(tmp_path):
    return modest_folder.make(tmp_path / "set")


def prepare(directory, tmp_path, **options):
    return preparation.prepare("folder", str(directory), str(tmp_path / "prepared"), **options)


def add_cutouts(directory):
    (directory / "fg").mkdir()
    for b in range(12):
        cutout = np.full((20, 12, 4), 255, np.uint8)
        Image.fromarray(cutout).save(directory / "fg" / f"fg{b:03}.png")


def add_background_depth(directory, level):
    (directory / "bg_depth_map").mkdir()
    for path in (directory / "bg").iterdir():
        depth = np.full(np.asarray(Image.open(path)).shape[:2], 120, np.uint8)
        depth[7, 7] = level  # vanishes in smaller maps
        Image.fromarray(depth).save(directory / "bg_depth_map" / f"{path.stem}_depth_map.png")


def test_damaged_mask_beside_cutouts_counts_as_one_bad_composite(directory, tmp_path):
    add_cutouts(directory)
    mask = directory / "bg_fg_mask" / "bg004_fg004_02_mask.jpeg"
    mask.write_bytes(mask.read_bytes()[:300])
    built = prepare(directory, tmp_path, max_bad_fraction=0.1)
    assert built.info.metadata["rejected"] == 1


def test_split_without_usable_composites_does_not_exist(directory, tmp_path):
    whole = prepare(directory, tmp_path)
    ids = {record["bg_id"].decode() for record in preparation.source(whole, "validation")}
    for bg in ids:
        for path in directory.glob(f"bg_fg_mask/{bg}_*"):
            path.write_text("<html>")
    built = prepare(directory, tmp_path, max_bad_fraction=0.5)
    assert "validation" not in built.info.splits and "train" in built.info.splits


def test_messages_do_not_depend_on_the_process(directory, tmp_path):
    (directory / "bg_fg" / "bg004_fg004_01.jpeg").write_text("<html>")
    built = prepare(directory, tmp_path, max_bad_fraction=0.1)
    text = (pathlib.Path(built.data_dir) / REJECTED).read_text()
    assert "bg004_fg004_01.jpeg: cannot be read" in text and "0x" not in text


def test_full_disk_is_reported_and_leaves_no_temporary_file(directory, tmp_path, monkeypatch):
    def fail(path, examples):
        pathlib.Path(path).touch()
        raise RuntimeError("write() failed: No space left on device; writing a chunk")

    monkeypatch.setattr(shards.file_adapters.ArrayRecordFileAdapter, "write_examples", fail)
    with pytest.raises(InputError, match=r"cannot be written \(.*No space left on device\)"):
        prepare(directory, tmp_path)
    assert not list((tmp_path / "prepared").rglob("*.tmp"))


def test_data_set_that_another_process_finishes_meanwhile_is_used(directory, tmp_path, monkeypatch):
    first = prepare(directory, tmp_path)
    final = pathlib.Path(first.data_dir)
    final.rename(tmp_path / "aside")

    def lock(*arguments, lock=files.lock):
        (tmp_path / "aside").rename(final)
        return lock(*arguments)

    monkeypatch.setattr(preparation.files, "lock", lock)
    assert preparation.identity(prepare(directory, tmp_path)) == preparation.identity(first)


@pytest.mark.parametrize(
    "options",
    [{"unknown_depth": 999}, {"max_bad_fraction": 7.0}, {"max_bad_fraction": float("nan")}],
)
def test_option_out_of_range_is_refused(directory, tmp_path, options):
    (name,) = options
    with pytest.raises(InputError, match=f"--{name}=.*must be"):
        prepare(directory, tmp_path, **options)


def test_directory_must_be_named(tmp_path):
    with pytest.raises(InputError, match="--dir is missing"):
        preparation.prepare("folder", prepared_dir=str(tmp_path))


def test_library_needs_the_depth_of_all_of_a_background(tmp_path):
    directory = modest_folder.make(tmp_path / "set", grow=0)
    add_cutouts(directory)
    add_background_depth(directory, 0)
    built = prepare(directory, tmp_path)
    for size in (16, 48):
        with pytest.raises(InputError, match="backgrounds of unknown depth"):
            library_loader.load(built, size)
        assert library_loader.load(built, size, with_depth=False).depths is None
    known = prepare(directory, tmp_path, unknown_depth=-1)
    assert library_loader.load(known, 48).depths.min() == 0


@pytest.mark.parametrize("packed", [False, True])
def test_sub_directories_are_passed_over(directory, tmp_path, packed):
    (directory / "bg" / "thumbs").mkdir()
    for path in list((directory / "bg").glob("*.jpeg")):
        shutil.copy(path, directory / "bg" / "thumbs")
    (directory / "bg" / "thumbs" / "other.jpeg").write_bytes(path.read_bytes())
    source = directory
    if packed:
        source = shutil.make_archive(str(tmp_path / "set"), "zip", directory)
    pictures = modest_layout.open_files(source).pictures("bg")
    assert len(pictures) == 12 and all(len(names) == 1 for names in pictures.values())
    assert "other" not in pictures
