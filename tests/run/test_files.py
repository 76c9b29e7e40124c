"""Atomic writes."""

import json

from modest.run import files


def test_json_is_written_atomically(tmp_path):
    files.write_json(tmp_path / "a.json", {"x": 1})
    assert json.loads((tmp_path / "a.json").read_text()) == {"x": 1}
    assert [path.name for path in tmp_path.iterdir()] == ["a.json"]


def test_only_unfinished_files_of_our_own_are_removed(tmp_path):
    own = files.temporary_name(tmp_path / "mask.png")
    names = ["thesis.tmp", ".hidden.tmp", f"{own.name}.txt", own.name.removeprefix(".")]
    for path in (own, *(tmp_path / name for name in names)):
        path.touch()
    (tmp_path / "folder.tmp").mkdir()
    files.remove_unfinished(tmp_path)
    assert sorted(path.name for path in tmp_path.iterdir()) == sorted([*names, "folder.tmp"])
