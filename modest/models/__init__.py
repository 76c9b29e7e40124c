"""The networks, Flax Linen modules: `build("depthnet")` returns one by name.

`.apply(variables, bg, bg_fg, train=False)` returns its logits. The class attributes `stride` and
`heads` of each network can be read without building it. `layers.py` holds the building blocks and
is the place to begin reading. May import `kernels` and the top-level modules.
"""

import functools
from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp

from modest.models.depthnet import DepthNet
from modest.models.layers import FOLDED
from modest.models.masknet import MaskNet
from modest.models.pairnet import PairNet
from modest.models.unet import UNet
from modest.types import PyTree

NETWORKS = {"masknet": MaskNet, "depthnet": DepthNet, "pairnet": PairNet, "unet": UNet}

# Fields of Linen modules that a config cannot set. All other fields are options of the network.
NOT_IN_CONFIG = frozenset({"axis_name", "parent", "name"})

VALID_SIZE = 32  # px, a size that every network accepts


def build(name: str, **options: Any) -> nn.Module:
    """Return a network.

    Args:
      name: key of `NETWORKS`.
      **options: fields of the network, such as `width` or `axis_name`. A list, which is what JSON
        has, becomes a tuple.
    """
    hashable = {key: tuple(x) if isinstance(x, list) else x for key, x in options.items()}
    return NETWORKS[name](**hashable)


@functools.partial(jax.jit, static_argnums=0)
def fold(model: nn.Module, variables: PyTree) -> PyTree:
    """Fold every BatchNorm into the convolution before it, so that prediction is faster.

    Args:
      model: a network.
      variables: its variables.

    Returns:
      The variables with the collection `layers.FOLDED` added. The network uses it in eval mode, and
      predicts the same as without it.
    """
    picture = jnp.zeros((1, VALID_SIZE, VALID_SIZE, 3))
    _, folded = model.apply(variables, picture, picture, mutable=[FOLDED])
    return variables | folded
