"""Options and key that the tests of augmentation share."""

from typing import Any

import jax

from configs import depthnet

OPTIONS = depthnet.get_config().augment.to_dict()
KEY = jax.random.key(0)


def only(**changes: Any) -> dict[str, Any]:
    """Return the default options with every operation switched off, except for `changes`."""
    off = {
        name: 0.0 if name == "flip" else value | {"probability": 0.0}
        for name, value in OPTIONS.items()
    }
    return off | changes


def always(name: str, **bounds: float) -> dict[str, Any]:
    """Return the options of one operation with probability 1; `bounds` replace the defaults."""
    return {name: OPTIONS[name] | {"probability": 1.0} | bounds}
