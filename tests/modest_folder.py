"""Make a small directory in the MODEST layout for a test."""

import numpy as np
from PIL import Image

from modest.data import modest_layout
from modest.data.museum import directory_shards


def make(directory, backgrounds=12, places=2, size=48, grow=1):
    """Write `places` composites of each background, each background with its own figure.

    Background 0 has `size` px, and every following one `grow` px more.
    """
    rng = np.random.default_rng(0)
    for name in modest_layout.DIRECTORIES.values():
        (directory / name).mkdir(parents=True)
    lines = []
    for b in range(backgrounds):
        bg, side = f"bg{b:03}", size + grow * b
        picture = rng.integers(0, 255, (side, side, 3), np.uint8)
        Image.fromarray(picture).save(directory / "bg" / f"{bg}.jpeg")
        for p in range(1, places + 1):
            name = f"{bg}_fg{b:03}_{p:02}"
            mask = np.zeros((side, side), np.uint8)
            mask[10:30, 5 * p : 5 * p + 12] = 255
            composite = np.where(mask[..., None] > 0, 255 - picture, picture).astype(np.uint8)
            Image.fromarray(composite).save(directory / "bg_fg" / f"{name}.jpeg")
            Image.fromarray(mask).save(directory / "bg_fg_mask" / f"{name}_mask.jpeg")
            depth = np.full((side, side), 120, np.uint8)
            Image.fromarray(depth).save(directory / "bg_fg_depth_map" / f"{name}_depth_map.jpeg")
            lines.append(f"{bg}\t{name}\t{name}_mask\t{name}_depth_map\n")
    (directory / "file_map.txt").write_text("".join(lines))
    return directory


def cross(directory):
    """Put every figure on every background, with the mask of the figure's own composite."""
    names = sorted(path.stem for path in (directory / "bg").iterdir())
    lines = []
    for bg in names:
        for other in names:
            name, own = f"{bg}_fg{other[2:]}_01", f"{other}_fg{other[2:]}_01"
            mask = Image.open(directory / "bg_fg_mask" / f"{own}_mask.jpeg")
            mask.save(directory / "bg_fg_mask" / f"{name}_mask.png")
            mask.convert("RGB").save(directory / "bg_fg" / f"{name}.png")
            lines.append(f"{bg} {name} {name}_mask -\n")
    for path in (*directory.glob("bg_fg/*.jpeg"), *directory.glob("bg_fg_mask/*.jpeg")):
        path.unlink()
    (directory / "file_map.txt").write_text("".join(lines))
    return directory


def contents_of_seven(config):
    """Do what `builder.contents_of` does, with seven composites per shard, in any process."""
    directory_shards.COMPOSITES_PER_SHARD = 7
    return directory_shards.contents(config.directory, config.options)
