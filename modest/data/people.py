"""Standing and walking people as cut-outs, drawn in numpy from a posed skeleton.

`draw(seed, height)` gives straight-alpha RGBA cropped tight to the figure and the metres that its height stands for.
The skeleton lives in body axes: X across, Y up (0 is the floor, 1 the top of the head), Z the way the body faces; it is
turned about Y by a yaw (0: seen from the front, pi: from the back) and laid on the picture from back to front as
tapered limbs, upright shapes (torso, coat, skirt, hair) and a head whose face is painted on an ellipsoid.
"""

from typing import NamedTuple

import numpy as np
from PIL import Image
from scipy import ndimage

SKINS = [(246, 212, 188), (232, 190, 160), (214, 166, 130), (186, 132, 96), (146, 98, 68), (108, 70, 48), (82, 54, 40)]
HAIRS = [(34, 26, 22), (62, 42, 30), (98, 66, 40), (150, 108, 62), (206, 174, 116), (134, 62, 36), (150, 148, 146),
         (206, 204, 200)]
CLOTHS = [(34, 38, 48), (52, 66, 98), (96, 120, 158), (128, 40, 48), (182, 66, 58), (226, 222, 212), (196, 184, 160),
          (88, 92, 88), (56, 80, 62), (120, 138, 98), (212, 168, 70), (150, 108, 140), (60, 50, 46), (146, 148, 154),
          (74, 128, 132), (222, 150, 150)]
LOWER_CLOTHS = [(40, 44, 60), (58, 76, 112), (34, 34, 36), (128, 112, 88), (88, 88, 92), (64, 56, 48), (176, 160, 130)]
SHOES = [(30, 28, 28), (74, 48, 34), (224, 222, 218), (110, 112, 118), (150, 50, 46)]
# Directions (out, up, forward) of the upper arm and the forearm.
ARMS = {"down": ((0.14, -1, 0.0), (0.06, -1, 0.14)), "hip": ((0.75, -0.9, -0.2), (-0.8, -0.55, 0.3)),
        "point": ((0.35, -0.25, 0.9), (0.25, 0.12, 1)), "aside": ((1, -0.25, 0.2), (1, 0.2, 0.3)),
        "crossed": ((0.2, -1, 0.3), (-1, 0.2, 0.6)), "hold": ((0.12, -1, 0.1), (-0.35, 0.25, 0.9)),
        "behind": ((0.3, -1, -0.3), (-0.7, -0.5, -0.5)), "chin": ((0.05, -1, 0.45), (-0.3, 1, 0.45)),
        "pocket": ((0.35, -1, -0.15), (-0.25, -1, 0.25)), "fore": ((0.1, -1, 0.4), (0.0, -1, 0.75)),
        "rear": ((0.12, -1, -0.5), (0.08, -1, -0.2))}
POSES = [("down", "down"), ("down", "down"), ("hip", "hip"), ("hip", "down"), ("down", "point"), ("aside", "down"),
         ("crossed", "crossed"), ("hold", "hold"), ("behind", "behind"), ("chin", "crossed"), ("pocket", "pocket"),
         ("pocket", "down"), ("hold", "down")]


class Person(NamedTuple):
    rgba: np.ndarray  # uint8 [height, width, 4], straight alpha, cropped tight; hat or head top to sole is the height
    height_m: float  # metres that the full picture height stands for


class Cloth(NamedTuple):
    colour: tuple  # sRGB
    other: tuple
    pattern: str  # "plain", "stripes", "pinstripes", "checks"


