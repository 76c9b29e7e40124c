"""XLA's flags for each platform and series of jaxlib.

XLA ends the process if it does not know a flag. So a flag is set only for the
series of jaxlib in which it was seen to be accepted; a series that is not listed gets none.
"""

import importlib.metadata
import os

# By default XLA's CPU backend of jaxlib 0.10 gives single convolutions to YNNPACK, which runs many
# of DepthNet's shapes on one thread; this flag restricts YNNPACK to reductions. jaxlib 0.12 is
# fastest without flags.
CPU = {"0.10": ("--xla_cpu_experimental_ynn_fusion_type=reduce",)}

_GPU = (
    # The first algorithm that the heuristics of cuDNN and cuBLAS propose for a layer, instead of
    # the fastest in a trial of all. Trials take time for each layer, and may end differently in the
    # next process; without them a program gives the same bits whenever it is compiled.
    "--xla_gpu_deterministic_ops=true",
    # Matrix products by cuBLAS. Without timing, Triton's would run in an arbitrary configuration.
    "--xla_gpu_enable_triton_gemm=false",
    # Neither compile nor time two versions of every fused kernel.
    "--xla_gpu_experimental_enable_fusion_autotuner=false",
)
GPU = {"0.10": _GPU, "0.11": _GPU, "0.12": _GPU}


def flags(jaxlib_version: str, on_gpu: bool) -> tuple[str, ...]:
    """Return XLA's flags for a version of jaxlib such as "0.10.1".

    Args:
      jaxlib_version: the version.
      on_gpu: whether JAX will use a GPU. Those for the CPU are returned anyway.
    """
    series = ".".join(jaxlib_version.split(".")[:2])
    return CPU.get(series, ()) + (GPU.get(series, ()) if on_gpu else ())


def add(on_gpu: bool) -> None:
    """Add the flags to the variable `XLA_FLAGS`; one that the user has set there stands.

    If the variable names a file of flags, it is left as it is.
    """
    given = os.environ.get("XLA_FLAGS", "").split()
    if given and not given[0].startswith("-"):
        return
    chosen = {flag.split("=")[0] for flag in given}
    known = flags(importlib.metadata.version("jaxlib"), on_gpu)
    ours = [flag for flag in known if flag.split("=")[0] not in chosen]
    os.environ["XLA_FLAGS"] = " ".join(given + ours)
