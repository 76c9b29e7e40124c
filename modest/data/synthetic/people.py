"""Standing and walking people as cut-outs, drawn in NumPy from a posed skeleton.

`draw(seed, height)` returns the person of a seed; the same seed gives the same bytes. The skeleton
is posed in body axes: X across, Y up (0 is the floor, 1 the top of the head), Z where the body
faces. It is turned about Y by a yaw (0: seen from the front, pi: from the back) and painted from
back to front as tapered limbs, upright bodies (torso, coat, skirt, hair) and a head whose face is
painted on an ellipsoid. `wardrobe` chooses what the person wears.
"""

from typing import NamedTuple

import numpy as np

from modest.data.synthetic import body
from modest.data.synthetic.drawing import Canvas, crop, project
from modest.data.synthetic.head import paint_head
from modest.data.synthetic.wardrobe import HAIRS, SKINS, dress

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
POSES = [  # for each pose of a standing person, the names of both arms in ARMS
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
    """A cut-out person."""

    rgba: np.ndarray  # uint8 [height, width, 4], straight alpha, without a margin
    height_m: float  # metres from the sole to the top of hat or head: the height of the picture


def draw(seed: int, height: int = 340) -> Person:
    """Draw the person of a seed.

    Args:
      seed: decides looks, clothes and pose.
      height: height of the cut-out in pixels.
    """
    rng = np.random.default_rng(seed)
    woman, walking = rng.random() < 0.5, rng.random() < 0.35
    metres = rng.uniform(1.5, 1.8) if woman else rng.uniform(1.62, 1.95)
    skin = SKINS[rng.integers(len(SKINS))]
    hair = np.array(HAIRS[rng.integers(len(HAIRS))], float)
    outfit, stout = dress(rng, woman), max(0, rng.normal(0.05, 0.14))
    yaw = rng.choice([0, 0, np.pi, np.pi / 2, -np.pi / 2]) + rng.uniform(-0.6, 0.6)
    arms, legs = _skeleton(rng, woman, walking)
    canvas = Canvas(rng, 1.35 * height)
    behind = [arm for arm in arms if project(arm[1:3], yaw)[:, 2].mean() < -0.02]
    in_front = [arm for arm in arms if not any(arm is other for other in behind)]
    body.paint_bag(canvas, outfit, yaw, over=False)
    for arm in behind:
        body.paint_arm(canvas, arm, outfit, skin, yaw, woman)
    for leg in _back_to_front(legs, yaw):
        body.paint_leg(canvas, leg, outfit, skin, yaw)
    _paint_trunk_and_head(canvas, outfit, skin, hair, yaw, woman, stout)
    body.paint_bag(canvas, outfit, yaw, over=True)
    for arm in _back_to_front(in_front, yaw):
        body.paint_arm(canvas, arm, outfit, skin, yaw, woman)
    rgba, extent = crop(canvas, height)
    return Person(rgba, metres * extent)


def _back_to_front(limbs, yaw):
    def nearness(limb):
        return project(limb, yaw)[:, 2].mean()

    return sorted(limbs, key=nearness)


def _paint_trunk_and_head(canvas, outfit: body.Outfit, skin, hair, yaw, woman, stout):
    hanging, facing = outfit.hair in ("long", "bob"), np.cos(yaw) > 0
    if hanging and facing:
        body.paint_hanging_hair(canvas, outfit, hair, yaw)
    body.paint_torso(canvas, outfit, skin, yaw, woman, stout)
    paint_head(canvas, outfit, skin, hair, yaw, woman)
    if hanging and not facing:
        body.paint_hanging_hair(canvas, outfit, hair, yaw)


def _skeleton(rng, woman, walking):
    """Draw a pose, in body axes.

    Returns:
      Two arms and two legs, `[4,3]` each. The points of an arm are shoulder, elbow, wrist and
      finger tips; the points of a leg are hip, knee, ankle and toe.
    """
    arms, legs, pose = [], [], POSES[rng.integers(len(POSES))]
    stride = rng.choice([-1, 1])
    if walking:
        pose = ("fore", "rear") if stride > 0 else ("rear", "fore")
    mirror = rng.choice([-1, 1]) if not walking else 1
    for sign, name in zip((-1, 1), pose):
        arms.append(_arm(rng, sign * mirror, name, woman))
        legs.append(_leg(rng, sign, -sign * stride, walking))
    return arms, legs


def _arm(rng, side, name, woman):
    """Draw the joints of an arm, `[4,3]`. `side` is the sign of X, -1 or 1."""
    upper, fore = (
        _unit(np.array(direction) + rng.normal(0, 0.05, 3)) * (side, 1, 1)
        for direction in ARMS[name]
    )
    shoulder = np.array([side * (0.084 if woman else 0.102), 0.785, 0.0])
    elbow = shoulder + 0.165 * upper
    wrist = elbow + 0.145 * fore
    return np.array([shoulder, elbow, wrist, wrist + 0.075 * _unit(fore + (0, -0.25, 0))])


def _leg(rng, side, step, walking):
    """Draw the joints of a leg, `[4,3]`. `side` is the sign of X, -1 or 1.

    In a walking person, the leg with `step` > 0 is in front.
    """
    thigh, shin = _unit((side * 0.10, -1, 0.02)), _unit((side * 0.02, -1, -0.02))
    if walking:
        thigh = _unit((side * 0.03, -1, 0.38 if step > 0 else -0.25))
        shin = _unit((0, -1, 0.12 if step > 0 else -0.55))
    elif rng.random() < 0.4:
        thigh, shin = _unit((side * 0.2, -1, 0.12)), _unit((side * 0.1, -1, -0.08))
    hip = np.array([side * 0.047, 0.5, 0.0])
    knee = hip + 0.225 * thigh
    ankle = knee + 0.235 * shin
    drop = -0.35 if walking and step < 0 else 0.0
    toe = ankle + 0.095 * _unit((side * 0.25, -0.2 + drop, 1))
    return np.array([hip, knee, ankle, toe])


def _unit(vector):
    """Return a vector `[3]` scaled to length 1."""
    return np.array(vector, float) / np.linalg.norm(vector)
