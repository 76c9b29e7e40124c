"""The parts of a dressed body, painted on a canvas.

Each function paints one part over what the canvas already shows, so call them from the hindmost
part to the foremost. Points are in body axes: X across, Y up, Z where the body faces. The unit of
length is the height of the body. Colours are sRGB 0..255. The yaw is in radians: 0 shows the body
from the front, pi from the back. The module `head` paints the head.
"""

import dataclasses

import numpy as np
from numpy.typing import ArrayLike

from modest.data.synthetic.drawing import Canvas, Cloth, project

Colour = tuple[int, int, int]

# Cross sections of the torso at falling heights.
TORSO_HEIGHTS = [0.846, 0.833, 0.814, 0.79, 0.72, 0.63, 0.56, 0.49]
TORSO_WIDTHS = {
    "woman": [0.034, 0.058, 0.096, 0.112, 0.098, 0.078, 0.094, 0.101],
    "man": [0.042, 0.068, 0.113, 0.130, 0.115, 0.100, 0.096, 0.098],
}
TORSO_DEPTHS = {
    "woman": [0.036, 0.045, 0.055, 0.064, 0.078, 0.062, 0.072, 0.08],
    "man": [0.04, 0.05, 0.06, 0.068, 0.072, 0.068, 0.07, 0.074],
}


@dataclasses.dataclass(frozen=True)
class Outfit:
    """What a person wears and carries, and their hair."""

    upper: str  # "shirt", "tee", "jacket", "coat", "sweater"
    lower: str  # "trousers", "shorts", "skirt", "dress"
    top: Cloth
    outer: Cloth  # cloth of a jacket or coat
    bottom: Cloth  # cloth of trousers, shorts, skirt or dress
    hem: float  # height of the hem of a skirt or dress above the floor, in body heights
    loose: float  # factor of the width of trousers
    shoes: Colour
    bag: str  # "none", "backpack", "shoulder"
    bag_colour: Colour
    hat: str  # "none", "cap", "hat"
    hat_colour: Colour
    hair: str  # "long", "bun", "bob", "short", "bald"
    beard: bool


def paint_leg(canvas: Canvas, leg: np.ndarray, outfit: Outfit, skin: Colour, yaw: float) -> None:
    """Paint a leg with its shoe, bare or in trousers or shorts.

    `leg`, `[4,3]`, holds the points hip, knee, ankle and toe.
    """
    hip, knee, ankle, toe = project(leg, yaw)
    heel = project(leg[2] - (leg[3] - leg[2]) * 0.25 - (0, 0.014, 0), yaw)
    tip = project(leg[3] - (0, 0.006, 0), yaw)
    white_sole = sum(outfit.shoes) < 400 and outfit.loose > 1.08
    canvas.limb(
        [heel - (0, 0.008, 0), tip - (0, 0.008, 0)],
        [0.025, 0.021],
        (235, 235, 235) if white_sole else (30, 26, 24),
    )
    trousers = outfit.lower == "trousers"
    cover = outfit.bottom if trousers else skin
    canvas.limb([hip, knee, ankle], [0.058, 0.035, 0.021], cover, folds=0.02)
    canvas.limb([ankle, heel, tip], [0.025, 0.026, 0.021], outfit.shoes, folds=0.02)
    if trousers or outfit.lower == "shorts":
        k = outfit.loose
        radii = np.array([0.066, 0.046, 0.037]) * (1, k, k)
        until = 0.96 if trousers else 0.5
        canvas.limb([hip, knee, ankle], radii, outfit.bottom, until, folds=0.09)


def paint_arm(
    canvas: Canvas, arm: np.ndarray, outfit: Outfit, skin: Colour, yaw: float, woman: bool
) -> None:
    """Paint an arm in its sleeve, and the hand.

    `arm`, `[4,3]`, holds the points shoulder, elbow, wrist and finger tips.
    """
    joints = project(arm, yaw)
    slim, thick = 0.88 if woman else 1.0, outfit.upper in ("jacket", "coat")
    palm = joints[2] + 0.55 * (joints[3] - joints[2])
    canvas.limb([joints[2], palm, joints[3]], [0.016 * slim, 0.021 * slim, 0.010], skin, folds=0.0)
    canvas.limb(joints[:3], np.array([0.034, 0.027, 0.018]) * slim, skin, folds=0.02)
    radii = np.array([0.037, 0.034, 0.026]) * slim + 0.006 * thick
    cloth = outfit.outer if thick else outfit.top
    canvas.limb(joints[:3], radii, cloth, 0.36 if outfit.upper == "tee" else 0.97, folds=0.09)


def paint_torso(
    canvas: Canvas, outfit: Outfit, skin: Colour, yaw: float, woman: bool, stout: float
) -> None:
    """Paint the skirt, the neck, the shirt, and over it the jacket or coat, as the outfit has them.

    `stout` is the relative increase of the waist.
    """
    if outfit.lower in ("skirt", "dress"):
        _paint_skirt(canvas, outfit, yaw)
    neck = project([(0, 0.80, -0.005), (0, 0.885, 0.008)], yaw)
    canvas.limb(neck, [0.036, 0.029] if woman else [0.042, 0.036], skin, folds=0.0)
    belly = [1, 1, 1, 1.02, 1 + 0.4 * stout, 1 + stout, 1 + 0.8 * stout, 1 + 0.4 * stout]
    build = "woman" if woman else "man"
    width = np.array(TORSO_WIDTHS[build]) * np.array(belly)
    depth = np.array(TORSO_DEPTHS[build]) * np.array(belly)
    forward = [0.0, 0.0, 0.0, 0.004, 0.01, 0.01 * (1 + 3 * stout), 0.0, -0.008]
    heights = [*TORSO_HEIGHTS[:-1], 0.53 if outfit.lower == "dress" else 0.495]
    half_widths = _half_widths(width, depth, yaw)
    canvas.upright(heights, half_widths, _middles(forward, yaw), outfit.top, yaw)
    if outfit.upper in ("jacket", "coat"):
        _paint_jacket(canvas, outfit, width, depth, forward, yaw)