class Easel:
    """The picture being painted: colour [n, m, 3] 0..255 and alpha [n, m]; points are in body heights."""

    def __init__(self, rng, scale):
        self.scale = scale  # pixels a body height
        n, m = int(1.24 * scale), int(1.3 * scale)
        self.colour, self.alpha = np.zeros((n, m, 3), np.float32), np.zeros((n, m), np.float32)
        self.x = ((np.arange(m) + 0.5) / scale - 0.65).astype(np.float32)
        self.y = (1.12 - (np.arange(n) + 0.5) / scale).astype(np.float32)
        self.light = rng.choice([-1, 1]) * rng.uniform(0.25, 0.75)
        folds = ndimage.gaussian_filter(rng.standard_normal((128, 128)).astype(np.float32), (6, 2.2), mode="wrap")
        self.folds = 0.55 * folds / folds.std()

    def window(self, x0, x1, y0, y1, margin=0.03):
        """Slices of the picture that hold the given box, and its x [1, m] and y [n, 1]."""
        columns = np.clip(np.searchsorted(self.x, (x0 - margin, x1 + margin)), 0, len(self.x))
        rows = np.clip(np.searchsorted(-self.y, (-y1 - margin, -y0 + margin)), 0, len(self.y))
        at = slice(*rows), slice(*columns)
        return at, self.x[None, at[1]], self.y[at[0], None]

    def lay(self, at, distance, colour, side=0.0, folds=0.05, cover=1.0):
        """Paints colour ([3] or [n, m, 3]) where distance (body heights, negative inside) says.

        side, -1..1 across the part, rounds it off under the light; what lies below gets a contact shadow.
        """
        d = distance * self.scale
        alpha = np.clip(0.5 - d, 0, 1) * cover
        side = np.clip(side, -1, 1)
        shade = 0.70 + 0.24 * np.sqrt(1 - side * side) - 0.26 * self.light * side + 0.06
        rows, columns = (np.arange(s.start, s.stop) & 127 for s in at)
        shade = (shade + folds * self.folds[rows[:, None], columns])[..., None]
        below = self.colour[at] * (1 - 0.35 * np.exp(-np.maximum(d, 0) / (0.008 * self.scale)) * cover)[..., None]
        total = alpha + self.alpha[at] * (1 - alpha)
        mixed = alpha[..., None] * np.clip(colour * shade, 0, 255) + ((1 - alpha) * self.alpha[at])[..., None] * below
        self.colour[at] = mixed / np.maximum(total, 1e-6)[..., None]
        self.alpha[at] = total

    def limb(self, points, radii, cloth, until=1.0, folds=0.05):
        """A chain of tapered capsules through points [k, 2], cut off square at the fraction `until` of its length."""
        points, radii = np.asarray(points)[:, :2], np.asarray(radii)
        reach = radii.max()
        at, x, y = self.window(*(points[:, 0].min() - reach, points[:, 0].max() + reach),
                               *(points[:, 1].min() - reach, points[:, 1].max() + reach))
        lengths = np.maximum(np.linalg.norm(np.diff(points, axis=0), axis=1), 1e-6)
        best, start = None, 0.0
        for a, b, ra, rb, length in zip(points[:-1], points[1:], radii[:-1], radii[1:], lengths):
            ux, uy = (b - a) / length
            along = (x - a[0]) * ux + (y - a[1]) * uy
            across = (x - a[0]) * uy - (y - a[1]) * ux
            t = np.clip(along, 0, length)
            radius = ra + (rb - ra) * t / length
            d = np.hypot(across, along - t) - radius
            part = d, across / radius * (1 if uy <= 0 else -1), start + along
            best = best or part
            best = [np.where(d < best[0], new, old) for new, old in zip(part, best)]
            start += length
        distance, side, along = best
        if until < 1:
            distance = np.maximum(distance, along - until * start)
        self.lay(at, distance, textured(cloth, -side * np.pi / 2 * radii[0], along), -side, folds)

    def shape(self, heights, halves, centres, cloth, turn=0.0, opening=None, folds=0.06):
        """An upright body of revolution, seen: half widths and middles at heights (falling); opening: (cloth, angle)
        shows another cloth within an angle (radians) of the front, which the yaw `turn` takes round."""
        reach = max(halves)
        at, x, y = self.window(min(centres) - reach, max(centres) + reach, heights[-1], heights[0])
        rows = y[:, 0]
        blur = 0.008 * self.scale
        half = ndimage.gaussian_filter1d(np.interp(-rows, -np.array(heights), halves), blur, mode="nearest")[:, None]
        middle = np.interp(-rows, -np.array(heights), centres)[:, None]
        side = (x - middle) / np.maximum(half, 1e-3)
        slope = np.gradient(half[:, 0]) * self.scale
        distance = (np.abs(x - middle) - half) / np.sqrt(1 + slope * slope)[:, None]
        distance = np.maximum(distance, np.maximum(y - heights[0], heights[-1] - y))
        angle = np.arcsin(np.clip(side, -1, 1)) - turn
        angle = (angle + np.pi) % (2 * np.pi) - np.pi  # 0 in front
        colour = textured(cloth, angle * 0.09, y + 0 * x)
        if opening:
            below = textured(opening[0], angle * 0.09, y + 0 * x)
            colour = np.where((np.abs(angle) < opening[1])[..., None], below, colour)
        self.lay(at, distance, colour, side, folds)


