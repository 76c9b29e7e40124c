"""Which files of a directory are pictures."""

from modest.data import picture_files


def test_suffixes_of_any_case_count_and_hidden_files_do_not(tmp_path):
    names = ["b.JPG", "a.webp", "c.Tif", "d.bmp", "e.jfif", "._b.JPG", ".DS_Store", "notes.txt"]
    for name in [*names, *(f"{k}.gif" for k in range(6))]:
        (tmp_path / name).touch()
    found = picture_files.matching(tmp_path.iterdir(), picture_files.suffixes())
    assert [path.name for path in found] == ["a.webp", "b.JPG", "c.Tif", "d.bmp", "e.jfif"]
    line = picture_files.passed_over(tmp_path, picture_files.suffixes())
    assert line == (f"{tmp_path}: passed over 7 files: 0.gif, 1.gif, 2.gif, 3.gif, 4.gif, ...")
    assert picture_files.passed_over(tmp_path / "gone", ()) == ""
