"""Conversion of the original PyTorch networks' weights to Flax variables.

A state dict holds arrays in PyTorch's axis order under the original's layer names. `from_torch`
renames and transposes them. PyTorch is not needed: a state dict is any mapping from names to
arrays, such as an opened `.npz` file. Imports only NumPy.
"""

from collections.abc import Mapping
from typing import Any

import numpy as np

Path = tuple[str, ...]  # path of a variable, beginning with its collection

# Flax name -> PyTorch name. A ConvBNReLU has two PyTorch layers: convolution and BatchNorm.
MASKNET = {
    "stem_bg": ("layer1.0", "layer1.1"),
    "stem_bg_fg": ("layer2.0", "layer2.1"),
    "conv1": ("layer3.0", "layer3.1"),
    "conv2": ("layer3.3", "layer3.4"),
    "head_mask": "layer3.6",
}
DEPTHNET = {
    "stem_bg1": ("layer1a.0", "layer1a.1"),
    "stem_bg2": ("layer1a.3", "layer1a.4"),
    "stem_bg_fg1": ("layer1b.0", "layer1b.1"),
    "stem_bg_fg2": ("layer1b.3", "layer1b.4"),
    "encode_bg": "encodebg",
    "encode_bg_fg": "encodebg_fg",
    **{f"encode{i}": f"encode{i}" for i in (1, 2, 3, 4)},
    **{f"mask{i}": f"decode{i}_map" for i in (1, 2, 3, 4)},
    **{f"depth{i}": f"decode{i}_depth" for i in (1, 2, 3, 4, 5)},
    "head_mask": "last_mask",
    "head_depth": "last_depth",
}
NETWORKS: Mapping[str, Mapping[str, Any]] = {"masknet": MASKNET, "depthnet": DEPTHNET}
# The layers inside an encoder or decoder, relative to its PyTorch name.
ENCODER_CONVS = {"conv1": ("conv1.1", "conv1.2"), "conv2": ("conv2.0", "conv2.1")}
DECODER_CONVS = {"conv1": ("conv1.0", "conv1.1"), "conv2": ("conv2.0", "conv2.1")}

OIHW_TO_HWIO = (2, 3, 1, 0)


def torch_names(network: str) -> dict[Path, tuple[str, tuple[int, ...] | None]]:
    """Return the PyTorch name of every variable.

    Args:
      network: `masknet` or `depthnet`.

    Returns:
      A dict from the variable's path to its PyTorch name and the transposition of the PyTorch
      array, None for a vector.
    """
    names: dict[Path, tuple[str, tuple[int, ...] | None]] = {}
    for name, torch_name in NETWORKS[network].items():
        if isinstance(torch_name, tuple):
            names |= _conv_bn_relu((name,), *torch_name)
        elif name.startswith("head"):
            names |= _conv((name, "conv"), torch_name)
        elif name.startswith("encode"):
            names |= _block(name, torch_name, ENCODER_CONVS)
            names |= _conv((name, "skip_conv"), f"{torch_name}.skip_conn.0", has_bias=False)
            names |= _batch_norm((name, "skip_norm"), f"{torch_name}.skip_conn.1")
        else:
            names |= _block(name, torch_name, DECODER_CONVS)
            names |= _conv((name, "reduce"), f"{torch_name}.layer")
    return names


def _block(name, torch_name, convs):
    names = {}
    for conv, torch_layers in convs.items():
        torch_layers = [f"{torch_name}.{layer}" for layer in torch_layers]
        names |= _conv_bn_relu((name, conv), *torch_layers)
    return names


def _conv_bn_relu(path, torch_conv, torch_norm):
    return {
        **_conv((*path, "conv"), torch_conv, has_bias=False),
        ("params", *path, "bias"): (f"{torch_conv}.bias", None),
        **_batch_norm((*path, "norm"), torch_norm),
    }


def _conv(path, torch_name, has_bias=True):
    names = {("params", *path, "kernel"): (f"{torch_name}.weight", OIHW_TO_HWIO)}
    if has_bias:
        names["params", *path, "bias"] = (f"{torch_name}.bias", None)
    return names


def _batch_norm(path, torch_name):
    return {
        ("params", *path, "scale"): (f"{torch_name}.weight", None),
        ("params", *path, "bias"): (f"{torch_name}.bias", None),
        ("batch_stats", *path, "mean"): (f"{torch_name}.running_mean", None),
        ("batch_stats", *path, "var"): (f"{torch_name}.running_var", None),
    }


def from_torch(state_dict: Mapping[str, Any], network: str) -> dict[str, Any]:
    """Convert a PyTorch state dict to Flax variables.

    Args:
      state_dict: the original's parameter names, and arrays or anything that `np.asarray` accepts.
      network: `masknet` or `depthnet`.

    Returns:
      `{"params", "batch_stats"}` with NumPy arrays.

    Raises:
      ValueError: `state_dict` has a name that the network does not have (BatchNorm's
        `num_batches_tracked` is ignored).
      KeyError: `state_dict` lacks a name.
    """
    names = torch_names(network)
    given = {name for name in state_dict if not name.endswith("num_batches_tracked")}
    unknown = given - {torch_name for torch_name, _ in names.values()}
    if unknown:
        raise ValueError(f"not a state dict of {network}: unknown names {sorted(unknown)[:5]}")
    variables: dict[str, Any] = {"params": {}, "batch_stats": {}}
    for path, (torch_name, axes) in names.items():
        node = variables
        for key in path[:-1]:
            node = node.setdefault(key, {})
        node[path[-1]] = np.asarray(state_dict[torch_name]).transpose(axes)
    return variables
