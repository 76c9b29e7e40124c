"""Settings of the process that must be made before JAX starts its backend."""

import os

from absl import logging

# XLA's CPU backend hands single convolutions to a library that runs many of DepthNet's shapes on one thread only. Leaving them to
# XLA itself, and only sums to the library, is faster on two cores (`python -m benchmarks.layers` measures it).
CPU_FLAGS = "--xla_cpu_experimental_ynn_fusion_type=reduce"


def prepare():
    """Quiets libraries, and adds the flags to `XLA_FLAGS` unless the user has set the same one. GPUs and TPUs take no notice."""
    logging.set_verbosity(logging.WARNING)  # orbax tells every file it writes
    flags = os.environ.get("XLA_FLAGS", "")
    if CPU_FLAGS.split("=")[0] not in flags:
        os.environ["XLA_FLAGS"] = f"{flags} {CPU_FLAGS}".strip()
