"""Settings of the process that must be made before JAX starts its backend."""

import contextlib
import ctypes
import hashlib
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
from modest.errors import InputError

# By default XLA's CPU backend of jaxlib 0.10 gives single convolutions to YNNPACK, which runs many
# of DepthNet's shapes on one thread; this flag restricts YNNPACK to reductions. jaxlib 0.12 is
# fastest without flags. XLA ends the process if it does not know a flag, so flags are set only for
# the series of jaxlib that are known to have them.
CPU_FLAGS_BY_SERIES = {"0.10": ("--xla_cpu_experimental_ynn_fusion_type=reduce",)}

# JAX's persistent compilation cache leaves out programs that compile in less time than this.
LEAST_COMPILE_SECONDS = "0.2"

# glibc's mallopt: setting -> value. One heap for all threads, no separate mmap for large blocks,
# and freed memory is never returned to the system.
HEAP_SETTINGS = {-8: 1, -4: 0, -1: -1}  # M_ARENA_MAX, M_MMAP_MAX, M_TRIM_THRESHOLD

JOIN_SECONDS = 60  # how long the processes of a distributed run wait for each other
PACKAGES = ("jax", "jaxlib", "flax", "optax", "orbax-checkpoint", "grain", "tensorflow-datasets")


def cpu_flags(jaxlib_version: str) -> tuple[str, ...]:
    """Return XLA's flags for CPUs, for a version of jaxlib such as "0.10.2"."""
    series = ".".join(jaxlib_version.split(".")[:2])
    return CPU_FLAGS_BY_SERIES.get(series, ())


def prepare() -> None:
    """Silence libraries; set XLA's flags for CPUs, JAX's compilation cache, and the heap.

    Other platforms ignore the flags. A flag that the user has set in `XLA_FLAGS` is left as it is,
    and so is the directory of the compilation cache in `JAX_COMPILATION_CACHE_DIR`.
    """
    logging.set_verbosity(logging.FATAL)  # orbax logs every file, and a traceback of every error
    stdlib_logging.getLogger("asyncio").setLevel(stdlib_logging.CRITICAL)
    sys.unraisablehook = _ignore_closed_event_loop
    flags = os.environ.get("XLA_FLAGS", "").split()
    chosen = {flag.split("=")[0] for flag in flags}
    known = cpu_flags(importlib.metadata.version("jaxlib"))
    ours = [flag for flag in known if flag.split("=")[0] not in chosen]
    os.environ["XLA_FLAGS"] = " ".join(flags + ours)
    _keep_compiled_programs()
    _keep_freed_memory()


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
      InputError: it has none of the platforms that the variable `JAX_PLATFORMS` asks for.
    """
    import jax

    try:
        jax.devices()
    except (RuntimeError, AssertionError) as error:  # the latter if the platform has no plugin
        asked = os.environ.get("JAX_PLATFORMS", "")
        reason = " ".join(str(error).split())[:160] or "no plugin of that platform is installed"
        raise InputError(
            f"JAX_PLATFORMS={asked}: JAX cannot start ({reason}); unset the variable, or set it to "
            "cpu"
        ) from None


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


def compilation_cache() -> pathlib.Path:
    """Return the default directory of JAX's persistent compilation cache.

    It is below `$XDG_CACHE_HOME` or `~/.cache`. Machines that share it, but have other processors,
    get other directories, because programs for one CPU may end the process on another.
    """
    cache = pathlib.Path(os.environ.get("XDG_CACHE_HOME") or "~/.cache").expanduser()
    machine = hashlib.sha256(_processor().encode()).hexdigest()[:8]
    jaxlib = importlib.metadata.version("jaxlib")
    return cache / "modest" / f"compiled-jaxlib-{jaxlib}-{platform.machine()}-{machine}"


def _processor():
    """Return text that differs between processors with different instructions."""
    try:
        lines = pathlib.Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return platform.processor()
    names = ("model name", "flags", "Features")
    return "\n".join(dict.fromkeys(line for line in lines if line.startswith(names)))


def _keep_compiled_programs():
    """Turn on JAX's persistent compilation cache, unless its directory cannot be made."""
    os.environ.setdefault("JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS", LEAST_COMPILE_SECONDS)
    # XLA reports an error for every program that it loads, because it compares the processor's
    # features with a list that also holds preferences of its compiler. Fatal errors are still
    # reported; the others reach Python as exceptions. JAX itself sets the level to 1 when it is
    # imported, and a process that it starts inherits that.
    if os.environ.get("TF_CPP_MIN_LOG_LEVEL", "1") == "1":
        os.environ["TF_CPP_MIN_LOG_LEVEL"] = "3"
    if "JAX_COMPILATION_CACHE_DIR" not in os.environ:
        with contextlib.suppress(OSError, RuntimeError):  # RuntimeError: no home directory
            directory = compilation_cache()
            directory.mkdir(parents=True, exist_ok=True)
            if os.access(directory, os.W_OK):
                os.environ["JAX_COMPILATION_CACHE_DIR"] = str(directory)
    jax = sys.modules.get("jax")
    if jax and not jax.config.jax_compilation_cache_dir:  # it has read the variables before
        least = float(os.environ["JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS"])
        jax.config.update("jax_persistent_cache_min_compile_time_secs", least)
        jax.config.update("jax_compilation_cache_dir", os.environ.get("JAX_COMPILATION_CACHE_DIR"))


def _keep_freed_memory():
    """Let glibc keep freed memory for the next step.

    The buffers of a step are large. By default glibc returns large blocks to the system, and the
    next step has to fetch and zero them again, page by page.
    """
    libc = ctypes.CDLL(None) if sys.platform == "linux" else None
    if hasattr(libc, "mallopt"):
        for setting, value in HEAP_SETTINGS.items():
            libc.mallopt(setting, value)
