"""A sheet of what each operation of `augment.py` does to a composite of the embedded museum, made in memory.

python -m modest.data.augmentation_sheet --out sheet.png      draws it; docs/augmentation.md shows one
"""

import argparse

import jax
import numpy as np
from PIL import Image, ImageDraw

from modest import pictures
from modest.augment import augment
from modest.data import procedural
from modest.preprocess import to_float

# The bounds of configs/depthnet.py, in the order in which the operations are done.
BOUNDS = {
    "crop": {"padding": 0.125},
    "rotation": {"degrees": 10.0},
    "blur": {"sigma": 1.4},
    "cutout": {"squares": 1, "size": 0.25},
    "hue_saturation_value": {"hue": 20 / 180, "saturation": 30 / 255, "value": 20 / 255},
    "iso_noise": {"color_shift": 0.05, "intensity": 0.5},
    "brightness_contrast": {"brightness": 0.2, "contrast": 0.2},
}
SHOWN = 4  # the room and the person
LABEL = 14  # px
GAP = 4  # px
OUTLINE = (255, 40, 200)


def sheet(seed=0, size=128, draws=3):
    """A row an operation, and one of all: the composite as it is, then `draws` draws, pictures of `size` px."""
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
        out = jax.device_get(augment(jax.random.fold_in(jax.random.key(seed), row), batch, options))
        tiles = [tile(example), *(tile({name: images[i] for name, images in out.items()}) for i in range(draws))]
        for column, picture in enumerate(tiles):
            paper.paste(picture, (column * width, row * height + LABEL))
    return paper


def composite(seed, size):
    """One composite as `augment` takes it: `bg`, `bg_fg`, `mask`, `depth`, float `[size,size,C]` in [0, 1]."""
    museum = procedural.Museum(seed=seed)
    room, person = procedural.room(museum, SHOWN), procedural.person(museum, SHOWN)
    made = next(procedural.composites(museum, room, SHOWN, person, SHOWN))
    made["bg"] = procedural.background(museum, SHOWN, room)["picture"]
    stored = {name: pictures.read(made[name], name, (size, size)) for name in ("bg", "bg_fg", "mask", "depth")}
    return jax.device_get(to_float(stored))


def tile(example):
    """`bg_fg` with an outline around the mask; beside it, at half the size, `bg` over `depth`."""
    large, bg, depth = (_as_image(example[name]) for name in ("bg_fg", "bg", "depth"))
    mask = np.pad(example["mask"][..., 0] > 0, 1)
    near = mask[:-2, 1:-1] | mask[2:, 1:-1] | mask[1:-1, :-2] | mask[1:-1, 2:]
    large.paste(OUTLINE, mask=Image.fromarray(near & ~mask[1:-1, 1:-1]))
    width, height = large.size
    paper = Image.new("RGB", (width + width // 2, height))
    paper.paste(large)
    for y, small in ((0, bg), (height // 2, depth)):
        paper.paste(small.resize((width // 2, height // 2), Image.Resampling.BOX), (width, y))
    return paper


def _options(*names):
    """Those of `augment` with these operations always done and no other."""
    chosen = {name: {"probability": float(name in names)} | bounds for name, bounds in BOUNDS.items()}
    return chosen | {"flip": float("flip" in names)}


def _words(bounds):
    return ", ".join(f"{name} {value:.3g}" for name, value in bounds.items())


def _as_image(values):
    """An RGB picture of float `[H,W,1]` or `[H,W,3]` in [0, 1]."""
    return Image.fromarray(np.broadcast_to(np.round(255 * values), (*values.shape[:2], 3)).astype(np.uint8))


def main(arguments=None):
    """The command; see the module."""
    parser = argparse.ArgumentParser(
        prog="python -m modest.data.augmentation_sheet", description="Draws what each operation of the augmentation does."
    )
    parser.add_argument("--out", required=True, help="the picture to write, for example sheet.png")
    parser.add_argument("--seed", type=int, default=0, help="of the composite and of the draws")
    parser.add_argument("--size", type=int, default=128, help="of the pictures, px")
    parser.add_argument("--draws", type=int, default=3, help="how many of each operation")
    chosen = parser.parse_args(arguments)
    sheet(chosen.seed, chosen.size, chosen.draws).save(chosen.out, optimize=True)


if __name__ == "__main__":
    main()
