"""The embedded museum as a TFDS data set."""

import hashlib
import pathlib
import subprocess
import sys

import pytest

from modest.data import museum
from modest.vocabulary import SPLITS, TEST_SPLITS, InputError


def records(builder, split):
    source = museum.source(builder, split)
    return [source[i] for i in range(len(source))]


def digest(builder):
    files = sorted(pathlib.Path(builder.data_dir).glob("*.array_record*"))
    assert files
    return [hashlib.sha256(path.read_bytes()).hexdigest() for path in files]


def test_splits_share_what_their_names_say(small_museum, prepared_dir):
    builder = museum.prepare("procedural", prepared_dir=str(prepared_dir))
    assert set(builder.info.splits) == {*SPLITS, *museum.LIBRARY}
    rooms = {split: {r["bg_id"] for r in records(builder, split)} for split in SPLITS}
    people = {split: {r["fg_id"] for r in records(builder, split)} for split in SPLITS}
    for ids in (rooms, people):
        assert not ids["train"] & ids["validation"] and not ids["train"] & ids["test"] and not ids["validation"] & ids["test"]
    assert rooms["test_seen_background"] <= rooms["train"] and not people["test_seen_background"] & people["train"]
    assert people["test_seen_figure"] <= people["train"] and not rooms["test_seen_figure"] & rooms["train"]
    pictures = [r["bg_fg"] for split in SPLITS for r in records(builder, split)]
    assert len(set(pictures)) == len(pictures)


def test_a_background_is_stored_once(small_museum, prepared_dir):
    builder = museum.prepare("procedural", prepared_dir=str(prepared_dir))
    backgrounds = records(builder, museum.BACKGROUNDS)
    assert sorted(r["bg_id"] for r in backgrounds) == [f"room{i:04}".encode() for i in range(8)]
    assert {r["fg_id"] for r in backgrounds} == {b""}


def test_two_preparations_give_the_same_bytes(small_museum, prepared_dir, tmp_path):
    first = museum.prepare("procedural", prepared_dir=str(prepared_dir))
    second = museum.prepare("procedural", prepared_dir=str(tmp_path))
    assert digest(first) == digest(second)


def test_changes_are_kept_apart(small_museum, tmp_path):
    changed = museum.prepare("procedural", prepared_dir=str(tmp_path), changes={"noise": 0.0, "places": 2})
    assert changed.builder_config.name.startswith("procedural-")
    pairs = {(r["bg_id"], r["fg_id"]) for r in records(changed, "train")}
    assert len(records(changed, "train")) == 4 * len(pairs)


def test_an_unknown_split_is_told_what_there_is(small_museum, prepared_dir):
    builder = museum.prepare("procedural", prepared_dir=str(prepared_dir))
    with pytest.raises(InputError, match="no split 'valid'; it has .*validation"):
        museum.source(builder, "valid")
    assert len(museum.source(builder, "+".join(TEST_SPLITS))) == sum(len(museum.source(builder, s)) for s in TEST_SPLITS)


def test_neither_tensorflow_nor_torch_is_imported():
    code = "import sys; from modest.data import museum; print('tensorflow' in sys.modules or 'torch' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"
