"""Reading usable and unusable pictures."""

import functools
import io
import os

import numpy as np
import pytest
from PIL import Image

from modest.data import images
from modest.errors import InputError


def encoded(array, format="PNG", mode=None, **options):
    buffer = io.BytesIO()
    image = Image.fromarray(array)
    (image.convert(mode) if mode else image).save(buffer, format, **options)
    return buffer.getvalue()


def enlarged(array, width_and_height):
    return np.asarray(Image.fromarray(array).resize(width_and_height, Image.Resampling.BICUBIC))


MUTANTS = int(os.environ.get("MUTANTS", 60))  # random corruptions of each of eight pictures
RGB = np.arange(8 * 12 * 3, dtype=np.uint8).reshape(8, 12, 3)


def test_bytes_and_path_give_the_same_picture(tmp_path):
    (tmp_path / "a.png").write_bytes(encoded(RGB))
    np.testing.assert_array_equal(images.read(encoded(RGB), "bg"), RGB)
    np.testing.assert_array_equal(images.read(str(tmp_path / "a.png"), "bg"), RGB)


@pytest.mark.parametrize("mode", ["1", "L", "LA", "P", "RGBA", "CMYK"])
def test_any_mode_is_converted_to_the_channels_of_its_kind(mode):
    data = encoded(RGB, "JPEG" if mode == "CMYK" else "PNG", mode=mode)
    assert images.read(data, "bg_fg").shape == (8, 12, 3)
    assert images.read(data, "mask").shape == (8, 12, 1)
    assert images.read(data, "depth").dtype == np.uint8


def test_reducing_averages_areas():
    checker = np.tile(np.asarray([[0, 200], [200, 0]], np.uint8), (32, 32))
    out = images.read(encoded(checker), "mask", (16, 16))
    assert out.shape == (16, 16, 1) and np.abs(out.astype(int) - 100).max() <= 1


def test_reduced_decoding_matches_full_decoding():
    smooth = enlarged(np.asarray([[0, 255], [128, 30]], np.uint8), (448, 448))
    data = encoded(smooth, "JPEG", quality=95)
    small = images.read(data, "mask", (64, 64)).astype(int)
    whole = images.resize(images.read(data, "mask"), (64, 64)).astype(int)
    assert np.abs(small - whole).max() <= 4


@pytest.mark.parametrize("kind", ["bg", "mask"])
@pytest.mark.parametrize(
    "options", [{}, {"progressive": True}, {"mode": "L"}, {"mode": "CMYK"}, {"subsampling": 0}]
)
def test_both_jpeg_decoders_agree(rng, kind, options):
    picture = enlarged(rng.integers(0, 256, (6, 7, 3), np.uint8), (96, 72))
    data = encoded(picture, "JPEG", quality=90, **options)
    with_pillow = images.read(data, kind)  # size None
    np.testing.assert_allclose(images.read(data, kind, (72, 96)).astype(int), with_pillow, atol=2)


def palette_with_alpha():
    image = Image.fromarray(RGB).convert("P")
    image.info["transparency"] = bytes(range(256))
    buffer = io.BytesIO()
    image.save(buffer, "PNG")
    return buffer.getvalue()


def rotated_jpeg():
    exif = Image.Exif()
    exif[0x0112] = 6  # orientation: the upper edge of the scene is on the right
    return encoded(RGB, "JPEG", quality=95, exif=exif)


def test_conversions():
    assert images.read(palette_with_alpha(), "bg").shape == (8, 12, 3)
    assert images.read(encoded(RGB, "JPEG", progressive=True), "bg").shape == (8, 12, 3)
    upright = images.read(rotated_jpeg(), "bg")
    assert upright.shape == (12, 8, 3)
    assert np.abs(upright.astype(int) - np.rot90(RGB, -1)).mean() < 12
    assert images.read(rotated_jpeg(), "mask", (6, 4)).shape == (6, 4, 1)


def test_cutout_needs_alpha():
    assert images.read_cutout(encoded(np.dstack([RGB, RGB[..., 0]])), "a.png").shape == (8, 12, 4)
    assert images.read_cutout(palette_with_alpha(), "a.png").shape == (8, 12, 4)
    with pytest.raises(InputError, match="a.png: has no alpha"):
        images.read_cutout(encoded(RGB), "a.png")


def large_png():
    return encoded(np.tile(RGB, (20, 20, 1)))


def bilevel(width_and_height, form="PNG", **options):
    buffer = io.BytesIO()
    Image.new("1", width_and_height).save(buffer, form, **options)
    return buffer.getvalue()


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
        bilevel((20000, 9000)),
        encoded(RGB[..., 0].astype(np.uint16) * 100),
    ],
    ids=[
        "truncated JPEG",
        "truncated PNG",
        "damaged PNG",
        "empty",
        "html",
        "gif",
        "large",
        "16 bits",
    ],
)
def test_error_names_the_unusable_picture(tmp_path, data):
    path = tmp_path / "broken.jpeg"
    path.write_bytes(data)
    with pytest.raises(InputError, match="broken.jpeg"):
        images.read(str(path), "bg")


@pytest.mark.parametrize("form", ["JPEG", "PNG", "WEBP", "BMP", "TIFF"])
def test_every_format_is_read(form):
    np.testing.assert_allclose(images.read(encoded(RGB * 0 + 90, form), "bg"), 90, atol=2)


