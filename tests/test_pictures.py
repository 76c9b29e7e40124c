"""Reading pictures, good and bad."""

import io

import numpy as np
import pytest
from PIL import Image

from modest import pictures
from modest.vocabulary import InputError


def encoded(array, format="PNG", mode=None, **options):
    buffer = io.BytesIO()
    image = Image.fromarray(array)
    (image.convert(mode) if mode else image).save(buffer, format, **options)
    return buffer.getvalue()


RGB = np.arange(8 * 12 * 3, dtype=np.uint8).reshape(8, 12, 3)


def test_bytes_and_paths(tmp_path):
    (tmp_path / "a.png").write_bytes(encoded(RGB))
    np.testing.assert_array_equal(pictures.read(encoded(RGB), "bg"), RGB)
    np.testing.assert_array_equal(pictures.read(str(tmp_path / "a.png"), "bg"), RGB)


@pytest.mark.parametrize("mode", ["L", "P", "RGBA", "CMYK"])
def test_any_mode_becomes_the_kinds_channels(mode):
    data = encoded(RGB, "JPEG" if mode == "CMYK" else "PNG", mode=mode)
    assert pictures.read(data, "bg_fg").shape == (8, 12, 3)
    assert pictures.read(data, "mask").shape == (8, 12, 1)
    assert pictures.read(data, "depth").dtype == np.uint8


def test_resize_averages_area():
    checker = np.tile(np.asarray([[0, 200], [200, 0]], np.uint8), (32, 32))
    out = pictures.read(encoded(checker), "mask", (16, 16))
    assert out.shape == (16, 16, 1) and np.abs(out.astype(int) - 100).max() <= 1


def test_a_large_jpeg_read_small_is_that_read_whole_and_resized():
    smooth = np.asarray(Image.fromarray(np.asarray([[0, 255], [128, 30]], np.uint8)).resize((448, 448), Image.Resampling.BICUBIC))
    data = encoded(smooth, "JPEG", quality=95)
    small = pictures.read(data, "mask", (64, 64)).astype(int)
    whole = pictures.resize(pictures.read(data, "mask"), (64, 64)).astype(int)
    assert np.abs(small - whole).max() <= 4


@pytest.mark.parametrize(
    "data",
    [
        encoded(np.tile(RGB, (20, 20, 1)), "JPEG")[:600],
        b"",
        b"<html>not found</html>",
        encoded(RGB, "GIF"),
        encoded(np.zeros((20000, 900), np.uint8)),
    ],
    ids=["truncated", "empty", "html", "gif", "large"],
)
def test_what_cannot_be_used_is_named(tmp_path, data):
    path = tmp_path / "broken.jpeg"
    path.write_bytes(data)
    with pytest.raises(InputError, match="broken.jpeg"):
        pictures.read(str(path), "bg")


def test_a_missing_picture_is_named(tmp_path):
    with pytest.raises(InputError, match="gone.jpeg: no such picture"):
        pictures.read(str(tmp_path / "gone.jpeg"), "bg")
