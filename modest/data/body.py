"""The parts of a dressed body, painted on an easel.

In: an `Easel`, joints in body axes (body heights; X across, Y up, Z the way the body faces), what is worn (the dict
that `people` draws), colours sRGB 0..255 and the yaw in radians (0: seen from the front, pi: from the back). Out:
nothing; each part is laid over what the easel already shows, so the caller goes from back to front.
"""

import numpy as np

from modest.data.easel import turned


def paint_leg(easel, leg, wear, skin, yaw):
    """A shoe and a leg [4, 3] (hip, knee, ankle, toe), bare or in trousers or shorts."""
    hip, knee, ankle, toe = turned(leg, yaw)
    heel = turned(leg[2] - (leg[3] - leg[2]) * 0.25 - (0, 0.014, 0), yaw)
    sole, white = turned(leg[3] - (0, 0.006, 0), yaw), (235, 235, 235)
    easel.limb(
        [heel - (0, 0.008, 0), sole - (0, 0.008, 0)],
        [0.025, 0.021],
        white if sum(wear["shoes"]) < 400 and wear["loose"] > 1.08 else (30, 26, 24),
    )
    covered = wear["lower"] == "trousers"
    easel.limb([hip, knee, ankle], [0.058, 0.035, 0.021], wear["bottom"] if covered else skin, folds=0.02)
    easel.limb([ankle, heel, sole], [0.025, 0.026, 0.021], wear["shoes"], folds=0.02)
    if covered or wear["lower"] == "shorts":
        k = wear["loose"]
        easel.limb(
            [hip, knee, ankle],
            np.array([0.066, 0.046, 0.037]) * (1, k, k),
            wear["bottom"],
            0.96 if covered else 0.5,
            folds=0.09,
        )


def paint_arm(easel, arm, wear, skin, yaw, woman):
    """A hand and an arm [4, 3] (shoulder, elbow, wrist, finger tips) in its sleeve."""
    joints = turned(arm, yaw)
    slim, thick = 0.88 if woman else 1.0, wear["upper"] in ("jacket", "coat")
    cloth = wear["outer"] if thick else wear["top"]
    palm = joints[2] + 0.55 * (joints[3] - joints[2])
    easel.limb([joints[2], palm, joints[3]], [0.016 * slim, 0.021 * slim, 0.010], skin, folds=0.0)
    easel.limb(joints[:3], np.array([0.034, 0.027, 0.018]) * slim, skin, folds=0.02)
    radii = np.array([0.037, 0.034, 0.026]) * slim + 0.006 * thick
    easel.limb(joints[:3], radii, cloth, 0.36 if wear["upper"] == "tee" else 0.97, folds=0.09)


def paint_torso(easel, wear, skin, yaw, woman, stout):
    """A skirt, the neck, the shirt and over it a jacket or coat; stout: what share the waist is wider by."""

    def halves(width, depth):
        return np.hypot(np.array(width) * np.cos(yaw), np.array(depth) * np.sin(yaw))

    def centres(forward):
        return np.array(forward) * np.sin(yaw)

    if wear["lower"] in ("skirt", "dress"):
        easel.shape(
            [0.60, 0.52, 0.44, wear["hem"]],
            halves([0.075, 0.1, 0.11, 0.125], [0.06, 0.085, 0.095, 0.11]),
            centres([0, -0.005, 0, 0]),
            wear["bottom"],
            yaw,
            folds=0.1,
        )
    neck = turned([(0, 0.80, -0.005), (0, 0.885, 0.008)], yaw)
    easel.limb(neck, [0.036, 0.029] if woman else [0.042, 0.036], skin, folds=0.0)
    heights = [0.846, 0.833, 0.814, 0.79, 0.72, 0.63, 0.56, 0.49]
    width = (
        [0.034, 0.058, 0.096, 0.112, 0.098, 0.078, 0.094, 0.101]
        if woman
        else [0.042, 0.068, 0.113, 0.130, 0.115, 0.100, 0.096, 0.098]
    )
    depth = (
        [0.036, 0.045, 0.055, 0.064, 0.078, 0.062, 0.072, 0.08] if woman else [0.04, 0.05, 0.06, 0.068, 0.072, 0.068, 0.07, 0.074]
    )
    belly = np.array([1, 1, 1, 1.02, 1 + 0.4 * stout, 1 + stout, 1 + 0.8 * stout, 1 + 0.4 * stout])
    width, depth = np.array(width) * belly, np.array(depth) * belly
    forward = [0.0, 0.0, 0.0, 0.004, 0.01, 0.01 * (1 + 3 * stout), 0.0, -0.008]
    heights[-1] = 0.53 if wear["lower"] == "dress" else 0.495
    easel.shape(heights, halves(width, depth), centres(forward), wear["top"], yaw)
    if wear["upper"] in ("jacket", "coat"):
        heights[-1] = 0.46
        grown = [*(width * 1.06 + 0.004), 0.118], [*(depth * 1.08 + 0.004), 0.1]
        bottom = 0.44 if wear["upper"] == "jacket" else 0.27
        easel.shape(
            [*heights, bottom],
            halves(*grown),
            centres([*forward, -0.004]),
            wear["outer"],
            yaw,
            (wear["top"], 0.28 if wear["upper"] == "jacket" else 0.13),
            folds=0.08,
        )
        if np.cos(yaw) > 0.7 and wear["upper"] == "coat":  # trousers, not the shirt, show below
            easel.limb(turned([(0, 0.47, 0.08), (0, 0.3, 0.08)], yaw), [0.008, 0.012], (28, 28, 30))


def paint_head(easel, wear, skin, hair, yaw, woman):
    """Head, face, hair (its colour [3]) and hat; hair that hangs down is `paint_hanging_hair`'s."""
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
    darker = (
        0.25 * np.exp(-(((flip - 0.38) / 0.22) ** 2) - ((v - 0.06) / 0.12) ** 2)  # sockets, nose, under the lip
        + 0.22 * np.exp(-(((flip - 0.14) / 0.06) ** 2) - ((v + 0.22) / 0.1) ** 2)
        + 0.20 * np.exp(-((lx / 0.3) ** 2) - ((v + 0.68) / 0.06) ** 2)
    )
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
        wear["hair"], [-1.2, -1.0, -0.7, 0.35, 0.6]
    )
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
    """Hair of a colour [3] that falls below the head, for wear["hair"] "long" or "bob"."""
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
        easel.limb(
            turned([(0.13, 0.52, 0.03), (0.13, 0.45, 0.03), (0.13, 0.45, -0.03), (0.13, 0.52, -0.03)], yaw),
            [0.04] * 4,
            colour,
        )
