"""The choice between XLA and oneDNN for the operations of the networks on a CPU.

The environment variable `MODEST_KERNELS` chooses: `auto` (oneDNN if it is installed, the default),
`xla` or `onednn`. It is read once. Other devices always use XLA.
"""

import functools
import logging
import os

import jax

from modest.errors import InputError
from modest.kernels.onednn import c_api, ffi, primitives

VARIABLE = "MODEST_KERNELS"
CHOICES = ("auto", "xla", "onednn")


def training_backend() -> str:
    """Return what computes convolutions in training.

    That is `onednn 3.1 avx512` or the like, or `xla`; on another device than a CPU, such as
    `xla gpu`.

    Raises:
      InputError: see `uses_onednn`.
    """
    if uses_onednn_within_xla():
        return f"onednn {c_api.description()}"
    platform = jax.default_backend()
    return "xla" if platform == "cpu" else f"xla {platform}"


@functools.cache
def uses_onednn() -> bool:
    """Return whether prediction on this machine uses oneDNN.

    Raises:
      InputError: `MODEST_KERNELS` has another value, or asks for oneDNN, which cannot be used.
    """
    choice = os.environ.get(VARIABLE, "auto")
    if choice not in CHOICES:
        raise InputError(f"{VARIABLE}={choice}: must be one of {', '.join(CHOICES)}")
    if choice == "xla" or jax.default_backend() != "cpu":
        return False
    try:
        ffi.register()
    except c_api.Unavailable as error:
        if choice == "onednn":
            raise InputError(f"{VARIABLE}=onednn: {error}") from None
        log_fallback(str(error))
        return False
    return True


@functools.cache
def uses_onednn_within_xla() -> bool:
    """Return whether XLA's programs for a CPU, such as a training step, shall call oneDNN.

    Prediction does not depend on this: there oneDNN computes the whole network. A call out of XLA
    pays only where oneDNN has Winograd, which needs AVX-512, or where `MODEST_KERNELS` asks for
    oneDNN. Limited to AVX2, a training step with XLA's own convolutions takes 0.8 to 1.09 times as
    long as with oneDNN's (docs/speed.md).

    Raises:
      InputError: see `uses_onednn`.
    """
    is_forced = os.environ.get(VARIABLE) == "onednn"
    return uses_onednn() and (is_forced or primitives.has_winograd())


@functools.cache
def log_fallback(reason: str) -> None:
    """Log that XLA is used in place of oneDNN; each reason once."""
    logging.getLogger("modest").warning(
        "XLA computes the network, or a part of it, without oneDNN, which is slower: %s", reason
    )