def paint_hanging_hair(canvas: Canvas, outfit: Outfit, hair: np.ndarray, yaw: float) -> None:
    """Paint the hair that falls below the head, if `outfit.hair` is "long" or "bob".

    `hair`, `[3]`, is its colour.
    """
    low = {"long": 0.76, "bob": 0.86}[outfit.hair]
    width = [0.03, 0.056, 0.062, 0.066, 0.05]
    depth = [0.03, 0.06, 0.05, 0.045, 0.03]
    middles = _middles([0, 0, -0.018, -0.03, -0.04], yaw)
    heights = [0.995, 0.97, 0.92, 0.5 * (0.92 + low), low]
    canvas.upright(heights, _half_widths(width, depth, yaw), middles, hair, yaw, folds=0.13)


def paint_bag(canvas: Canvas, outfit: Outfit, yaw: float, over: bool) -> None:
    """Paint the part of a bag that is behind the person or, with `over`, in front of them."""
    if outfit.bag == "backpack":
        _paint_backpack(canvas, np.array(outfit.bag_colour, float), yaw, over)
    elif outfit.bag == "shoulder" and over:
        _paint_shoulder_bag(canvas, np.array(outfit.bag_colour, float), yaw)


def _half_widths(width: ArrayLike, depth: ArrayLike, yaw: float) -> np.ndarray:
    """Return the half widths of cross sections of the turned body, as the viewer sees them, `[k]`.

    `width` and `depth`, `[k]`, are half extents across and along the direction the body faces.
    """
    return np.hypot(np.array(width) * np.cos(yaw), np.array(depth) * np.sin(yaw))


def _middles(forward: ArrayLike, yaw: float) -> np.ndarray:
    """Return canvas x of the middles of cross sections, `[k]`.

    `forward`, `[k]`, is their distance in front of the axis of the body.
    """
    return np.array(forward) * np.sin(yaw)


def _paint_skirt(canvas, outfit, yaw):
    half_widths = _half_widths([0.075, 0.1, 0.11, 0.125], [0.06, 0.085, 0.095, 0.11], yaw)
    middles = _middles([0, -0.005, 0, 0], yaw)
    heights = [0.60, 0.52, 0.44, outfit.hem]
    canvas.upright(heights, half_widths, middles, outfit.bottom, yaw, folds=0.1)


def _paint_jacket(canvas, outfit, width, depth, forward, yaw):
    """Paint a jacket or coat, open in front, over a torso with these cross sections."""
    jacket = outfit.upper == "jacket"
    heights = [*TORSO_HEIGHTS[:-1], 0.46, 0.44 if jacket else 0.27]
    half_widths = _half_widths(
        [*(width * 1.06 + 0.004), 0.118], [*(depth * 1.08 + 0.004), 0.1], yaw
    )
    canvas.upright(
        heights,
        half_widths,
        _middles([*forward, -0.004], yaw),
        outfit.outer,
        yaw,
        (outfit.top, 0.28 if jacket else 0.13),
        folds=0.08,
    )
    if np.cos(yaw) > 0.7 and not jacket:
        # In the opening of a coat, trousers show below the shirt.
        canvas.limb(project([(0, 0.47, 0.08), (0, 0.3, 0.08)], yaw), [0.008, 0.012], (28, 28, 30))


def _paint_backpack(canvas, colour, yaw, over):
    pack = project([(0, 0.75, -0.11), (0, 0.60, -0.12)], yaw)
    if (pack[0, 2] > 0) == over:
        canvas.limb(pack, [0.075, 0.085], colour)
        if np.cos(yaw) < -0.6:
            pocket = project([(-0.02, 0.63, -0.2), (0.02, 0.63, -0.2)], yaw)
            canvas.limb(pocket, [0.04, 0.04], colour * 0.85)
    if over:
        for x in (-0.07, 0.07):
            strap = project([(x, 0.825, 0.0), (x * 1.05, 0.77, 0.07), (x * 1.2, 0.64, 0.06)], yaw)
            if strap[1, 2] > 0:
                canvas.limb(strap, [0.013, 0.013, 0.011], colour * 0.8)


def _paint_shoulder_bag(canvas, colour, yaw):
    strap = project([(-0.06, 0.825, 0.03), (0.11, 0.54, 0.07)], yaw)
    if strap[1, 2] < 0:  # the person is seen from behind: paint the strap on the back
        strap = project([(-0.06, 0.825, -0.03), (0.11, 0.54, -0.07)], yaw)
    canvas.limb(strap, [0.007, 0.007], colour * 0.7)
    corners = [(0.13, 0.52, 0.03), (0.13, 0.45, 0.03), (0.13, 0.45, -0.03), (0.13, 0.52, -0.03)]
    canvas.limb(project(corners, yaw), [0.04] * 4, colour)
