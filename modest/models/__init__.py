"""The networks by name: `build("depthnet")` is a Linen module, `.apply(variables, bg, bg_fg, train=False)` gives its logits.

`modest/config.py` holds what is known of each without building it: its heads, and what the size of its pictures must divide by.
"""

from modest.models.depthnet import DepthNet
from modest.models.masknet import MaskNet
from modest.models.unet import UNet

NETWORKS = {"masknet": MaskNet, "depthnet": DepthNet, "unet": UNet}


def build(name, **options):
    """The network called `name` (`masknet`, `depthnet`, `unet`), a Linen module; `options` are its fields, such as `axis_name`."""
    return NETWORKS[name](**options)
