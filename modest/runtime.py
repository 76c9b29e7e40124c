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

from absl import logging

from modest.vocabulary import InputError

# XLA's CPU backend hands single convolutions to a library that runs many of DepthNet's shapes on one thread only: with the first
# flag that library does sums alone. With the second, what lies between convolutions is compiled in XLA's older way, whose programs
# are faster for these networks. `python -m benchmarks.layers` measures both.
CPU_FLAGS = ("--xla_cpu_experimental_ynn_fusion_type=reduce", "--xla_cpu_use_fusion_emitters=false")

# glibc's mallopt: which setting, and its value. One heap for all threads, nothing mapped apart from it, nothing given back.
HEAP_SETTINGS = {-8: 1, -4: 0, -1: -1}  # M_ARENA_MAX, M_MMAP_MAX, M_TRIM_THRESHOLD (-1: never)

JOIN_SECONDS = 60  # for which several processes wait for each other


def prepare():
    """Quiets libraries, and makes the settings for a CPU; GPUs and TPUs take no notice of them."""
    logging.set_verbosity(logging.FATAL)  # orbax logs every file, and a traceback of whatever it then raises
    stdlib_logging.getLogger("asyncio").setLevel(stdlib_logging.CRITICAL)  # so it is with the reads that it leaves behind
    sys.unraisablehook = _quiet_abandoned_reads
    flags = os.environ.get("XLA_FLAGS", "").split()
    chosen = {flag.split("=")[0] for flag in flags}  # the user's own choice stands
    os.environ["XLA_FLAGS"] = " ".join(flags + [flag for flag in CPU_FLAGS if flag.split("=")[0] not in chosen])
    _keep_freed_memory()


def join(coordinator=None, processes=None, process=None):
    """Makes this process one of several; where nothing is given, JAX finds it out (SLURM, Open MPI, Kubernetes, Cloud TPU).

    Only the first one talks from here on. Where one dies, the others leave, in half a minute at most.

    Raises:
      InputError: no first process is where it was said to be. (Where others stay away, JAX itself ends the first one: status 134.)
    """
    import jax

    if coordinator and process:  # where nobody answers, JAX would abort the program
        _wait_for(coordinator)
    try:
        jax.distributed.initialize(
            coordinator, processes, process, initialization_timeout=JOIN_SECONDS, heartbeat_timeout_seconds=20
        )
    except (RuntimeError, ValueError) as error:
        raise InputError(f"--distributed: {str(error).strip().splitlines()[0]}") from None
    if jax.process_index():
        sys.stdout = open(os.devnull, "w")


def _wait_for(coordinator):
    """Until the first process listens at `host:port`."""
    host, _, port = coordinator.rpartition(":")
    if not (host and port.isdecimal()):
        raise InputError(f"--coordinator={coordinator}: must be host:port")
    end = time.monotonic() + JOIN_SECONDS
    while True:
        try:
            return socket.create_connection((host, int(port)), timeout=5).close()
        except OSError as error:
            if time.monotonic() > end:
                raise InputError(f"--coordinator={coordinator}: no process answers there ({error})") from None
            time.sleep(0.2)


def _quiet_abandoned_reads(unraisable):
    """Drops what is printed when orbax meets a damaged file: the reads that it leaves behind each find their event loop closed."""
    if not (isinstance(unraisable.exc_value, RuntimeError) and str(unraisable.exc_value) == "Event loop is closed"):
        sys.__unraisablehook__(unraisable)


def _keep_freed_memory():
    """Lets glibc keep what is freed for the next step.

    A step's buffers are large, and glibc gives large blocks back to the system and fetches them again, zeroed page by page, in
    every step.
    """
    libc = ctypes.CDLL(None) if sys.platform == "linux" else None
    if hasattr(libc, "mallopt"):
        for setting, value in HEAP_SETTINGS.items():
            libc.mallopt(setting, value)


def environment():
    """What a run ran with: versions, devices, and the git revision of this code where there is one."""
    import jax

    packages = ("jax", "jaxlib", "flax", "optax", "orbax-checkpoint", "grain", "tensorflow-datasets", "numpy")
    command = ["git", "-C", str(pathlib.Path(__file__).parent), "describe", "--always", "--dirty", "--abbrev=12"]
    try:
        revision = subprocess.run(command, capture_output=True, text=True).stdout.strip() or None
    except OSError:
        revision = None
    return {
        "python": platform.python_version(),
        "versions": {name: importlib.metadata.version(name) for name in packages},
        "devices": [f"{device.platform} {device.device_kind}" for device in jax.devices()],
        "host": {"machine": platform.platform(), "cores": os.cpu_count()},
        "xla_flags": os.environ.get("XLA_FLAGS", ""),
        "revision": revision,
    }
