"""The networks by name: `build("depthnet")` is a Linen module, `.apply(variables, bg, bg_fg, train=False)` gives its logits.

`modest/config.py` holds what is known of each without building it: its heads, and what the size of its pictures must divide by.
"""

import functools

import jax
import jax.numpy as jnp

from modest.models.depthnet import DepthNet
from modest.models.layers import FOLDED
from modest.models.masknet import MaskNet
from modest.models.unet import UNet

SMALLEST = 32  # px, a size that every network takes

NETWORKS = {"masknet": MaskNet, "depthnet": DepthNet, "unet": UNet}


def build(name, **options):
    """The network called `name` (`masknet`, `depthnet`, `unet`), a Linen module; `options` are its fields, such as `axis_name`."""
    return NETWORKS[name](**options)


@functools.partial(jax.jit, static_argnums=0)
def fold(model, variables):
    """Variables that predict the same (`train=False`) with less work: every BatchNorm folded into the convolution before it."""
    picture = jnp.zeros((1, SMALLEST, SMALLEST, 3))
    _, folded = model.apply(variables, picture, picture, mutable=[FOLDED])
    return variables | folded
