"""Standing and walking people as cut-outs, drawn in numpy from a posed skeleton.

In: a seed and a height in pixels. `draw(seed, height)` gives straight-alpha RGBA cropped tight to the figure and the
metres that its height stands for; the same seed gives the same bytes. The skeleton lives in body axes: X across, Y up
(0 is the floor, 1 the top of the head), Z the way the body faces; it is turned about Y by a yaw (0: seen from the
front, pi: from the back) and laid on the picture from back to front as tapered limbs, upright shapes (torso, coat,
skirt, hair) and a head whose face is painted on an ellipsoid.
"""

from typing import NamedTuple

import numpy as np
from PIL import Image

from modest.data.body import paint_arm, paint_bag, paint_hanging_hair, paint_head, paint_leg, paint_torso
from modest.data.easel import Cloth, Easel, turned

SKINS = [(246, 212, 188), (232, 190, 160), (214, 166, 130), (186, 132, 96), (146, 98, 68), (108, 70, 48), (82, 54, 40)]
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
LOWER_CLOTHS = [(40, 44, 60), (58, 76, 112), (34, 34, 36), (128, 112, 88), (88, 88, 92), (64, 56, 48), (176, 160, 130)]
SHOES = [(30, 28, 28), (74, 48, 34), (224, 222, 218), (110, 112, 118), (150, 50, 46)]
# Directions (out, up, forward) of the upper arm and the forearm.
ARMS = {
    "down": ((0.14, -1, 0.0), (0.06, -1, 0.14)),
    "hip": ((0.75, -0.9, -0.2), (-0.8, -0.55, 0.3)),
    "point": ((0.35, -0.25, 0.9), (0.25, 0.12, 1)),
    "aside": ((1, -0.25, 0.2), (1, 0.2, 0.3)),
    "crossed": ((0.2, -1, 0.3), (-1, 0.2, 0.6)),
    "hold": ((0.12, -1, 0.1), (-0.35, 0.25, 0.9)),
    "behind": ((0.3, -1, -0.3), (-0.7, -0.5, -0.5)),
    "chin": ((0.05, -1, 0.45), (-0.3, 1, 0.45)),
    "pocket": ((0.35, -1, -0.15), (-0.25, -1, 0.25)),
    "fore": ((0.1, -1, 0.4), (0.0, -1, 0.75)),
    "rear": ((0.12, -1, -0.5), (0.08, -1, -0.2)),
}
POSES = [
    ("down", "down"),
    ("down", "down"),
    ("hip", "hip"),
    ("hip", "down"),
    ("down", "point"),
    ("aside", "down"),
    ("crossed", "crossed"),
    ("hold", "hold"),
    ("behind", "behind"),
    ("chin", "crossed"),
    ("pocket", "pocket"),
    ("pocket", "down"),
    ("hold", "down"),
]


class Person(NamedTuple):
    """A cut-out figure."""

    rgba: np.ndarray  # uint8 [height, width, 4], straight alpha, cropped tight; hat or head top to sole is the height
    height_m: float  # metres that the full picture height stands for


def _unit(vector):
    """The vector [3] at length 1."""
    return np.array(vector, float) / np.linalg.norm(vector)


def _dress(rng, woman):
    """What someone wears and carries: a dict of cloths and words."""
    choose = lambda colours: colours[rng.integers(len(colours))]
    upper = choose(["shirt", "shirt", "tee", "jacket", "jacket", "coat", "sweater"])
    lower = choose(["trousers", "skirt", "dress", "trousers"] if woman else ["trousers"] * 3 + ["shorts"])
    top = Cloth(choose(CLOTHS), choose(CLOTHS), choose(["plain", "plain", "stripes", "pinstripes", "checks"]))
    return {
        "upper": "tee" if lower == "dress" and rng.random() < 0.7 else upper,
        "lower": lower,
        "top": top,
        "outer": Cloth(choose(CLOTHS + LOWER_CLOTHS), choose(CLOTHS), choose(["plain", "plain", "checks"])),
        "bottom": top if lower == "dress" else Cloth(choose(LOWER_CLOTHS), (20, 20, 24), "plain"),
        "hem": rng.uniform(0.2, 0.36),
        "loose": rng.uniform(0.95, 1.2),
        "shoes": choose(SHOES),
        "bag": choose(["none", "none", "none", "backpack", "shoulder", "shoulder"]),
        "bag_colour": choose(CLOTHS + SHOES),
        "hat": choose(["none"] * 8 + ["cap", "hat"]),
        "hat_colour": choose(CLOTHS),
        "hair": choose(["long", "long", "bun", "bob"] if woman else ["short"] * 5 + ["bald", "long"]),
        "beard": not woman and rng.random() < 0.3,
    }


