"""Every network with few channels, for tests."""

from modest import models

OPTIONS = {
    "masknet": {},
    "depthnet": {"width": 2},
    "pairnet": {"widths": (2, 3, 4, 5, 6, 7)},
    "unet": {"width": 2},
}


def build(name):
    """Return a small network of this name."""
    return models.build(name, **OPTIONS[name])
