"""Which platform JAX will use, found out without starting it.

XLA's flags must be set before JAX starts, so they cannot depend on `jax.default_backend()`.
"""

import importlib.metadata
import os
import pathlib
import sys

PLUGINS = ("jax-cuda12-plugin", "jax-cuda13-plugin")  # a package without which JAX finds no GPU
# The driver's files, of which a container that was given a GPU has one. The last is that of WSL 2.
DRIVER_FILES = ("/dev/nvidiactl", "/dev/nvidia0", "/proc/driver/nvidia/version", "/dev/dxg")
NO_DEVICES = ("", "-1", "NoDevFiles")  # values of CUDA_VISIBLE_DEVICES; the last is SLURM's


def expects_gpu() -> bool:
    """Return whether JAX will compute on an NVIDIA GPU.

    It will if `JAX_PLATFORMS` allows it, JAX's plugin for CUDA is installed, NVIDIA's driver is
    loaded, and `CUDA_VISIBLE_DEVICES` does not hide every GPU.
    """
    asked = os.environ.get("JAX_PLATFORMS", "").split(",")[0]
    if asked not in ("", "cuda", "gpu"):
        return False
    return _plugin_is_installed() and _driver_is_loaded() and _devices_are_visible()


def require_gpu() -> None:
    """Let JAX fail, rather than compute on the CPU, if the GPU does not start.

    Sets `JAX_PLATFORMS`, unless it is set.
    """
    if not os.environ.get("JAX_PLATFORMS"):
        os.environ["JAX_PLATFORMS"] = "cuda,cpu"
        jax = sys.modules.get("jax")
        if jax:  # it has read the variable before
            jax.config.update("jax_platforms", "cuda,cpu")


def sees_one_gpu() -> bool:
    """Return whether `CUDA_VISIBLE_DEVICES` leaves exactly one GPU to this process."""
    visible = os.environ.get("CUDA_VISIBLE_DEVICES", "").split(",")
    return len(visible) == 1 and visible[0].strip() not in NO_DEVICES


def gpu_name() -> str:
    """Return the name of the first GPU, such as "NVIDIA H100 80GB HBM3"; "GPU" if unknown."""
    for path in sorted(pathlib.Path("/proc/driver/nvidia/gpus").glob("*/information")):
        for line in path.read_text().splitlines():
            if line.startswith("Model:"):
                return line.partition(":")[2].strip()
    return "GPU"


def _plugin_is_installed():
    for name in PLUGINS:
        try:
            importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            continue
        return True
    return False


def _driver_is_loaded():
    return any(pathlib.Path(file).exists() for file in DRIVER_FILES)


def _devices_are_visible():
    visible = os.environ.get("CUDA_VISIBLE_DEVICES")
    return visible is None or visible.split(",")[0].strip() not in NO_DEVICES
