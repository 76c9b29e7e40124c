"""The layer table of a network: names, shapes, parameters, FLOPs, by Flax's own `tabulate`. Nothing is trained."""

import flax.linen as nn
import jax
import jax.numpy as jnp

from modest import models
from modest.models import convolution


def table(config):
    """The table for one pair at the size of the last stage, as text."""
    size = config.stages[-1][0]
    picture = jnp.zeros((1, size, size, 3))
    model = models.build(**config.model.to_dict())
    tabulate = nn.tabulate(model, jax.random.key(0), compute_flops=True, console_kwargs={"width": 160, "force_terminal": False})
    with convolution.by_library():
        return tabulate(picture, picture)
