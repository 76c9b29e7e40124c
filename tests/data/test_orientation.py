"""All eight orientations, in every format that can state one, by every way to read a picture."""

import io

import numpy as np
import pytest
from PIL import Image, features

from modest.data import images, orientation, pixel_statistics
from modest.data.recipe import inputs

UPRIGHT = np.zeros((48, 80, 3), np.uint8)  # each quarter has another level
UPRIGHT[:24, :40], UPRIGHT[:24, 40:], UPRIGHT[24:, :40] = 40, 110, 180
UPRIGHT[24:, 40:] = 250
INVERSE = {1: 1, 2: 2, 3: 3, 4: 4, 5: 5, 6: 8, 7: 7, 8: 6}
XMP = '<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:Description tiff:Orientation="{}"/></x:xmpmeta>'
FORMATS = ("JPEG", "PNG", "WEBP", "TIFF", "AVIF")


def stored(number, form, how):
    """Return the bytes of a picture that is `UPRIGHT` when it is turned as it says."""
    if form == "AVIF" and not features.check("avif"):
        pytest.skip("this Pillow has no AVIF")
    image = Image.fromarray(np.ascontiguousarray(orientation.turn(UPRIGHT, INVERSE[number])))
    options = {"JPEG": {"quality": 95}, "WEBP": {"lossless": True}}.get(form, {})
    if how == "EXIF":
        exif = Image.Exif()
        exif[0x0112] = number
        options |= {"exif": exif}
    elif form == "PNG":
        from PIL.PngImagePlugin import PngInfo

        options["pnginfo"] = PngInfo()
        options["pnginfo"].add_itxt("XML:com.adobe.xmp", XMP.format(number))
    else:
        options["xmp"] = XMP.format(number).encode()
    stream = io.BytesIO()
    image.save(stream, form, **options)
    return stream.getvalue()


WAYS = [(form, "EXIF") for form in FORMATS] + [(form, "XMP") for form in ("JPEG", "PNG", "WEBP")]


@pytest.mark.parametrize(("form", "how"), WAYS)
@pytest.mark.parametrize("number", range(1, 9))
def test_every_way_to_read_a_picture_turns_it_upright(tmp_path, number, form, how):
    data, path = stored(number, form, how), tmp_path / f"a.{form.lower()}"
    path.write_bytes(data)
    for picture in (images.read(data, "bg"), images.read(str(path), "bg")):
        np.testing.assert_allclose(picture, UPRIGHT, atol=12)
    halved = images.resize(UPRIGHT, (24, 40)).astype(int)  # the loader decodes a JPEG reduced
    assert np.abs(images.read(data, "bg", (24, 40)) - halved).mean() < 6
    assert np.abs(images.read(data, "mask", (24, 40)) - halved[..., :1]).mean() < 6
    assert inputs.upright_shape(path) == (48, 80)
    assert inputs.background(path, 16)[0, 0, 0] < 60


def test_statistics_see_the_upright_picture(tmp_path):
    (tmp_path / "bg").mkdir()
    (tmp_path / "bg" / "a.png").write_bytes(stored(6, "PNG", "XMP"))
    assert pixel_statistics.measure(tmp_path)["bg"]["mean"][0] == pytest.approx(
        UPRIGHT.mean() / 255
    )


def test_exif_comes_before_xmp_and_nonsense_is_upright():
    exif = Image.Exif()
    exif[0x0112] = 3
    image = Image.fromarray(UPRIGHT)
    stream = io.BytesIO()
    image.save(stream, "WEBP", lossless=True, exif=exif, xmp=XMP.format(6).encode())
    np.testing.assert_array_equal(images.read(stream.getvalue(), "bg"), UPRIGHT[::-1, ::-1])
    for number in (0, 9):
        image.info["xmp"] = XMP.format(number).encode()
        assert orientation.of_image(image) == 1


@pytest.mark.parametrize("number", range(1, 9))
def test_display_matrix_has_the_orientation_of_its_angle(number):
    a, b, c, d = {v: k for k, v in orientation.OF_MATRIX.items()}[number]
    for x, y in ((0, 0), (3, 1), (2, 2)):  # where the matrix moves a pixel, `turn` moves it too
        picture = np.zeros((5, 5), int)
        picture[y, x] = 1
        (row,), (column,) = np.nonzero(orientation.turn(picture, number))
        moved = np.array([a * (x - 2) + c * (y - 2), b * (x - 2) + d * (y - 2)]) + 2
        assert (column, row) == tuple(moved)
    fixed = [65536 * a, 65536 * b, 0, 65536 * c, 65536 * d, 0, 0, 0, 2**30]
    assert orientation.of_matrix(fixed) == number
