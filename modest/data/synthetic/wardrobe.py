"""Skins, hair and clothes: their colours, sRGB 0..255, and a random choice of an outfit."""

import numpy as np

from modest.data.synthetic.body import Outfit
from modest.data.synthetic.drawing import Cloth

SKINS = [
    (246, 212, 188),
    (232, 190, 160),
    (214, 166, 130),
    (186, 132, 96),
    (146, 98, 68),
    (108, 70, 48),
    (82, 54, 40),
]
HAIRS = [
    (34, 26, 22),
    (62, 42, 30),
    (98, 66, 40),
    (150, 108, 62),
    (206, 174, 116),
    (134, 62, 36),
    (150, 148, 146),
    (206, 204, 200),
]
CLOTHS = [
    (34, 38, 48),
    (52, 66, 98),
    (96, 120, 158),
    (128, 40, 48),
    (182, 66, 58),
    (226, 222, 212),
    (196, 184, 160),
    (88, 92, 88),
    (56, 80, 62),
    (120, 138, 98),
    (212, 168, 70),
    (150, 108, 140),
    (60, 50, 46),
    (146, 148, 154),
    (74, 128, 132),
    (222, 150, 150),
]
LOWER_CLOTHS = [
    (40, 44, 60),
    (58, 76, 112),
    (34, 34, 36),
    (128, 112, 88),
    (88, 88, 92),
    (64, 56, 48),
    (176, 160, 130),
]
SHOES = [(30, 28, 28), (74, 48, 34), (224, 222, 218), (110, 112, 118), (150, 50, 46)]

# Repeated entries are more probable.
UPPER = ["shirt", "shirt", "tee", "jacket", "jacket", "coat", "sweater"]
WOMENS_LOWER = ["trousers", "skirt", "dress", "trousers"]
MENS_LOWER = ["trousers", "trousers", "trousers", "shorts"]
PATTERNS = ["plain", "plain", "stripes", "pinstripes", "checks"]
OUTER_PATTERNS = ["plain", "plain", "checks"]
BAGS = ["none", "none", "none", "backpack", "shoulder", "shoulder"]
HATS = ["none"] * 8 + ["cap", "hat"]
WOMENS_HAIR = ["long", "long", "bun", "bob"]
MENS_HAIR = ["short"] * 5 + ["bald", "long"]


def dress(rng: np.random.Generator, woman: bool) -> Outfit:
    """Draw an outfit. The order of the draws is part of the data set: keep it."""

    def choose(choices):
        return choices[rng.integers(len(choices))]

    upper = choose(UPPER)
    lower = choose(WOMENS_LOWER if woman else MENS_LOWER)
    is_dress = lower == "dress"
    top = Cloth(choose(CLOTHS), choose(CLOTHS), choose(PATTERNS))
    return Outfit(
        upper="tee" if is_dress and rng.random() < 0.7 else upper,
        lower=lower,
        top=top,
        outer=Cloth(choose(CLOTHS + LOWER_CLOTHS), choose(CLOTHS), choose(OUTER_PATTERNS)),
        bottom=top if is_dress else Cloth(choose(LOWER_CLOTHS), (20, 20, 24), "plain"),
        hem=rng.uniform(0.2, 0.36),
        loose=rng.uniform(0.95, 1.2),
        shoes=choose(SHOES),
        bag=choose(BAGS),
        bag_colour=choose(CLOTHS + SHOES),
        hat=choose(HATS),
        hat_colour=choose(CLOTHS),
        hair=choose(WOMENS_HAIR if woman else MENS_HAIR),
        beard=not woman and rng.random() < 0.3,
    )
