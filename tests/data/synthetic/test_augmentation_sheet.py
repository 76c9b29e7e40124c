"""The contact sheet of the augmentation."""

import numpy as np
from PIL import Image

from augment_inputs import OPTIONS
from modest.commands import sheet
from modest.data.synthetic import augmentation_sheet

SIZE, LABEL, GAP = 32, 14, 4  # px
ROWS = 9  # one per operation, and one for all together


def test_sheet_shows_every_operation_with_the_default_bounds(monkeypatch, tmp_path):
    bounds = {
        name: {key: bound for key, bound in value.items() if key != "probability"}
        for name, value in OPTIONS.items()
        if name != "flip"
    }
    assert augmentation_sheet.BOUNDS == bounds
    off = {name: dict.fromkeys(values, 0) for name, values in bounds.items()}
    monkeypatch.setattr(augmentation_sheet, "BOUNDS", off)  # avoids compiling the operations
    path = tmp_path / "sheet.png"
    options = ["--kind", "augmentation", "--size", str(SIZE), "--draws", "1"]
    sheet.main(["--out", str(path), *options])
    with Image.open(path) as image:
        assert image.size == (2 * (SIZE + SIZE // 2 + GAP), ROWS * (SIZE + LABEL))
        picture = np.asarray(image)
    for row in range(ROWS - 1):  # without the last row, which may be flipped
        top = row * (SIZE + LABEL) + LABEL
        unchanged, drawn = picture[top : top + SIZE, :32], picture[top : top + SIZE, 52:84]
        expected = unchanged[:, ::-1] if row == 0 else unchanged  # the first row shows the flip
        np.testing.assert_array_equal(drawn, expected)
    assert (picture[:, :48] == augmentation_sheet.OUTLINE).all(axis=-1).any()
