"""Every network with few channels, for tests."""

from modest import models

OPTIONS = {
    "masknet": {},
    "depthnet": {"width": 2},
    "pairnet": {"widths": (2, 3, 4, 5, 6, 7)},
    "unet": {"width": 2},
}


def section(name):
    """Return the section `model` of a config with a small network of this name."""
    return {"name": name, **OPTIONS[name]}


def build(name):
    """Return a small network of this name."""
    return models.build(name, **OPTIONS[name])