def textured(cloth, u, v):
    """Colour [..., 3] of a cloth at u across and v along (body heights); a bare colour is itself."""
    if not isinstance(cloth, Cloth):
        return np.array(cloth, np.float32)
    first, other = np.array(cloth.colour, np.float32), np.array(cloth.other, np.float32)
    across, along = u / 0.022 % 1 < 0.3, v / 0.03 % 1 < 0.45
    weight = {"plain": 0 * v, "stripes": 1.0 * along, "pinstripes": 0.5 * across, "checks": 0.4 * across + 0.4 * along}
    return first + (other - first) * (weight[cloth.pattern] + 0 * u)[..., None]


def unit(vector):
    """The vector [3] at length 1."""
    return np.array(vector, float) / np.linalg.norm(vector)


def turned(points, yaw):
    """Body points [..., 3] as picture x, picture y (a little from above) and nearness to the viewer."""
    x, y, z = np.moveaxis(np.asarray(points, float), -1, 0)
    near = z * np.cos(yaw) - x * np.sin(yaw)
    return np.stack([x * np.cos(yaw) + z * np.sin(yaw), y - 0.13 * near, near], -1)


def dress(rng, woman):
    """What someone wears and carries: a dict of cloths and words."""
    choose = lambda colours: colours[rng.integers(len(colours))]
    upper = choose(["shirt", "shirt", "tee", "jacket", "jacket", "coat", "sweater"])
    lower = choose(["trousers", "skirt", "dress", "trousers"] if woman else ["trousers"] * 3 + ["shorts"])
    top = Cloth(choose(CLOTHS), choose(CLOTHS), choose(["plain", "plain", "stripes", "pinstripes", "checks"]))
    return {"upper": "tee" if lower == "dress" and rng.random() < 0.7 else upper, "lower": lower, "top": top,
            "outer": Cloth(choose(CLOTHS + LOWER_CLOTHS), choose(CLOTHS), choose(["plain", "plain", "checks"])),
            "bottom": top if lower == "dress" else Cloth(choose(LOWER_CLOTHS), (20, 20, 24), "plain"),
            "hem": rng.uniform(0.2, 0.36), "loose": rng.uniform(0.95, 1.2), "shoes": choose(SHOES),
            "bag": choose(["none", "none", "none", "backpack", "shoulder", "shoulder"]),
            "bag_colour": choose(CLOTHS + SHOES), "hat": choose(["none"] * 8 + ["cap", "hat"]),
            "hat_colour": choose(CLOTHS),
            "hair": choose(["long", "long", "bun", "bob"] if woman else ["short"] * 5 + ["bald", "long"]),
            "beard": not woman and rng.random() < 0.3}


def skeleton(rng, woman, walking):
    """Arms [4, 3] (shoulder, elbow, wrist, finger tips) and legs [4, 3] (hip, knee, ankle, toe), in body axes."""
    arms, legs, pose = [], [], POSES[rng.integers(len(POSES))]
    stride = rng.choice([-1, 1])
    if walking:
        pose = ("fore", "rear") if stride > 0 else ("rear", "fore")
    mirror = rng.choice([-1, 1]) if not walking else 1
    for sign, name in zip((-1, 1), pose):
        sign_x = sign * mirror
        upper, fore = (unit(np.array(d) + rng.normal(0, 0.05, 3)) * (sign_x, 1, 1) for d in ARMS[name])
        shoulder = np.array([sign_x * (0.084 if woman else 0.102), 0.785, 0.0])
        elbow = shoulder + 0.165 * upper
        wrist = elbow + 0.145 * fore
        arms.append(np.array([shoulder, elbow, wrist, wrist + 0.075 * unit(fore + (0, -0.25, 0))]))
        step = -sign * stride
        thigh, shin = unit((sign * 0.10, -1, 0.02)), unit((sign * 0.02, -1, -0.02))
        if walking:
            thigh = unit((sign * 0.03, -1, 0.38 if step > 0 else -0.25))
            shin = unit((0, -1, 0.12 if step > 0 else -0.55))
        elif rng.random() < 0.4:
            thigh, shin = unit((sign * 0.2, -1, 0.12)), unit((sign * 0.1, -1, -0.08))
        hip = np.array([sign * 0.047, 0.5, 0.0])
        knee = hip + 0.225 * thigh
        ankle = knee + 0.235 * shin
        drop = -0.35 if walking and step < 0 else 0.0
        toe = ankle + 0.095 * unit((sign * 0.25, -0.2 + drop, 1))
        legs.append(np.array([hip, knee, ankle, toe]))
    return arms, legs


