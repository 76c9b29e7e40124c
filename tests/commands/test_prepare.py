"""`python -m modest prepare` of a directory: what it prints."""

import numpy as np
import pytest
from PIL import Image

import modest_folder
from modest.commands import prepare, process

SIDE = 64  # px; the masks have 12 x 20 px, which is 5.9 %


@pytest.fixture
def directory(tmp_path):
    """Return a data set of ten composites of one background and one figure."""
    return modest_folder.make(tmp_path / "set", backgrounds=1, places=10, size=SIDE)


def printed(directory, capsys, *options):
    """Run the command; return its output."""
    arguments = ["--name=folder", f"--dir={directory}", f"--prepared_dir={directory.parent}"]
    assert process.run(prepare.main, [*arguments, *options]) == 0
    return capsys.readouterr().out


def rewrite_masks(directory, change):
    """Replace each mask, bool `[H,W]`, by what `change(number, mask)` returns."""
    for number, path in enumerate(sorted((directory / "bg_fg_mask").iterdir())):
        mask = change(number, np.asarray(Image.open(path)) > 127)
        Image.fromarray(np.where(mask, 255, 0).astype(np.uint8)).save(path.with_suffix(".png"))
        path.unlink()


def test_table_of_splits(directory, capsys):
    output = printed(directory, capsys, "--splits=original")
    rows = {words[0]: words[1:] for words in map(str.split, output.splitlines()) if words}
    # Composites, MiB, foreground, empty masks; then shares of background, figure and pair.
    assert [*rows["train"][:1], *rows["train"][2:]] == ["7", "5.9%", "0"]
    assert [*rows["test"][:1], *rows["test"][2:]] == ["3", "5.9%", "0", *["100.0%"] * 3]
    assert rows["backgrounds"][0] == "1"
    assert "inverted" not in output and "does not list" not in output


def test_empty_masks_are_counted(directory, capsys):
    rewrite_masks(directory, lambda number, mask: mask & (number > 5))
    lines = printed(directory, capsys, "--splits=original").splitlines()
    empty = [int(line.split()[4]) for line in lines if line.startswith(("train ", "test "))]
    assert len(empty) == 2 and sum(empty) == 6


def test_inverted_masks_are_asked_about(directory, capsys):
    rewrite_masks(directory, lambda number, mask: ~mask)
    assert "masks: 94.1% is foreground; are they inverted?" in printed(directory, capsys)


def test_unlisted_pictures_are_named(directory, capsys):
    Image.new("RGB", (SIDE, SIDE)).save(directory / "bg" / "spare.png")
    assert "file_map.txt: does not list 1 file: bg/spare.png\n" in printed(directory, capsys)
