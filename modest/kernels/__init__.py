"""The operations of the networks, and how they are computed: by XLA, or faster on CPU by oneDNN.

oneDNN is a library of fast operations, which PyTorch uses too. The networks call `conv`,
`conv_relu`, `max_pool` and `upsample`. Prediction calls `compile`. `training_backend` says which
library computes training, and `MODEST_KERNELS` chooses it. Other packages import only these names;
tests and benchmarks may also import the modules. Imports nothing of `modest` but `types` and
`errors`. Begin with `convolution.py`, which chooses how a convolution is computed.
"""

from modest.kernels.convolution import conv, conv_relu
from modest.kernels.prediction import compile
from modest.kernels.resampling import max_pool, upsample
from modest.kernels.selection import training_backend

__all__ = ["compile", "conv", "conv_relu", "max_pool", "training_backend", "upsample"]