def paint_leg(easel, leg, wear, skin, yaw):
    """A shoe and a leg, bare or in trousers or shorts."""
    hip, knee, ankle, toe = turned(leg, yaw)
    heel = turned(leg[2] - (leg[3] - leg[2]) * 0.25 - (0, 0.014, 0), yaw)
    sole, white = turned(leg[3] - (0, 0.006, 0), yaw), (235, 235, 235)
    easel.limb([heel - (0, 0.008, 0), sole - (0, 0.008, 0)], [0.025, 0.021],
               white if sum(wear["shoes"]) < 400 and wear["loose"] > 1.08 else (30, 26, 24))
    covered = wear["lower"] == "trousers"
    easel.limb([hip, knee, ankle], [0.058, 0.035, 0.021], wear["bottom"] if covered else skin, folds=0.02)
    easel.limb([ankle, heel, sole], [0.025, 0.026, 0.021], wear["shoes"], folds=0.02)
    if covered or wear["lower"] == "shorts":
        k = wear["loose"]
        easel.limb([hip, knee, ankle], np.array([0.066, 0.046, 0.037]) * (1, k, k), wear["bottom"],
                   0.96 if covered else 0.5, folds=0.09)


def paint_arm(easel, arm, wear, skin, yaw, woman):
    """A hand and an arm in its sleeve."""
    joints = turned(arm, yaw)
    slim, thick = 0.88 if woman else 1.0, wear["upper"] in ("jacket", "coat")
    cloth = wear["outer"] if thick else wear["top"]
    palm = joints[2] + 0.55 * (joints[3] - joints[2])
    easel.limb([joints[2], palm, joints[3]], [0.016 * slim, 0.021 * slim, 0.010], skin, folds=0.0)
    easel.limb(joints[:3], np.array([0.034, 0.027, 0.018]) * slim, skin, folds=0.02)
    radii = np.array([0.037, 0.034, 0.026]) * slim + 0.006 * thick
    easel.limb(joints[:3], radii, cloth, 0.36 if wear["upper"] == "tee" else 0.97, folds=0.09)


def paint_torso(easel, wear, skin, yaw, woman, stout):
    """Neck, shirt, and over it a jacket or coat; a skirt or dress before them."""
    def halves(width, depth):
        return np.hypot(np.array(width) * np.cos(yaw), np.array(depth) * np.sin(yaw))

    def centres(forward):
        return np.array(forward) * np.sin(yaw)

    if wear["lower"] in ("skirt", "dress"):
        easel.shape([0.60, 0.52, 0.44, wear["hem"]], halves([0.075, 0.1, 0.11, 0.125], [0.06, 0.085, 0.095, 0.11]),
                    centres([0, -0.005, 0, 0]), wear["bottom"], yaw, folds=0.1)
    neck = turned([(0, 0.80, -0.005), (0, 0.885, 0.008)], yaw)
    easel.limb(neck, [0.036, 0.029] if woman else [0.042, 0.036], skin, folds=0.0)
    heights = [0.846, 0.833, 0.814, 0.79, 0.72, 0.63, 0.56, 0.49]
    width = [0.034, 0.058, 0.096, 0.112, 0.098, 0.078, 0.094, 0.101] if woman else [
        0.042, 0.068, 0.113, 0.130, 0.115, 0.100, 0.096, 0.098]
    depth = [0.036, 0.045, 0.055, 0.064, 0.078, 0.062, 0.072, 0.08] if woman else [
        0.04, 0.05, 0.06, 0.068, 0.072, 0.068, 0.07, 0.074]
    belly = np.array([1, 1, 1, 1.02, 1 + 0.4 * stout, 1 + stout, 1 + 0.8 * stout, 1 + 0.4 * stout])
    width, depth = np.array(width) * belly, np.array(depth) * belly
    forward = [0.0, 0.0, 0.0, 0.004, 0.01, 0.01 * (1 + 3 * stout), 0.0, -0.008]
    heights[-1] = 0.53 if wear["lower"] == "dress" else 0.495
    easel.shape(heights, halves(width, depth), centres(forward), wear["top"], yaw)
    if wear["upper"] in ("jacket", "coat"):
        heights[-1] = 0.46
        grown = [*(width * 1.06 + 0.004), 0.118], [*(depth * 1.08 + 0.004), 0.1]
        bottom = 0.44 if wear["upper"] == "jacket" else 0.27
        easel.shape([*heights, bottom], halves(*grown), centres([*forward, -0.004]), wear["outer"], yaw,
                    (wear["top"], 0.28 if wear["upper"] == "jacket" else 0.13), folds=0.08)
        if np.cos(yaw) > 0.7 and wear["upper"] == "coat":  # trousers, not the shirt, show below
            easel.limb(turned([(0, 0.47, 0.08), (0, 0.3, 0.08)], yaw), [0.008, 0.012], (28, 28, 30))


