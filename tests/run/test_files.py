"""Atomic writes."""

import json

from modest.run import files


def test_json_is_written_atomically(tmp_path):
    files.write_json(tmp_path / "a.json", {"x": 1})
    assert json.loads((tmp_path / "a.json").read_text()) == {"x": 1}
    assert [path.name for path in tmp_path.iterdir()] == ["a.json"]
