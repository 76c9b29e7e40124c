"""Reading pictures, good and bad."""

import functools
import io
import os

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


MUTANTS = int(os.environ.get("MUTANTS", 60))  # of each of eight pictures
RGB = np.arange(8 * 12 * 3, dtype=np.uint8).reshape(8, 12, 3)


def test_bytes_and_paths(tmp_path):
    (tmp_path / "a.png").write_bytes(encoded(RGB))
    np.testing.assert_array_equal(pictures.read(encoded(RGB), "bg"), RGB)
    np.testing.assert_array_equal(pictures.read(str(tmp_path / "a.png"), "bg"), RGB)


@pytest.mark.parametrize("mode", ["1", "L", "LA", "P", "RGBA", "CMYK"])
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


@pytest.mark.parametrize("kind", ["bg", "mask"])
@pytest.mark.parametrize("options", [{}, {"progressive": True}, {"mode": "L"}, {"mode": "CMYK"}, {"subsampling": 0}])
def test_both_decoders_of_a_jpeg_agree(rng, kind, options):
    picture = np.asarray(Image.fromarray(rng.integers(0, 256, (6, 7, 3), np.uint8)).resize((96, 72), Image.Resampling.BICUBIC))
    data = encoded(picture, "JPEG", quality=90, **options)
    with_pillow = pictures.read(data, kind)  # size None
    np.testing.assert_allclose(pictures.read(data, kind, (72, 96)).astype(int), with_pillow, atol=2)


def palette_with_alpha():
    image = Image.fromarray(RGB).convert("P")
    image.info["transparency"] = bytes(range(256))
    buffer = io.BytesIO()
    image.save(buffer, "PNG")
    return buffer.getvalue()


def turned():
    exif = Image.Exif()
    exif[0x0112] = 6  # what is on top in the camera is on the right
    return encoded(RGB, "JPEG", quality=95, exif=exif)


def test_what_is_converted():
    assert pictures.read(palette_with_alpha(), "bg").shape == (8, 12, 3)
    assert pictures.read(encoded(RGB, "JPEG", progressive=True), "bg").shape == (8, 12, 3)
    upright = pictures.read(turned(), "bg")
    assert upright.shape == (12, 8, 3)
    assert np.abs(upright.astype(int) - np.rot90(RGB, -1)).mean() < 12
    assert pictures.read(turned(), "mask", (6, 4)).shape == (6, 4, 1)


def test_a_cut_out_has_alpha():
    assert pictures.read_cutout(encoded(np.dstack([RGB, RGB[..., 0]])), "a.png").shape == (8, 12, 4)
    assert pictures.read_cutout(palette_with_alpha(), "a.png").shape == (8, 12, 4)
    with pytest.raises(InputError, match="a.png: has no alpha"):
        pictures.read_cutout(encoded(RGB), "a.png")


def large_png():
    return encoded(np.tile(RGB, (20, 20, 1)))


def zeroed(data, start, stop):
    return data[:start] + bytes(stop - start) + data[stop:]


@pytest.mark.parametrize(
    "data",
    [
        encoded(np.tile(RGB, (20, 20, 1)), "JPEG")[:600],
        large_png()[: len(large_png()) // 2],
        zeroed(large_png(), 60, 90),
        b"",
        b"<html>not found</html>",
        encoded(RGB, "GIF"),
        encoded(RGB, "WEBP"),
        encoded(np.zeros((20000, 900), np.uint8)),
        encoded(RGB[..., 0].astype(np.uint16) * 100),
    ],
    ids=["truncated JPEG", "truncated PNG", "damaged PNG", "empty", "html", "gif", "webp", "large", "16 bits"],
)
def test_what_cannot_be_used_is_named(tmp_path, data):
    path = tmp_path / "broken.jpeg"
    path.write_bytes(data)
    with pytest.raises(InputError, match="broken.jpeg"):
        pictures.read(str(path), "bg")


def test_a_missing_picture_is_named(tmp_path):
    with pytest.raises(InputError, match="gone.jpeg: no such picture"):
        pictures.read(str(tmp_path / "gone.jpeg"), "bg")


def test_a_damaged_picture_is_refused_or_has_its_shape(rng):
    seeds = [encoded(np.tile(RGB, (3, 3, 1)), form) for form in ("JPEG", "PNG")] + [turned(), palette_with_alpha()]
    refused = 0
    for number in range(600):
        data = bytearray(seeds[number % len(seeds)])
        for place in rng.integers(0, len(data), rng.integers(1, 8)):
            data[place] = rng.integers(256)
        try:
            picture = pictures.read(bytes(data[: rng.integers(1, len(data) + 1)] if number % 3 else data), "bg_fg")
        except InputError:
            refused += 1
        else:
            assert picture.dtype == np.uint8 and picture.ndim == 3 and picture.shape[2] == 3
    assert 200 < refused < 600


def seeds():
    """Small pictures of every kind that is read, encoded."""
    smooth = np.asarray(Image.fromarray(RGB).resize((40, 32), Image.Resampling.BICUBIC))
    jpegs = [encoded(smooth, "JPEG", mode=mode, **more) for mode, more in (("RGB", {}), ("RGB", {"progressive": True}), ("L", {}))]
    return [*jpegs, encoded(smooth, "JPEG", mode="CMYK"), *(encoded(smooth, mode=mode) for mode in ("RGB", "RGBA", "P", "1"))]


seeds_once = functools.cache(seeds)


def mutant(data, rng):
    """Some bytes changed, a piece cut out, repeated, or the end cut off."""
    data = bytearray(data)
    start, stop = sorted(rng.integers(0, len(data), 2))
    kind = rng.integers(4)
    if kind == 0:
        for place in rng.integers(0, len(data), rng.integers(1, 20)):
            data[place] = rng.integers(256)
    elif kind == 1:
        del data[start:stop]
    elif kind == 2:
        data[start:start] = data[start:stop]
    else:
        del data[stop:]
    return bytes(data)


@pytest.mark.parametrize("seed", range(8))
def test_whatever_the_bytes_a_picture_or_an_input_error(seed):
    rng, read = np.random.default_rng(seed), 0
    for number in range(MUTANTS):
        data, size, kind = mutant(seeds_once()[seed], rng), ((16, 24), None)[number % 2], ("bg_fg", "mask")[number // 2 % 2]
        try:
            picture = pictures.read(data, kind, size)
        except InputError as error:
            assert "\n" not in str(error)
        else:
            assert picture.dtype == np.uint8 and picture.shape[2] == {"bg_fg": 3, "mask": 1}[kind]
            assert size is None or picture.shape[:2] == size
            read += 1
    assert 0 < read < MUTANTS
