"""Find out how the masks of a data set say what is foreground, and read them.

Masks come as 0 and 255, 0 and 1, a palette, a colour on black, or an alpha channel. `find` looks at
a sample of a data set's masks, and returns how all of them are to be read:

    grey      levels of 8 bits, brighter than 127 is foreground; soft edges are kept
    values    exactly two values: 0 and a grey level of any depth, or black and one colour
    alpha     the alpha channel; the colour is the same everywhere, or agrees with it

Anything else is refused: maps of labels, several colours, a colour and an alpha that contradict
each other. `read` then checks every mask.
"""

from collections import Counter
from collections.abc import Iterable
from typing import Any, NamedTuple

import numpy as np
from PIL import Image
from scipy import ndimage

from modest.data import composite, images
from modest.errors import InputError

ADVICE = (
    "store 0 and 255, or pass --masks grey (--config.data.masks=grey) if all that is brighter than "
    "127 is meant"
)
MOST_CONSTANT = 0.9  # share of masks that may be empty or full
ENOUGH, MOST = 32, 2000  # masks with foreground that decide; masks of a sample in all
LOSSY = ("JPEG", "MPO", "WEBP", "AVIF", "HEIF")  # formats that may blur the values of a mask
FLAT = 5  # side in px of a square of one level that is no soft edge
COLOUR = 2**40  # added to packed colours, so that they differ from grey levels


class Reading(NamedTuple):
    """How to read the masks of a data set.

    Attributes:
      rule: `grey`, `values` or `alpha`, see the module.
      foreground: for `values`, the value that is foreground; 0 is background.
      seen: text that describes what the sample contains.
      strict: refuse masks that differ from the sample, and data sets without foreground.
    """

    rule: str = "grey"
    foreground: float = 255
    seen: str = ""
    strict: bool = True

    def __str__(self) -> str:
        """Return what is foreground, as text."""
        rules = {"grey": "brighter than 127", "alpha": "alpha above 127"}
        return rules.get(self.rule) or f"{_text(self.foreground)} (0 is background)"


class _Raw(NamedTuple):
    """A mask as it is stored.

    Attributes:
      values: `[H,W]` grey levels; or, if there is a colour, int64 with `COLOUR` + packed RGB.
      alpha: uint8 `[H,W]` or None.
      lossy: whether the format may have blurred the values.
    """

    values: np.ndarray
    alpha: np.ndarray | None
    lossy: bool


class _Facts(NamedTuple):
    """What is remembered of a mask of the sample, which may be too large to be kept."""

    lossy: bool
    is_byte: bool  # grey levels of 8 bits
    alpha_agrees: bool  # its alpha is constant, or opaque where there is colour


def find(sample: Iterable[tuple[bytes, str]], where: str) -> Reading:
    """Find out how to read the masks of a data set.

    Args:
      sample: encoded masks with their paths, spread over the data set. Masks are taken until
        enough of them have foreground and background. Masks that cannot be decoded are left out.
      where: what messages call the masks.

    Raises:
      InputError: it cannot be told what is foreground; the message lists the values.
    """
    facts: list[_Facts] = []
    levels: Counter = Counter()
    alphas: set[int] = set()
    flat: Counter = Counter()
    informative = 0
    for number, (data, name) in enumerate(sample):
        if informative == ENOUGH or number == MOST:
            break
        try:
            raw = _decode(data, name)
        except InputError:
            continue
        values, counts = np.unique(raw.values, return_counts=True)
        opacities = {255} if raw.alpha is None else set(np.unique(raw.alpha).tolist())
        agrees = len(opacities) == 1 or _alpha_agrees(raw)
        facts.append(_Facts(raw.lossy, raw.values.dtype == np.uint8, agrees))
        levels.update(dict(zip(values.tolist(), counts.tolist())))
        alphas |= opacities
        flat.update(_flat(raw.values))
        informative += len(values) > 1 or len(opacities) > 1
    if not facts:
        return Reading()
    seen = _describe(levels, alphas)
    problem, reading = _decide(facts, levels, flat, alphas)
    if problem:
        raise InputError(f"{where}: {problem}: {seen} in {len(facts)} masks; {ADVICE}")
    return reading._replace(seen=seen)


def read(data: bytes, name: str, reading: Reading) -> tuple[np.ndarray, bytes]:
    """Decode and check one mask.

    Args:
      data: the encoded mask.
      name: its path for messages.
      reading: what `find` returned.

    Returns:
      The mask, uint8 `[H,W]`, foreground is above 127; and the bytes to store: those that were
      given for the rule `grey`, otherwise a PNG of the mask.

    Raises:
      InputError: the mask cannot be decoded, or does not have the values of the others.
    """
    if not reading.strict:
        return images.read(data, "mask", name=name)[..., 0], data
    raw = _decode(data, name)
    if reading.rule == "grey":
        mask = raw.values
        if raw.values.dtype != np.uint8:
            raise InputError(f"{name}: {_describe(np.unique(raw.values))}; other masks are grey")
        faint = (mask > 0).mean()
        if not (mask > composite.FOREGROUND).any() and faint > 0.005 and not raw.lossy:
            levels = _describe(np.unique(mask))
            raise InputError(f"{name}: {levels}, none above 127; other masks have foreground there")
        return mask, data
    if reading.rule == "alpha":
        if raw.alpha is None:
            raise InputError(f"{name}: has no alpha channel; other masks are alpha channels")
        return raw.alpha, images.encode_grey(raw.alpha)
    unknown = np.setdiff1d(raw.values, [0, reading.foreground])
    if unknown.size:
        raise InputError(
            f"{name}: {_describe(unknown)}; other masks have 0 and {_text(reading.foreground)}"
        )
    mask = np.where(raw.values == reading.foreground, 255, 0).astype(np.uint8)
    return mask, images.encode_grey(mask)