def test_heic_is_read():
    pytest.importorskip("pillow_heif", reason="pillow-heif is not installed")
    grey = np.full((48, 80, 3), 90, np.uint8)
    np.testing.assert_allclose(images.read(encoded(grey, "HEIF"), "bg"), 90, atol=2)
    assert ".heic" in images.FORMATS["HEIF"]


def test_missing_heic_plugin_is_named(tmp_path, monkeypatch):
    monkeypatch.setattr(images, "FORMATS", {"JPEG": (".jpg",)})
    (tmp_path / "a.HEIC").write_bytes(b"\0\0\0\x18ftypheic")
    with pytest.raises(InputError, match="a.HEIC: .*pip install pillow-heif"):
        images.read(str(tmp_path / "a.HEIC"), "bg")


def test_photograph_of_48_megapixels_is_read():
    data = encoded(np.full((6000, 8000), 90, np.uint8), "JPEG")
    assert images.read(data, "mask").shape == (6000, 8000, 1)


def test_limit_is_by_pixels_and_by_ratio(monkeypatch):
    assert not images.read(bilevel((9000, 9000)), "mask").any()  # an empty mask of a scan
    with pytest.raises(InputError, match="a.tif: 81000000 pixels in .* no photograph"):
        images.read(bilevel((9000, 9000), "TIFF", compression="group4"), "mask", name="a.tif")
    monkeypatch.setenv(images.MAX_PIXELS_VARIABLE, "95")
    with pytest.raises(InputError, match="a.png: 12 x 8 pixels; at most 95 .*--max_pixels"):
        images.read(encoded(RGB), "bg", name="a.png")
    monkeypatch.setenv(images.MAX_PIXELS_VARIABLE, "96")
    assert images.read(encoded(RGB), "bg").shape == RGB.shape
    monkeypatch.setenv(images.MAX_PIXELS_VARIABLE, "many")
    with pytest.raises(InputError, match="MODEST_MAX_PIXELS=many"):
        images.read(encoded(RGB), "bg")


def test_error_names_the_missing_picture(tmp_path):
    with pytest.raises(InputError, match="gone.jpeg: no such picture"):
        images.read(str(tmp_path / "gone.jpeg"), "bg")


def test_damaged_picture_raises_or_has_a_valid_shape(rng):
    originals = [encoded(np.tile(RGB, (3, 3, 1)), form) for form in ("JPEG", "PNG")]
    originals += [rotated_jpeg(), palette_with_alpha()]
    rejected = 0
    for number in range(600):
        data = bytearray(originals[number % len(originals)])
        for place in rng.integers(0, len(data), rng.integers(1, 8)):
            data[place] = rng.integers(256)
        try:
            if number % 3:
                data = data[: rng.integers(1, len(data) + 1)]
            picture = images.read(bytes(data), "bg_fg")
        except InputError:
            rejected += 1
        else:
            assert picture.dtype == np.uint8 and picture.ndim == 3 and picture.shape[2] == 3
    assert 200 < rejected < 600


@functools.cache
def seeds():
    """Return an encoded small picture of every supported variety."""
    smooth = enlarged(RGB, (40, 32))
    return [
        encoded(smooth, "JPEG", mode="RGB"),
        encoded(smooth, "JPEG", mode="RGB", progressive=True),
        encoded(smooth, "JPEG", mode="L"),
        encoded(smooth, "JPEG", mode="CMYK"),
        *(encoded(smooth, mode=mode) for mode in ("RGB", "RGBA", "P", "1")),
    ]


def mutant(data, rng):
    """Change some bytes, cut out or repeat a piece, or cut off the end."""
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
def test_any_bytes_give_a_picture_or_an_input_error(seed):
    rng = np.random.default_rng(seed)
    read = 0
    for number in range(MUTANTS):
        data = mutant(seeds()[seed], rng)
        size = ((16, 24), None)[number % 2]
        kind = ("bg_fg", "mask")[number // 2 % 2]
        try:
            picture = images.read(data, kind, size)
        except InputError as error:
            assert "\n" not in str(error)
        else:
            assert picture.dtype == np.uint8 and picture.shape[2] == {"bg_fg": 3, "mask": 1}[kind]
            assert size is None or picture.shape[:2] == size
            read += 1
    assert read < MUTANTS and (read or seeds()[seed].startswith(b"\x89PNG"))  # has checksums


def test_damaged_png_is_refused_though_pillow_decodes_it(rng):
    data = images.encode_picture(rng.integers(0, 255, (40, 60, 3), np.uint8), 0)
    place = data.index(b"IEND") - 10  # in the Adler checksum of the pixels
    damaged = data[:place] + bytes([data[place] ^ 1]) + data[place + 1 :]
    with pytest.raises(InputError, match="x: cannot be read as a picture"):
        images.read(damaged, "bg", name="x")


@pytest.mark.skipif("AVIF" not in images.FORMATS, reason="Pillow without AVIF")
def test_damaged_avif_is_refused(rng):
    data = bytearray(encoded(rng.integers(0, 255, (40, 60, 3), np.uint8), "AVIF"))
    data[data.index(b"mdat") + 4 :] = bytes(len(data) - data.index(b"mdat") - 4)
    with pytest.raises(InputError, match="x: cannot be read as a picture"):
        images.read(bytes(data), "bg", name="x")
