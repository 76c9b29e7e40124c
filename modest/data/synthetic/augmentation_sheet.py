"""A sheet that shows what each operation of `augment.py` does to one composite.

The composite is drawn in memory, from the embedded data set. `python -m modest sheet --kind
augmentation --out sheet.png` draws the sheet; docs/augmentation.md shows one.
"""

from collections.abc import Mapping
from typing import Any

import jax
import numpy as np
from PIL import Image, ImageDraw

from modest.augment import augment
from modest.data import images
from modest.data.synthetic import dataset
from modest.preprocess import to_float

# The bounds of configs/depthnet.py, in the order in which the operations are applied.
BOUNDS: dict[str, dict[str, float]] = {
    "crop": {"padding": 0.125},
    "rotation": {"degrees": 10.0},
    "blur": {"sigma": 1.4},
    "cutout": {"squares": 1, "size": 0.25},
    "hue_saturation_value": {"hue": 20 / 180, "saturation": 30 / 255, "value": 20 / 255},
    "iso_noise": {"color_shift": 0.05, "intensity": 0.5},
    "brightness_contrast": {"brightness": 0.2, "contrast": 0.2},
}
INDEX = 4  # index of the room and of the person
LABEL = 14  # px
GAP = 4  # px
OUTLINE = (255, 40, 200)


def sheet(seed: int = 0, size: int = 128, draws: int = 3) -> Image.Image:
    """Draw the sheet: a row per operation, and one with all operations.

    A row shows the composite unchanged, then augmented with `draws` different draws.

    Args:
      seed: seed of the data set and of the draws.
      size: height and width of the picture in pixels.
      draws: number of draws per operation.
    """
    example = composite(seed, size)
    rows = {"flip": _options("flip")}
    rows |= {f"{name}: {_words(bounds)}": _options(name) for name, bounds in BOUNDS.items()}
    rows["all of them, a flip by half"] = _options(*BOUNDS) | {"flip": 0.5}
    width, height = size + size // 2 + GAP, size + LABEL
    paper = Image.new("RGB", ((draws + 1) * width, len(rows) * height), (245, 245, 245))
    pen = ImageDraw.Draw(paper)
    batch = {name: np.repeat(image[None], draws, axis=0) for name, image in example.items()}
    for row, (label, options) in enumerate(rows.items()):
        pen.text((3, row * height + 1), label, fill=(0, 0, 0))
        key = jax.random.fold_in(jax.random.key(seed), row)
        out = jax.device_get(augment(key, batch, options))
        augmented = [{name: values[i] for name, values in out.items()} for i in range(draws)]
        for column, shown in enumerate([example, *augmented]):
            paper.paste(tile(shown), (column * width, row * height + LABEL))
    return paper


def composite(seed: int, size: int) -> dict[str, np.ndarray]:
    """Return one composite in the form that `augment` takes.

    Returns:
      `bg`, `bg_fg`, `mask` and `depth`: float `[size,size,C]` in [0, 1].
    """
    museum = dataset.SyntheticMuseum(seed=seed)
    room, person = dataset.room(museum, INDEX), dataset.person(museum, INDEX)
    encoded = next(dataset.composites(museum, room, INDEX, person, INDEX))
    encoded["bg"] = dataset.background(museum, INDEX, room)["picture"]
    names = ("bg", "bg_fg", "mask", "depth")
    decoded = {name: images.read(encoded[name], name, (size, size)) for name in names}
    return jax.device_get(to_float(decoded))


def tile(example: Mapping[str, np.ndarray]) -> Image.Image:
    """Draw `bg_fg` with the outline of the mask; beside it, half as large, `bg` above `depth`."""
    large, bg, depth = (_as_image(example[name]) for name in ("bg_fg", "bg", "depth"))
    mask = np.pad(example["mask"][..., 0] > 0, 1)
    dilated = mask[:-2, 1:-1] | mask[2:, 1:-1] | mask[1:-1, :-2] | mask[1:-1, 2:]
    large.paste(OUTLINE, mask=Image.fromarray(dilated & ~mask[1:-1, 1:-1]))
    width, height = large.size
    paper = Image.new("RGB", (width + width // 2, height))
    paper.paste(large)
    for y, small in ((0, bg), (height // 2, depth)):
        half_size = small.resize((width // 2, height // 2), Image.Resampling.BOX)
        paper.paste(half_size, (width, y))
    return paper


def _options(*names: str) -> dict[str, Any]:
    """Return options of `augment` that always apply these operations and no others."""
    options: dict[str, Any] = {
        name: {"probability": float(name in names)} | bounds for name, bounds in BOUNDS.items()
    }
    return options | {"flip": float("flip" in names)}


def _words(bounds):
    return ", ".join(f"{name} {value:.3g}" for name, value in bounds.items())


def _as_image(values):
    """Return an RGB picture of a float array `[H,W,1]` or `[H,W,3]` in [0, 1]."""
    rgb = np.broadcast_to(np.round(255 * values), (*values.shape[:2], 3))
    return Image.fromarray(rgb.astype(np.uint8))