def refuse_constant(total: int, empty: int, full: int, where: str, reading: Reading) -> None:
    """Check that not nearly all masks are empty or full.

    Args:
      total: number of masks.
      empty: how many of them have no foreground.
      full: how many of them have nothing else.
      where: what messages call the data set.
      reading: how they were read.

    Raises:
      InputError: more than nine in ten are empty or full, and `reading` is strict.
    """
    if reading.strict and empty + full > MOST_CONSTANT * total:
        raise InputError(
            f"{where}: of {total} masks, {empty} are empty and {full} full ({reading.seen}, "
            f"foreground is {reading}); {ADVICE}"
        )


def _decode(data, name):
    image = images.decode(data, name)
    lossy = image.format in LOSSY
    alpha = None
    if image.mode in ("LA", "PA", "RGBA") or "transparency" in image.info:
        rgba = image.convert("RGBA")
        alpha, image = np.asarray(rgba.getchannel("A")), rgba.convert("RGB")
    if image.mode == "1":
        image = image.convert("L")
    if image.mode == "P":
        image = _without_palette(image, name)
    if image.mode in ("CMYK", "YCbCr"):
        image = image.convert("RGB")
    if image.mode != "RGB":
        return _Raw(np.asarray(image), alpha, lossy)
    colour = np.asarray(image)
    if np.ptp(colour, axis=-1).max() <= (images.NEUTRAL if lossy else 0):
        return _Raw(np.asarray(image.convert("L")), alpha, lossy)
    red, green, blue = np.moveaxis(colour.astype(np.int64), -1, 0)
    is_grey = (red == green) & (green == blue)
    packed = COLOUR + (red << 16) + (green << 8) + blue
    return _Raw(np.where(is_grey, red, packed), alpha, lossy)


def _without_palette(image: Image.Image, name: str) -> Image.Image:
    """Return the colours of a picture with a palette, if they tell its indices apart."""
    indices, colours = np.unique(np.asarray(image)), np.asarray(image.convert("RGB"))
    if len(np.unique(colours.reshape(-1, 3), axis=0)) < len(indices):
        raise InputError(f"{name}: its palette gives several of the indices {indices} one colour")
    return image.convert("RGB")


def _decide(facts, levels, flat, alphas):
    """Return what is wrong with the masks, or an empty string; and how to read them."""
    if len(alphas) > 1:
        if len(levels) > 1 and not all(mask.alpha_agrees for mask in facts):
            return "colour and alpha contradict each other", Reading()
        return "", Reading("alpha")
    if max(levels) >= COLOUR:
        if set(levels) - {0} == {max(levels)} and not any(mask.lossy for mask in facts):
            return "", Reading("values", max(levels))
        return "it cannot be told which colour is foreground", Reading()
    low, high = min(levels), max(levels)
    is_byte = all(mask.is_byte for mask in facts)
    if is_byte and low <= composite.FOREGROUND < high and not _has_labels(facts, levels, flat):
        return "", Reading()
    if len(levels) == 1 and is_byte:
        return "", Reading()  # all masks are empty or full, which `refuse_constant` reports
    if len(levels) == 2 and not low:
        return "", Reading("values", high)
    return "it cannot be told which values are foreground", Reading()


def _has_labels(facts, levels, flat):
    """Return whether levels between the lowest and the highest are more than soft edges."""
    low, high = min(levels), max(levels)
    if len(levels) == 2:
        return False
    if any(mask.lossy for mask in facts):
        between = sum(count for level, count in levels.items() if 32 <= level <= 223)
        return between > 0.5 * sum(count for level, count in levels.items() if level >= 32)
    foreground = sum(count for level, count in levels.items() if level > composite.FOREGROUND)
    if len(levels) <= 4:  # soft edges have more levels
        return sum(n for level, n in levels.items() if low < level < high) > 0.05 * foreground
    # A picture that was a JPEG has flat areas close to black and white.
    return sum(n for level, n in flat.items() if low + 8 < level < high - 8) > 0.02 * foreground


def _flat(values):
    """Count, for each level, the pixels in the middle of a square of that level."""
    if values.dtype != np.uint8:
        return {}
    same = ndimage.maximum_filter(values, FLAT) == ndimage.minimum_filter(values, FLAT)
    levels, counts = np.unique(values[same], return_counts=True)
    return dict(zip(levels.tolist(), counts.tolist()))


def _alpha_agrees(raw):
    """Return whether the coloured part of a mask is the opaque part."""
    opaque, coloured = raw.alpha > composite.FOREGROUND, raw.values > 0
    return (opaque & coloured).sum() >= 0.9 * (opaque | coloured).sum()


def _describe(levels: Any, alphas: Any = (255,)) -> str:
    """Return grey levels, colours and alphas as short text."""
    kind = "colours" if max(levels) >= COLOUR else "values"
    shown = [f"{kind} {_list(sorted(levels))}"]
    shown += [f"alpha {_list(sorted(alphas))}"] * (len(alphas) > 1)
    return ", ".join(shown)


def _list(values):
    if len(values) > 6 and values[-1] < COLOUR:
        return f"{_text(values[0])} to {_text(values[-1])}"
    return ", ".join(map(_text, values[:6])) + ", ..." * (len(values) > 6)


def _text(value):
    if value < COLOUR:
        return f"{value:g}"
    red, green, blue = (int(value - COLOUR) >> shift & 255 for shift in (16, 8, 0))
    return f"({red} {green} {blue})"
