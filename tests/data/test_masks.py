"""Masks in every encoding: read if it is clear what is foreground, otherwise refused."""

import io

import numpy as np
import pytest
from PIL import Image

from modest.data import masks
from modest.errors import InputError

SHAPE = np.zeros((48, 40), np.uint8)
SHAPE[8:40, 10:30] = 1
BAND = SHAPE.copy()
BAND[2:8, 10:30] = 2  # six rows of a third value
THIN = np.zeros_like(SHAPE)
THIN[7, 10:30], THIN[8:40, 9] = 1, 1
SOFT = np.asarray(Image.fromarray(SHAPE * 255).resize((37, 45), Image.Resampling.BILINEAR))


def encoded(image, form="PNG", **options):
    stream = io.BytesIO()
    image.save(stream, form, **options)
    return stream.getvalue()


def grey(values, form="PNG", **options):
    return encoded(Image.fromarray(np.asarray(values)), form, **options)


def palette(indices, colours):
    image = Image.fromarray(indices).convert("P")
    image.putpalette([*np.ravel(colours).tolist()] + [0] * (768 - 3 * len(colours)))
    image.putdata([int(index) for index in indices.ravel()])
    return encoded(image)


def coloured(colours, form="PNG", **options):
    return encoded(Image.fromarray(np.asarray(colours, np.uint8)[SHAPE]), form, **options)


def with_alpha(colours, alpha):
    return encoded(Image.fromarray(np.dstack([np.asarray(colours, np.uint8)[SHAPE], alpha])))


READ = {
    "0 and 255": grey(SHAPE * 255),
    "JPEG": grey(SHAPE * 255, "JPEG", quality=80),
    "0 and 1": grey(SHAPE),
    "0 and 127": grey(SHAPE * 127),
    "0 and 128": grey(SHAPE * 128),
    "1 bit": encoded(Image.fromarray(SHAPE * 255).convert("1")),
    "16 bits": grey(SHAPE.astype(np.uint16) * 65535),
    "16 bits, 0 and 1": grey(SHAPE.astype(np.uint16)),
    "16 and 235": grey(16 + SHAPE * 219),
    "palette of VOC": palette(SHAPE, [(0, 0, 0), (128, 0, 0)]),
    "palette of two greys": palette(SHAPE, [(0, 0, 0), (255, 255, 255)]),
    "palette with class 15": palette(SHAPE * 15, [(0, 0, 0)] + [(9, k, 0) for k in range(15)]),
    "red": coloured([(0, 0, 0), (255, 0, 0)]),
    "dark blue": coloured([(0, 0, 0), (0, 0, 99)]),
    "white with alpha": with_alpha([(255, 255, 255)] * 2, SHAPE * 255),
    "black with alpha": with_alpha([(0, 0, 0)] * 2, SHAPE * 255),
    "red on transparent": with_alpha([(0, 0, 0), (255, 0, 0)], SHAPE * 255),
    "0 and 1, opaque": with_alpha([(0, 0, 0), (1, 1, 1)], SHAPE * 0 + 255),
}
REFUSED = {
    "labels": (grey(BAND), "values 0, 1, 2 "),
    "labels and void": (grey(np.asarray([0, 255, 1], np.uint8)[BAND]), "values 0, 1, 255 "),
    "trimap": (grey(np.asarray([0, 255, 128], np.uint8)[BAND]), "values 0, 128, 255 "),
    "trimap with a thin band": (
        grey(np.where(THIN, 128, SHAPE * 255).astype(np.uint8)),
        "0, 128, 255",
    ),
    "1 and 2": (grey(SHAPE + 1), "values 1, 2 "),
    "JPEG of 0 and 127": (grey(SHAPE * 127, "JPEG"), "values 0, 1, 126, 127, 128 "),
    "JPEG of red": (coloured([(0, 0, 0), (255, 0, 0)], "JPEG", quality=90), "colours "),
    "two colours": (coloured([(0, 0, 200), (255, 0, 0)]), r"colours \(0 0 200\), \(255 0 0\) "),
    "red on white": (coloured([(255, 255, 255), (255, 0, 0)]), "colours 255, "),
    "three indices": (palette(BAND, [(0, 0, 0), (128, 0, 0), (0, 128, 0)]), "colours 0, "),
    "alpha against colour": (
        with_alpha([(0, 0, 0), (255, 255, 255)], 255 - SHAPE * 255),
        "values 0, 255, alpha 0, 255 ",
    ),
}


@pytest.mark.parametrize("data", READ.values(), ids=READ)
def test_clear_masks_are_read(data):
    reading = masks.find([(data, "m.png")] * 3, "masks")
    mask, stored = masks.read(data, "m.png", reading)
    assert mask.dtype == np.uint8
    np.testing.assert_array_equal(mask > 127, SHAPE > 0)
    decoded = np.asarray(Image.open(io.BytesIO(stored)).convert("L"))  # as the loader decodes it
    np.testing.assert_array_equal(decoded > 127, SHAPE > 0)


@pytest.mark.parametrize(("data", "values"), REFUSED.values(), ids=REFUSED)
def test_unclear_masks_are_refused_with_their_values(data, values):
    with pytest.raises(InputError, match=f"^masks: .*{values}.*in 3 masks; store 0 and 255"):
        masks.find([(data, "m.png")] * 3, "masks")


def test_soft_edges_are_kept():
    reading = masks.find([(grey(SOFT), "m.png")], "masks")
    mask, stored = masks.read(grey(SOFT), "m.png", reading)
    assert stored == grey(SOFT) and len(np.unique(SOFT)) > 2
    np.testing.assert_array_equal(mask, SOFT)


@pytest.mark.parametrize(
    ("sample", "other", "message"),
    [
        ("0 and 255", "0 and 1", "other.png: values 0, 1, none above 127"),
        ("0 and 1", "0 and 127", "other.png: values 127; other masks have 0 and 1"),
        ("0 and 255", "red", r"other.png: .*\(255 0 0\); other masks are grey"),
        ("white with alpha", "0 and 255", "other.png: has no alpha"),
    ],
)
def test_mask_unlike_the_others_is_named(sample, other, message):
    reading = masks.find([(READ[sample], "m.png")], "masks")
    with pytest.raises(InputError, match=message):
        masks.read(READ[other], "other.png", reading)


def test_empty_mask_fits_every_reading():
    for sample in ("0 and 255", "0 and 1", "red", "palette of VOC"):
        reading = masks.find([(READ[sample], "m.png"), (grey(SHAPE * 0), "e.png")], "masks")
        assert not masks.read(grey(SHAPE * 0), "e.png", reading)[0].any()


def test_palette_that_hides_its_indices_is_refused():
    with pytest.raises(InputError, match="several of the indices"):
        masks.read(palette(SHAPE, [(0, 0, 0), (0, 0, 0)]), "m.png", masks.Reading())


def test_data_set_of_constant_masks_is_refused():
    reading = masks.Reading(seen="values 0, 1")
    masks.refuse_constant(10, 5, 4, "set", reading)
    message = "^set: of 10 masks, 6 are empty and 4 full .values 0, 1"
    with pytest.raises(InputError, match=message):
        masks.refuse_constant(10, 6, 4, "set", reading)
    masks.refuse_constant(10, 6, 4, "set", reading._replace(strict=False))