def paint_head(easel, wear, skin, hair, yaw, woman):
    """Head, face, hair and hat; hair that hangs down is laid before or after by `draw`."""
    middle, radii = turned((0, 0.931, 0.012), yaw), np.array([0.047 if woman else 0.050, 0.066, 0.060])
    rx, ry = np.hypot(radii[0] * np.cos(yaw), radii[2] * np.sin(yaw)), radii[1]
    at, x, y = easel.window(middle[0] - rx, middle[0] + rx, middle[1] - ry, middle[1] + ry, 0.06)

    def surface(grow):
        v = (y - middle[1]) / (ry * grow) + 0 * x
        u = (x - middle[0]) / (rx * grow * (1 - 0.26 * np.clip(-v, 0, 1) ** 2))
        near = np.sqrt(np.clip(1 - u * u - v * v, 0, 1))
        across, forward = u * np.cos(yaw) - near * np.sin(yaw), near * np.cos(yaw) + u * np.sin(yaw)
        return (np.hypot(u, v) - 1) * ry, u, v, across, forward

    distance, u, v, lx, lz = surface(1.0)
    front, flip = (lz > 0.2), np.abs(lx)
    face = np.empty((*u.shape, 3), np.float32)
    face[:] = skin
    darker = (0.25 * np.exp(-((flip - 0.38) / 0.22) ** 2 - ((v - 0.06) / 0.12) ** 2)  # sockets, nose, under the lip
              + 0.22 * np.exp(-((flip - 0.14) / 0.06) ** 2 - ((v + 0.22) / 0.1) ** 2)
              + 0.20 * np.exp(-(lx / 0.3) ** 2 - ((v + 0.68) / 0.06) ** 2))
    face *= 1 - (darker * front)[..., None]
    eye = np.hypot((flip - 0.38) / 0.16, (v - 0.03) / 0.065)
    iris = np.hypot((flip - 0.38) / 0.07, (v - 0.03) / 0.075)
    brow = (np.abs(flip - 0.38) < 0.2) & (np.abs(v - 0.19) < 0.03)
    marks = [((eye < 1) & front, (236, 232, 226)), ((iris < 1) & front, (48, 34, 26)), (brow & front, hair * 0.8)]
    if wear["beard"]:
        marks.append(((v < -0.3 - 0.25 * (flip < 0.4) * (v > -0.5)) & (lz > 0.0), hair * 0.9 + 0.1 * np.array(skin)))
    mouth = np.array(skin) * (0.78, 0.5, 0.5) if woman else np.array(skin) * (0.75, 0.6, 0.58)
    marks.append(((np.hypot(lx / 0.27, (v + 0.5) / 0.06) < 1) & front, mouth))
    for where, colour in marks:
        face = np.where(where[..., None], np.asarray(colour, np.float32), face)
    for sign in (-1, 1):
        ear = turned([(sign * 0.05, 0.937, 0.0), (sign * 0.048, 0.915, 0.004)], yaw)
        if ear[0, 2] > -0.03 and wear["hair"] not in ("long", "bob"):
            easel.limb(ear, [0.012, 0.008], np.array(skin) * 0.94, folds=0.0)
    if abs(np.sin(yaw)) > 0.3 and np.cos(yaw) > -0.5:
        nose = turned([(0, 0.945, 0.066), (0, 0.918, 0.082), (0, 0.91, 0.068)], yaw)
        easel.limb(nose, [0.006, 0.010, 0.008], skin, folds=0.0)
    easel.lay(at, distance, face, u, 0.0)
    distance, u, v, _, lz = surface(1.09)
    line = {"bald": [-0.8, -0.3, 0.1, 2.0, 2.0], "short": [-0.85, -0.6, 0.05, 0.5, 0.62]}.get(
        wear["hair"], [-1.2, -1.0, -0.7, 0.35, 0.6])
    edge = np.interp(lz, [-1, -0.3, 0.12, 0.4, 1], line)
    cover = np.clip((v - edge) * 8, 0, 1) * ((v < 0.35) if wear["hair"] == "bald" else 1.0)
    easel.lay(at, distance, hair, u, 0.12, cover)
    if wear["hair"] == "bun":
        knot = turned([(0, 0.985, -0.055), (0, 0.99, -0.065)], yaw)
        easel.limb(knot, [0.028, 0.026], hair, folds=0.12)
    if wear["hat"] != "none":
        easel.lay(at, distance - 0.003, np.array(wear["hat_colour"]), u, 0.05, np.clip((v - 0.38) * 8, 0, 1))
        if wear["hat"] == "hat":
            brim = np.array([[-0.088, 0, 0], [0, 0, 0], [0.088, 0, 0]]) + turned((0, 0.964, 0.012), yaw)
            easel.limb(brim, [0.007, 0.014, 0.007], np.array(wear["hat_colour"]) * 0.9)
        elif np.cos(yaw) > -0.4:
            visor = turned([(-0.05, 0.965, 0.05), (0, 0.96, 0.125), (0.05, 0.965, 0.05)], yaw)
            easel.limb(visor, [0.006, 0.010, 0.006], np.array(wear["hat_colour"]) * 0.85)


