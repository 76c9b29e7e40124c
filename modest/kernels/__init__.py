"""The operations of the networks, and how they are computed: by XLA, or faster on CPU by oneDNN.

oneDNN is a library of fast operations, which PyTorch uses too. The networks call `conv`,
`conv_relu`, `max_pool` and `upsample`. Prediction calls `compile`. Inside `xla_only` no oneDNN is
used. Other packages import only these names; tests and benchmarks may also import the modules.
Imports nothing of `modest` but `types`. Begin with `convolution.py`, which chooses how a
convolution is computed.
"""

from modest.kernels.convolution import conv, conv_relu, xla_only
from modest.kernels.onednn.program import compile
from modest.kernels.resampling import max_pool, upsample

__all__ = ["compile", "conv", "conv_relu", "max_pool", "upsample", "xla_only"]
