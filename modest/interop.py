"""Weights of the original PyTorch networks as variables of ours.

The original's state dict holds NCHW arrays under its own layer names; `from_torch` renames and transposes them. No PyTorch is
needed: a state dict is any mapping from names to arrays, such as an opened `.npz` file.
"""

import numpy as np

# Ours on the left, the original's on the right: a conv-BN-ReLU is a pair (convolution, BatchNorm), an encoder or a decoder a name.
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
ENCODER = {
    "conv1": ("conv1.1", "conv1.2"),
    "conv2": ("conv2.0", "conv2.1"),
    "skip_conv": "skip_conn.0",
    "skip_norm": "skip_conn.1",
}
DECODER = {"reduce": "layer", "conv1": ("conv1.0", "conv1.1"), "conv2": ("conv2.0", "conv2.1")}


def torch_names(model):
    """`{(collection, *path): (torch name, axes)}` for every variable of `model` ("masknet" or "depthnet").

    `axes` is how the original's array is transposed: (2, 3, 1, 0) from a convolution's OIHW to our HWIO, None for a vector.
    """
    names = {}

    def convolution(path, torch, bias=True):
        names["params", *path, "kernel"] = (f"{torch}.weight", (2, 3, 1, 0))
        if bias:
            names["params", *path, "bias"] = (f"{torch}.bias", None)

    def norm(path, torch):
        names["params", *path, "scale"] = (f"{torch}.weight", None)
        names["params", *path, "bias"] = (f"{torch}.bias", None)
        names["batch_stats", *path, "mean"] = (f"{torch}.running_mean", None)
        names["batch_stats", *path, "var"] = (f"{torch}.running_var", None)

    def conv_bn_relu(path, torch):
        convolution((*path, "conv"), torch[0], bias=False)
        names["params", *path, "bias"] = (f"{torch[0]}.bias", None)
        norm((*path, "norm"), torch[1])

    for ours, torch in {"masknet": MASKNET, "depthnet": DEPTHNET}[model].items():
        if isinstance(torch, tuple):
            conv_bn_relu((ours,), torch)
        elif ours.startswith("head"):
            convolution((ours, "conv"), torch)
        else:
            parts = ENCODER if ours.startswith("encode") else DECODER
            for part in ("conv1", "conv2"):
                conv_bn_relu((ours, part), [f"{torch}.{name}" for name in parts[part]])
            if parts is ENCODER:
                convolution((ours, "skip_conv"), f"{torch}.{parts['skip_conv']}", bias=False)
                norm((ours, "skip_norm"), f"{torch}.{parts['skip_norm']}")
            else:
                convolution((ours, "reduce"), f"{torch}.{parts['reduce']}")
    return names


def from_torch(state_dict, model):
    """Flax variables `{"params", "batch_stats"}` of `model` ("masknet" or "depthnet") from the original's state dict.

    `state_dict` maps the original's parameter names to arrays (numpy, or anything `np.asarray` takes). A missing name raises
    `KeyError`, names left over (other than BatchNorm's `num_batches_tracked`) raise `ValueError`.
    """
    names = torch_names(model)
    unknown = {n for n in state_dict if not n.endswith("num_batches_tracked")} - {torch for torch, _ in names.values()}
    if unknown:
        raise ValueError(f"not a state dict of {model}: unknown {sorted(unknown)[:5]}")
    variables = {"params": {}, "batch_stats": {}}
    for path, (torch, axes) in names.items():
        node = variables
        for key in path[:-1]:
            node = node.setdefault(key, {})
        node[path[-1]] = np.asarray(state_dict[torch]).transpose(axes)
    return variables