def paint_hanging_hair(easel, wear, hair, yaw):
    """Hair that falls below the head."""
    low = {"long": 0.76, "bob": 0.86}[wear["hair"]]
    width, depth = np.array([0.03, 0.056, 0.062, 0.066, 0.05]), np.array([0.03, 0.06, 0.05, 0.045, 0.03])
    half = np.hypot(width * np.cos(yaw), depth * np.sin(yaw))
    near = np.array([0, 0, -0.018, -0.03, -0.04]) * np.sin(yaw)
    easel.shape([0.995, 0.97, 0.92, 0.5 * (0.92 + low), low], half, near, hair, yaw, folds=0.13)


def paint_bag(easel, wear, yaw, over):
    """A backpack or a shoulder bag: its body where it is on the viewer's side (over), its straps in front."""
    colour = np.array(wear["bag_colour"], float)
    if wear["bag"] == "backpack":
        pack = turned([(0, 0.75, -0.11), (0, 0.60, -0.12)], yaw)
        if (pack[0, 2] > 0) == over:
            easel.limb(pack, [0.075, 0.085], colour)
            if np.cos(yaw) < -0.6:  # a pocket
                easel.limb(turned([(-0.02, 0.63, -0.2), (0.02, 0.63, -0.2)], yaw), [0.04, 0.04], colour * 0.85)
        if over:
            for x in (-0.07, 0.07):
                strap = turned([(x, 0.825, 0.0), (x * 1.05, 0.77, 0.07), (x * 1.2, 0.64, 0.06)], yaw)
                if strap[1, 2] > 0:
                    easel.limb(strap, [0.013, 0.013, 0.011], colour * 0.8)
    elif wear["bag"] == "shoulder" and over:
        strap = turned([(-0.06, 0.825, 0.03), (0.11, 0.54, 0.07)], yaw)
        if strap[1, 2] < 0:
            strap = turned([(-0.06, 0.825, -0.03), (0.11, 0.54, -0.07)], yaw)
        easel.limb(strap, [0.007, 0.007], colour * 0.7)
        easel.limb(turned([(0.13, 0.52, 0.03), (0.13, 0.45, 0.03), (0.13, 0.45, -0.03), (0.13, 0.52, -0.03)], yaw),
                   [0.04] * 4, colour)


def draw(seed: int, height: int = 340) -> Person:
    """The person of a seed, `height` pixels high."""
    rng = np.random.default_rng(seed)
    woman, walking = rng.random() < 0.5, rng.random() < 0.35
    metres = rng.uniform(1.5, 1.8) if woman else rng.uniform(1.62, 1.95)
    skin = SKINS[rng.integers(len(SKINS))]
    hair = np.array(HAIRS[rng.integers(len(HAIRS))], float)
    wear, stout = dress(rng, woman), max(0, rng.normal(0.05, 0.14))
    yaw = rng.choice([0, 0, np.pi, np.pi / 2, -np.pi / 2]) + rng.uniform(-0.6, 0.6)
    arms, legs = skeleton(rng, woman, walking)
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
