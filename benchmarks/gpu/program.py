"""Compile a training step for H100s that are not there, and count its kernels and their bytes.

    pip install --no-deps jax-cuda13-plugin==$JAX jax-cuda13-pjrt==$JAX nvidia-cuda-nvcc nvidia-nvvm
    JAX_SKIP_CUDA_CONSTRAINTS_CHECK=1 python -m benchmarks.gpu.program [--network depthnet]
        [--size 224] [--batch 32] [--precision bfloat16] [--channels 1] [--devices 1]
        [--out program.txt]

where JAX is the version of jax that is installed. It needs neither a GPU nor a driver. cuDNN's and
cuBLAS's algorithms are not chosen, because that needs a GPU, so compilation takes longer on one.

The bytes are those of the inputs and outputs of every kernel. Divided by the bandwidth of the
device's memory they give a bound: the step takes at least that long, if nothing stays in a cache.
"""

import argparse
import collections
import functools
import os
import pathlib
import re
import time
from collections.abc import Iterator

from benchmarks.gpu.trace import Kernel, kind_of

BANDWIDTH = 3.35e12  # bytes/s of an H100 SXM's memory, by NVIDIA's data sheet
# What XLA's compiler must know of a GPU, in the format of its GpuTargetConfigProto.
H100 = """
platform_name: "CUDA"
device_description_str: "NVIDIA H100 80GB HBM3"
runtime_version { major: 13 }
dnn_version_info { major: 9 minor: 10 }
gpu_device_info {
  cuda_compute_capability { major: 9 }
  core_count: 132
  fpus_per_core: 128
  clock_rate_ghz: 1.98
  threads_per_warp: 32
  threads_per_block_limit: 1024
  threads_per_core_limit: 2048
  registers_per_block_limit: 65536
  registers_per_core_limit: 65536
  shared_memory_per_block: 49152
  shared_memory_per_block_optin: 232448
  shared_memory_per_core: 233472
  l2_cache_size: 52428800
  device_memory_size: 84929347584
  memory_bandwidth: 3352320000000
  block_dim_limit_x: 2147483647
  block_dim_limit_y: 65535
  block_dim_limit_z: 65535
}
"""
BITS = {"pred": 8, "bf16": 16}  # of a value; those of the other types are in their names
KERNELS = ("fusion", "custom-call", "copy", "all-reduce", "all-reduce-start")


def kernels(program: str) -> Iterator[tuple[str, int]]:
    """Yield the kind and the bytes of every kernel of a compiled program.

    Args:
      program: XLA's text of it.
    """
    entry = program[program.index("\nENTRY") :]
    shapes: dict[str, str] = {}
    instruction = re.compile(r"  (?:ROOT )?%(\S+) = (.*?) ([a-z-]+)\((.*?)\)(?:, |$)", re.MULTILINE)
    for match in instruction.finditer(entry):
        name, shape, operation, arguments = match.groups()
        shapes[name] = shape
        if operation not in KERNELS:
            continue
        rest = entry[match.end() : entry.find("\n", match.end())]
        target = re.search(r'custom_call_target="([^"]+)"', rest)
        read = (shapes.get(argument, "") for argument in re.findall(r"%([^\s,)]+)", arguments))
        kind = kind_of(Kernel(target[1] if target else name, "", 0, 0))
        yield kind, bytes_of(shape) + sum(map(bytes_of, read))


def bytes_of(shape: str) -> int:
    """Return the bytes of a shape such as `(bf16[32,16]{1,0}, u8[0])`."""
    total = 0
    for dtype, dims in re.findall(r"\b(pred|bf16|[sufc]\d+)\[([\d,]*)\]", shape):
        count = 1
        for dim in filter(None, dims.split(",")):
            count *= int(dim)
        total += count * BITS.get(dtype, int(re.sub(r"\D", "", dtype) or 8)) // 8
    return total


def compile_step(network: str, size: int, batch: int, precision: str, count: int) -> str:
    """Compile a training step on stored composites for `count` H100s; return XLA's text of it.

    Prints the seconds. `batch` is that of all devices.
    """
    import jax
    from jax.experimental.topologies import get_topology_desc

    from modest.run import config_files, devices
    from modest.state import train_state
    from modest.training.step import StepOptions, train_step

    config = config_files.load(network)
    config.precision = precision
    created = train_state.create(config, 100, 10)
    kinds = {"bg": 3, "bg_fg": 3, "mask": 1, "depth": 1}
    examples = {
        kind: jax.ShapeDtypeStruct((batch // count, size, size, channels), "uint8")
        for kind, channels in kinds.items()
    }
    examples["valid"] = jax.ShapeDtypeStruct((batch // count,), bool)
    arguments = jax.tree.map(
        lambda x: jax.ShapeDtypeStruct((count, *x.shape), x.dtype),
        (jax.eval_shape(created.init), examples),
    )
    topology = get_topology_desc("h100", "cuda", target_config=H100, topology=f"1x1x{count}")
    step = functools.partial(train_step, StepOptions.from_config(config, created))
    mapped = jax.pmap(step, devices.AXIS, devices=topology.devices, donate_argnums=(0,))
    began = time.perf_counter()
    lowered = mapped.lower(*arguments)
    lowered_at = time.perf_counter()
    compiled = lowered.compile()
    ended = time.perf_counter()
    print(
        f"traced and lowered in {lowered_at - began:.1f} s, compiled in {ended - lowered_at:.1f} s"
    )
    return compiled.as_text()


def main() -> None:
    """Run the command; see the module."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.gpu.program", description=__doc__.partition("\n")[0]
    )
    parser.add_argument("--network", default="depthnet")
    parser.add_argument("--size", type=int, default=224, help="px")
    parser.add_argument("--batch", type=int, default=32)
    parser.add_argument("--precision", default="bfloat16")
    parser.add_argument(
        "--channels", type=int, default=1, help="see modest.kernels.xla.GPU_CHANNELS"
    )
    parser.add_argument("--devices", type=int, default=1)
    parser.add_argument("--out", type=pathlib.Path, help="file for XLA's text of the program")
    arguments = parser.parse_args()
    os.environ["JAX_PLATFORMS"] = "cpu"
    from modest.backend import xla_flags
    from modest.kernels import xla

    xla_flags.add(on_gpu=True)
    xla.GPU_CHANNELS = arguments.channels
    case = (arguments.network, arguments.size, arguments.batch, arguments.precision)
    program = compile_step(*case, arguments.devices)
    if arguments.out:
        arguments.out.write_text(program)
    kinds: dict[str, list[int]] = collections.defaultdict(list)
    for kind, size in kernels(program):
        kinds[kind].append(size)
    for kind, sizes in sorted(kinds.items(), key=lambda item: -sum(item[1])):
        print(f"{kind:32} {len(sizes):5} kernels {sum(sizes) / 1e9:7.3f} GB")
    total = sum(map(sum, kinds.values()))
    print(
        f"{'all':32} {sum(map(len, kinds.values())):5} kernels {total / 1e9:7.3f} GB, "
        f"{1e3 * total / BANDWIDTH:.2f} ms at {BANDWIDTH / 1e12:.2f} TB/s"
    )


if __name__ == "__main__":
    main()
