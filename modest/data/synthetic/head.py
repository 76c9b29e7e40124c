"""The head of a person: face, hair and hat, painted on an ellipsoid. See `body` for the units."""

from typing import NamedTuple

import numpy as np

from modest.data.synthetic.body import Colour, Outfit
from modest.data.synthetic.drawing import Canvas, Slices, project

# Height of the hairline (-1 to 1) at these positions from the back (-1) to the front (1) of a head.
HAIRLINE_AT = [-1, -0.3, 0.12, 0.4, 1]
HAIRLINES = {"bald": [-0.8, -0.3, 0.1, 2.0, 2.0], "short": [-0.85, -0.6, 0.05, 0.5, 0.62]}
LONG_HAIRLINE = [-1.2, -1.0, -0.7, 0.35, 0.6]


class _Surface(NamedTuple):
    """Where the pixels of a window are on an ellipsoid around the head; arrays `[n,m]`."""

    distance: np.ndarray  # distance from its outline in body heights, negative inside
    u: np.ndarray  # across the picture, -1 to 1 inside
    v: np.ndarray  # up, -1 to 1 inside
    across: np.ndarray  # along X of the body, -1 to 1
    forward: np.ndarray  # along Z of the body, -1 to 1


def paint_head(
    canvas: Canvas, outfit: Outfit, skin: Colour, hair: np.ndarray, yaw: float, woman: bool
) -> None:
    """Paint head, face, hair and hat. `hair`, `[3]`, is the colour of the hair.

    `body.paint_hanging_hair` paints the hair that hangs down.
    """
    middle = project((0, 0.931, 0.012), yaw)
    radii = np.array([0.047 if woman else 0.050, 0.066, 0.060])
    rx, ry = np.hypot(radii[0] * np.cos(yaw), radii[2] * np.sin(yaw)), radii[1]
    at, x, y = canvas.window(middle[0] - rx, middle[0] + rx, middle[1] - ry, middle[1] + ry, 0.06)
    head = _surface(x - middle[0], y - middle[1], rx, ry, yaw, 1.0)
    face = _face(head, outfit, skin, hair, woman)
    _paint_ears_and_nose(canvas, outfit, skin, yaw)
    canvas.paint(at, head.distance, face, head.u, 0.0)
    scalp = _surface(x - middle[0], y - middle[1], rx, ry, yaw, 1.09)
    _paint_hair(canvas, at, scalp, outfit, hair, yaw)
    if outfit.hat != "none":
        _paint_hat(canvas, at, scalp, outfit, yaw)


def _surface(x, y, rx, ry, yaw, grow):
    """Return where canvas points are on the head, enlarged by the factor `grow`.

    x `[1,m]` and y `[n,1]` are relative to the middle of the head.
    """
    v = y / (ry * grow) + 0 * x
    u = x / (rx * grow * (1 - 0.26 * np.clip(-v, 0, 1) ** 2))  # narrower towards the chin
    near = np.sqrt(np.clip(1 - u * u - v * v, 0, 1))
    across = u * np.cos(yaw) - near * np.sin(yaw)
    forward = near * np.cos(yaw) + u * np.sin(yaw)
    return _Surface((np.hypot(u, v) - 1) * ry, u, v, across, forward)


def _face(head, outfit, skin, hair, woman):
    """Return the colour of the face, `[n,m,3]`: skin, shadows, eyes, brows, beard and mouth."""
    v, front, side = head.v, head.forward > 0.2, np.abs(head.across)
    face = np.empty((*head.u.shape, 3), np.float32)
    face[:] = skin
    sockets = 0.25 * np.exp(-(((side - 0.38) / 0.22) ** 2) - ((v - 0.06) / 0.12) ** 2)
    nose = 0.22 * np.exp(-(((side - 0.14) / 0.06) ** 2) - ((v + 0.22) / 0.1) ** 2)
    below_lip = 0.20 * np.exp(-((head.across / 0.3) ** 2) - ((v + 0.68) / 0.06) ** 2)
    face *= 1 - ((sockets + nose + below_lip) * front)[..., None]
    eye = np.hypot((side - 0.38) / 0.16, (v - 0.03) / 0.065) < 1
    iris = np.hypot((side - 0.38) / 0.07, (v - 0.03) / 0.075) < 1
    brow = (np.abs(side - 0.38) < 0.2) & (np.abs(v - 0.19) < 0.03)
    marks = [
        (eye & front, (236, 232, 226)),
        (iris & front, (48, 34, 26)),
        (brow & front, hair * 0.8),
    ]
    if outfit.beard:
        beard = (v < -0.3 - 0.25 * (side < 0.4) * (v > -0.5)) & (head.forward > 0.0)
        marks.append((beard, hair * 0.9 + 0.1 * np.array(skin)))
    lips = np.array(skin) * ((0.78, 0.5, 0.5) if woman else (0.75, 0.6, 0.58))
    mouth = np.hypot(head.across / 0.27, (v + 0.5) / 0.06) < 1
    marks.append((mouth & front, lips))
    for where, colour in marks:
        face = np.where(where[..., None], np.asarray(colour, np.float32), face)
    return face


def _paint_ears_and_nose(canvas, outfit, skin, yaw):
    for sign in (-1, 1):
        ear = project([(sign * 0.05, 0.937, 0.0), (sign * 0.048, 0.915, 0.004)], yaw)
        if ear[0, 2] > -0.03 and outfit.hair not in ("long", "bob"):
            canvas.limb(ear, [0.012, 0.008], np.array(skin) * 0.94, folds=0.0)
    if abs(np.sin(yaw)) > 0.3 and np.cos(yaw) > -0.5:
        nose = project([(0, 0.945, 0.066), (0, 0.918, 0.082), (0, 0.91, 0.068)], yaw)
        canvas.limb(nose, [0.006, 0.010, 0.008], skin, folds=0.0)


def _paint_hair(canvas, at: Slices, scalp, outfit, hair, yaw):
    hairline = np.interp(scalp.forward, HAIRLINE_AT, HAIRLINES.get(outfit.hair, LONG_HAIRLINE))
    cover = np.clip((scalp.v - hairline) * 8, 0, 1)
    cover = cover * ((scalp.v < 0.35) if outfit.hair == "bald" else 1.0)
    canvas.paint(at, scalp.distance, hair, scalp.u, 0.12, cover)
    if outfit.hair == "bun":
        bun = project([(0, 0.985, -0.055), (0, 0.99, -0.065)], yaw)
        canvas.limb(bun, [0.028, 0.026], hair, folds=0.12)


def _paint_hat(canvas, at: Slices, scalp, outfit, yaw):
    """Paint a hat with a brim, or a cap with a visor."""
    colour = np.array(outfit.hat_colour)
    cover = np.clip((scalp.v - 0.38) * 8, 0, 1)
    canvas.paint(at, scalp.distance - 0.003, colour, scalp.u, 0.05, cover)
    if outfit.hat == "hat":
        ends = np.array([[-0.088, 0, 0], [0, 0, 0], [0.088, 0, 0]])
        brim = ends + project((0, 0.964, 0.012), yaw)
        canvas.limb(brim, [0.007, 0.014, 0.007], colour * 0.9)
    elif np.cos(yaw) > -0.4:
        visor = project([(-0.05, 0.965, 0.05), (0, 0.96, 0.125), (0.05, 0.965, 0.05)], yaw)
        canvas.limb(visor, [0.006, 0.010, 0.006], colour * 0.85)
