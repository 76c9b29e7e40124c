"""JAX's persistent compilation cache: programs, and on a GPU also what XLA chose by timing."""

import contextlib
import hashlib
import importlib.metadata
import os
import pathlib
import platform
import sys

# Programs that compile in less time than this are left out.
LEAST_COMPILE_SECONDS = "0.2"


def turn_on(on_gpu: bool) -> None:
    """Turn on the cache, unless its directory cannot be made.

    A directory in `JAX_COMPILATION_CACHE_DIR` is left as it is. Call it when `XLA_FLAGS` is final.

    Args:
      on_gpu: whether JAX will use a GPU.
    """
    os.environ.setdefault("JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS", LEAST_COMPILE_SECONDS)
    # XLA reports an error for every program that it loads, because it compares the processor's
    # features with a list that also holds preferences of its compiler. Fatal errors are still
    # reported; the others reach Python as exceptions. JAX itself sets the level to 1 when it is
    # imported, and a process that it starts inherits that.
    if os.environ.get("TF_CPP_MIN_LOG_LEVEL", "1") == "1":
        os.environ["TF_CPP_MIN_LOG_LEVEL"] = "3"
    if "JAX_COMPILATION_CACHE_DIR" not in os.environ:
        with contextlib.suppress(OSError, RuntimeError):  # RuntimeError: no home directory
            made = directory(on_gpu)
            made.mkdir(parents=True, exist_ok=True)
            if os.access(made, os.W_OK):
                os.environ["JAX_COMPILATION_CACHE_DIR"] = str(made)
    jax = sys.modules.get("jax")
    if jax and not jax.config.jax_compilation_cache_dir:  # it has read the variables before
        least = float(os.environ["JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS"])
        jax.config.update("jax_persistent_cache_min_compile_time_secs", least)
        jax.config.update("jax_compilation_cache_dir", os.environ.get("JAX_COMPILATION_CACHE_DIR"))


def directory(on_gpu: bool = False) -> pathlib.Path:
    """Return the default directory of the cache.

    It is below `$XDG_CACHE_HOME` or `~/.cache`. Machines that share it, but have other processors,
    get other directories, because programs for one CPU may end the process on another. On a GPU,
    other flags of XLA get other directories too: XLA would use algorithms that a process without
    `--xla_gpu_deterministic_ops` has found and stored there.

    Args:
      on_gpu: whether JAX will use a GPU.
    """
    cache = pathlib.Path(os.environ.get("XDG_CACHE_HOME") or "~/.cache").expanduser()
    distinct = _processor() + (os.environ.get("XLA_FLAGS", "") if on_gpu else "")
    machine = hashlib.sha256(distinct.encode()).hexdigest()[:8]
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