def _skeleton(rng, woman, walking):
    """Arms [4, 3] (shoulder, elbow, wrist, finger tips) and legs [4, 3] (hip, knee, ankle, toe), in body axes."""
    arms, legs, pose = [], [], POSES[rng.integers(len(POSES))]
    stride = rng.choice([-1, 1])
    if walking:
        pose = ("fore", "rear") if stride > 0 else ("rear", "fore")
    mirror = rng.choice([-1, 1]) if not walking else 1
    for sign, name in zip((-1, 1), pose):
        sign_x = sign * mirror
        upper, fore = (_unit(np.array(d) + rng.normal(0, 0.05, 3)) * (sign_x, 1, 1) for d in ARMS[name])
        shoulder = np.array([sign_x * (0.084 if woman else 0.102), 0.785, 0.0])
        elbow = shoulder + 0.165 * upper
        wrist = elbow + 0.145 * fore
        arms.append(np.array([shoulder, elbow, wrist, wrist + 0.075 * _unit(fore + (0, -0.25, 0))]))
        step = -sign * stride
        thigh, shin = _unit((sign * 0.10, -1, 0.02)), _unit((sign * 0.02, -1, -0.02))
        if walking:
            thigh = _unit((sign * 0.03, -1, 0.38 if step > 0 else -0.25))
            shin = _unit((0, -1, 0.12 if step > 0 else -0.55))
        elif rng.random() < 0.4:
            thigh, shin = _unit((sign * 0.2, -1, 0.12)), _unit((sign * 0.1, -1, -0.08))
        hip = np.array([sign * 0.047, 0.5, 0.0])
        knee = hip + 0.225 * thigh
        ankle = knee + 0.235 * shin
        drop = -0.35 if walking and step < 0 else 0.0
        toe = ankle + 0.095 * _unit((sign * 0.25, -0.2 + drop, 1))
        legs.append(np.array([hip, knee, ankle, toe]))
    return arms, legs


def draw(seed: int, height: int = 340) -> Person:
    """The person of a seed: RGBA [height, width, 4] of a height in pixels, and the metres that it stands for."""
    rng = np.random.default_rng(seed)
    woman, walking = rng.random() < 0.5, rng.random() < 0.35
    metres = rng.uniform(1.5, 1.8) if woman else rng.uniform(1.62, 1.95)
    skin = SKINS[rng.integers(len(SKINS))]
    hair = np.array(HAIRS[rng.integers(len(HAIRS))], float)
    wear, stout = _dress(rng, woman), max(0, rng.normal(0.05, 0.14))
    yaw = rng.choice([0, 0, np.pi, np.pi / 2, -np.pi / 2]) + rng.uniform(-0.6, 0.6)
    arms, legs = _skeleton(rng, woman, walking)
    easel = Easel(rng, 1.35 * height)
    behind = [arm for arm in arms if turned(arm[1:3], yaw)[:, 2].mean() < -0.02]
    hanging = wear["hair"] in ("long", "bob")
    paint_bag(easel, wear, yaw, over=False)
    for arm in behind:
        paint_arm(easel, arm, wear, skin, yaw, woman)
    for leg in sorted(legs, key=lambda leg: turned(leg, yaw)[:, 2].mean()):
        paint_leg(easel, leg, wear, skin, yaw)
    if hanging and np.cos(yaw) > 0:
        paint_hanging_hair(easel, wear, hair, yaw)
    paint_torso(easel, wear, skin, yaw, woman, stout)
    paint_head(easel, wear, skin, hair, yaw, woman)
    if hanging and np.cos(yaw) <= 0:
        paint_hanging_hair(easel, wear, hair, yaw)
    paint_bag(easel, wear, yaw, over=True)
    for arm in sorted(arms, key=lambda arm: turned(arm, yaw)[:, 2].mean()):
        if not any(arm is other for other in behind):
            paint_arm(easel, arm, wear, skin, yaw, woman)
    return _cropped(easel, height, metres)


def _cropped(easel, height, metres):
    """The painted figure cropped tight and resized to the height."""

    def tight(alpha, least, axis):
        lines = np.flatnonzero((alpha >= least).any(axis))
        return slice(lines[0], lines[-1] + 1)

    rows, columns = tight(easel.alpha, 0.25, 1), tight(easel.alpha, 0.05, 0)
    alpha = easel.alpha[rows, columns]
    planes = [alpha, *np.moveaxis(easel.colour[rows, columns] * alpha[..., None], -1, 0)]
    width = round(alpha.shape[1] * height / alpha.shape[0])
    planes = [Image.fromarray(np.ascontiguousarray(p)).resize((width, height), Image.Resampling.BOX) for p in planes]
    alpha, *colour = (np.asarray(p) for p in planes)
    colour = np.stack(colour, -1) / np.maximum(alpha, 1e-3)[..., None]
    rgba = (np.clip(np.dstack([colour, 255 * alpha]), 0, 255) + 0.5).astype(np.uint8)
    return Person(rgba[:, tight(rgba[..., 3], 1, 0)], metres * (rows.stop - rows.start) / easel.scale)
