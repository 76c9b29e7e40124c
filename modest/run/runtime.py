"""Settings of the process that must be made before JAX starts its backend."""

import ctypes
import importlib.metadata
import logging as stdlib_logging
import os
import pathlib
import platform
import socket
import subprocess
import sys
import time
from typing import Any

from absl import logging

import modest
from modest.backend import compilation_cache, platforms, xla_flags
from modest.errors import InputError

# glibc's mallopt: setting -> value. One heap for all threads, no separate mmap for large blocks,
# and freed memory is never returned to the system.
HEAP_SETTINGS = {-8: 1, -4: 0, -1: -1}  # M_ARENA_MAX, M_MMAP_MAX, M_TRIM_THRESHOLD

JOIN_SECONDS = 60  # how long the processes of a distributed run wait for each other
PACKAGES = ("jax", "jaxlib", "flax", "optax", "orbax-checkpoint", "grain", "tensorflow-datasets")


def prepare() -> None:
    """Silence libraries; set JAX's platform, XLA's flags, JAX's compilation cache, and the heap.

    A flag that the user has set in `XLA_FLAGS` is left as it is, and so are `JAX_PLATFORMS` and the
    directory of the compilation cache in `JAX_COMPILATION_CACHE_DIR`.
    """
    logging.set_verbosity(logging.FATAL)  # orbax logs every file, and a traceback of every error
    stdlib_logging.getLogger("asyncio").setLevel(stdlib_logging.CRITICAL)
    sys.unraisablehook = _ignore_closed_event_loop
    on_gpu = platforms.expects_gpu()
    if on_gpu:
        platforms.require_gpu()
    else:
        _keep_freed_memory()  # for a GPU, many threads load data, and one heap would hold them up
    xla_flags.add(on_gpu)
    compilation_cache.turn_on(on_gpu)


def join(
    coordinator: str | None = None, process_count: int | None = None, process: int | None = None
) -> None:
    """Make this process one of several. JAX detects None (by SLURM, Open MPI, Cloud TPU ...).

    From here on only process 0 prints. If one process dies, the others exit within 30 s.

    Args:
      coordinator: `host:port` of process 0.
      process_count: number of processes.
      process: number of this one, from 0.

    Raises:
      InputError: process 0 does not answer, or JAX refuses the arguments. (If other processes do
        not arrive, JAX ends process 0 with status 134.)
    """
    import jax

    if coordinator and process:  # if nobody answered, JAX would abort the program
        _wait_for(coordinator)
    try:
        jax.distributed.initialize(
            coordinator,
            process_count,
            process,
            # Under SLURM, JAX would take the GPU of its number on the machine, which a process that
            # was given one GPU of its own does not see.
            local_device_ids=[0] if platforms.sees_one_gpu() else None,
            initialization_timeout=JOIN_SECONDS,
            heartbeat_timeout_seconds=20,
        )
    except (RuntimeError, ValueError) as error:
        raise InputError(f"--distributed: {str(error).strip().splitlines()[0]}") from None
    if jax.process_index():
        sys.stdout = open(os.devnull, "w")


def check_platforms() -> None:
    """Start JAX's backend.

    Raises:
      InputError: a platform in the variable `JAX_PLATFORMS`, which `prepare` sets where there is a
        GPU, does not start, or JAX passes over the GPU.
    """
    import jax

    try:
        started = jax.devices()[0].platform
    except (RuntimeError, AssertionError) as error:  # the latter if the platform has no plugin
        asked = os.environ.get("JAX_PLATFORMS", "")
        reason = " ".join(str(error).split()) or "no plugin of that platform is installed"
        raise InputError(
            f"JAX_PLATFORMS={asked}: JAX cannot start ({reason}); JAX_PLATFORMS=cpu runs on the CPU"
        ) from None
    if started == "cpu" and platforms.expects_gpu():
        raise InputError(
            "JAX finds no GPU, though NVIDIA's driver and JAX's plugin are there; "
            "JAX_PLATFORMS=cpu runs on the CPU"
        )


def leave() -> None:
    """Leave a distributed run. Waits until all its processes call this."""
    import jax

    jax.distributed.shutdown()


def environment() -> dict[str, Any]:
    """Return versions, devices, kernels, host and git revision, for `config.json`."""
    import jax

    from modest import kernels

    versions = {name: importlib.metadata.version(name) for name in (*PACKAGES, "numpy")}
    return {
        "python": platform.python_version(),
        "versions": {"modest": modest.__version__} | versions,
        "devices": [f"{device.platform} {device.device_kind}" for device in jax.devices()],
        "host": {"machine": platform.platform(), "cores": os.cpu_count()},
        "kernels": kernels.training_backend(),
        "xla_flags": os.environ.get("XLA_FLAGS", ""),
        "revision": _revision(),
    }


def _revision():
    """Return the git revision of this code, or None if it does not run from a clone."""
    clone = pathlib.Path(__file__).parents[2]
    if not (clone / ".git").exists():
        return None
    command = ["git", "-C", str(clone), "describe", "--always", "--dirty", "--abbrev=12"]
    try:
        described = subprocess.run(command, capture_output=True, text=True)
    except OSError:
        return None
    return described.stdout.strip() or None


def _wait_for(coordinator):
    """Wait until process 0 listens at `host:port`."""
    host, _, port = coordinator.rpartition(":")
    if not (host and port.isdecimal()):
        raise InputError(f"--coordinator={coordinator}: must be host:port")
    end = time.monotonic() + JOIN_SECONDS
    while True:
        try:
            return socket.create_connection((host, int(port)), timeout=5).close()
        except OSError as error:
            if time.monotonic() > end:
                raise InputError(
                    f"--coordinator={coordinator}: no process answers there ({error})"
                ) from None
            time.sleep(0.2)


def _ignore_closed_event_loop(unraisable):
    """Report an exception that nothing catches, except one that orbax causes.

    When orbax has found a damaged file, its other reads go on, and fail in a closed event loop.
    """
    error = unraisable.exc_value
    if not (isinstance(error, RuntimeError) and str(error) == "Event loop is closed"):
        sys.__unraisablehook__(unraisable)


def _keep_freed_memory():
    """Let glibc keep freed memory for the next step.

    The buffers of a step are large. By default glibc returns large blocks to the system, and the
    next step has to fetch and zero them again, page by page.
    """
    libc = ctypes.CDLL(None) if sys.platform == "linux" else None
    if hasattr(libc, "mallopt"):
        for setting, value in HEAP_SETTINGS.items():
            libc.mallopt(setting, value)
