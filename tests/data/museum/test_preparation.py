"""The synthetic museum as a TFDS data set."""

import hashlib
import pathlib
import subprocess
import sys

import pytest

from modest.constants import SPLITS, TEST_SPLITS
from modest.data.museum import preparation, records
from modest.errors import InputError


def read_all(builder, split):
    source = preparation.source(builder, split)
    return [source[i] for i in range(len(source))]


def digest(builder):
    files = sorted(pathlib.Path(builder.data_dir).glob("*.array_record*"))
    assert files
    return [hashlib.sha256(path.read_bytes()).hexdigest() for path in files]


def test_splits_share_what_their_names_say(small_museum, prepared_dir):
    builder = preparation.prepare("procedural", prepared_dir=str(prepared_dir))
    assert set(builder.info.splits) == {*SPLITS, *records.NON_COMPOSITE_SPLITS}
    rooms = {split: {r["bg_id"] for r in read_all(builder, split)} for split in SPLITS}
    people = {split: {r["fg_id"] for r in read_all(builder, split)} for split in SPLITS}
    for ids in (rooms, people):
        assert not ids["train"] & ids["validation"]
        assert not ids["train"] & ids["test"]
        assert not ids["validation"] & ids["test"]
    assert rooms["test_seen_background"] <= rooms["train"]
    assert not people["test_seen_background"] & people["train"]
    assert people["test_seen_figure"] <= people["train"]
    assert not rooms["test_seen_figure"] & rooms["train"]
    pictures = [r["bg_fg"] for split in SPLITS for r in read_all(builder, split)]
    assert len(set(pictures)) == len(pictures)


def test_each_background_is_stored_once(small_museum, prepared_dir):
    builder = preparation.prepare("procedural", prepared_dir=str(prepared_dir))
    backgrounds = read_all(builder, records.BACKGROUNDS)
    assert sorted(r["bg_id"] for r in backgrounds) == [f"room{i:04}".encode() for i in range(8)]
    assert {r["fg_id"] for r in backgrounds} == {b""}


def test_two_preparations_give_the_same_bytes(small_museum, prepared_dir, tmp_path):
    first = preparation.prepare("procedural", prepared_dir=str(prepared_dir))
    second = preparation.prepare("procedural", prepared_dir=str(tmp_path))
    assert digest(first) == digest(second)


def test_variant_has_a_name_of_its_own(small_museum, tmp_path):
    changes = {"noise": 0.0, "places": 2}
    changed = preparation.prepare("procedural", prepared_dir=str(tmp_path), changes=changes)
    assert changed.builder_config.name.startswith("procedural-")
    pairs = {(r["bg_id"], r["fg_id"]) for r in read_all(changed, "train")}
    assert len(read_all(changed, "train")) == 4 * len(pairs)


def test_variant_names_are_stable():
    config = preparation._procedural_config("procedural_large", {"noise": 0.5})
    assert config.name == "procedural_large-adf9937d"  # data sets with this name are on disks


def test_unknown_split_lists_the_known_ones(small_museum, prepared_dir):
    builder = preparation.prepare("procedural", prepared_dir=str(prepared_dir))
    with pytest.raises(InputError, match="no split 'valid'; it has .*validation"):
        preparation.source(builder, "valid")
    joined = preparation.source(builder, "+".join(TEST_SPLITS))
    assert len(joined) == sum(len(preparation.source(builder, split)) for split in TEST_SPLITS)


def test_large_packages_are_not_imported():
    code = (
        "import sys; from modest.data.museum import preparation; "
        "print({'tensorflow', 'torch', 'jax'} & set(sys.modules))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "set()"
