"""What the device did during a profile: the time of its kernels by kind.

    python -m benchmarks.gpu.trace DIRECTORY

prints JSON for the newest trace in a directory, such as `profile/` of a run with
`--config.profile`. On a CPU, where kernels run in several threads, it is of use only as a test.
"""

import collections
import json
import pathlib
import re
import sys
from collections.abc import Iterable
from typing import NamedTuple

from modest.backend import platforms

OTHER = "other"  # the kind of a kernel of which nothing is known
LONGEST = 12  # kernels that are listed by name

# Kind -> what occurs in the name of a kernel, or of the operation that launched it. The first kind
# that fits is taken. XLA names a fused kernel after the operations in it.
KINDS = {
    "layout, by cuDNN": r"nchwtonhwc|nhwctonchw",
    "convolution": r"conv(?!ert)|cudnn|fprop|dgrad|wgrad|implicit_gemm|onednn",
    "matrix product": r"gemm|nvjet|cublas|cutlass|\bdot|matmul|splitk",
    "communication": r"nccl|all.?reduce|all.?gather",
    "copy between host and device": r"memcpyh2d|memcpyd2h|h2d|d2h",
    "copy, layout": r"copy|memcpy|memset|transpose",
    "reduction (BatchNorm, losses)": r"reduc",
    "elementwise": r"fusion|loop|add|mul|select|maximum|concatenate|slice|convert|pad|gather",
}


class Kernel(NamedTuple):
    """One execution of a kernel; times in ns."""

    name: str
    operation: str  # XLA's operation, or ""
    start: float
    duration: float


def kind_of(kernel: Kernel) -> str:
    """Return the kind of a kernel: a key of `KINDS`, or `OTHER`."""
    for text in (kernel.name.lower(), kernel.operation.lower()):
        for kind, pattern in KINDS.items():
            if re.search(pattern, text):
                return kind
    return OTHER


def kernels(directory: pathlib.Path) -> list[Kernel]:
    """Read the kernels of the newest trace below a directory.

    On a GPU these are the events of its streams; elsewhere, the events that name an operation of
    XLA.

    Raises:
      FileNotFoundError: there is no trace, or none of a GPU where there should be one.
    """
    from jax.profiler import ProfileData

    traces = sorted(directory.rglob("*.xplane.pb"), key=lambda path: path.stat().st_mtime)
    if not traces:
        raise FileNotFoundError(f"{directory}: no trace (*.xplane.pb)")
    planes = list(ProfileData.from_file(str(traces[-1])).planes)
    devices = [plane for plane in planes if plane.name.startswith("/device:GPU")]
    if platforms.expects_gpu() and not devices:
        raise FileNotFoundError(f"{traces[-1]}: no events of a GPU")
    found = []
    for plane in devices or planes:
        for line in plane.lines:
            if devices and not line.name.startswith("Stream"):
                continue  # the same time again, by XLA's operation or module
            for event in line.events:
                operation = str(dict(event.stats).get("hlo_op", ""))
                if devices or operation:
                    found.append(Kernel(event.name, operation, event.start_ns, event.duration_ns))
    return found


def summarise(found: Iterable[Kernel]) -> dict:
    """Return the milliseconds and the number of kernels by kind.

    Returns:
      `kinds` and `longest`, `{name: {"ms", "count"}}`; `span_ms` from the first kernel's start to
      the last one's end; `busy_ms`, during which at least one ran; and `kernels`, their number. The
      rest of the span is longer than in a step that is not profiled.
    """
    found = sorted(found, key=lambda kernel: kernel.start)
    if not found:
        return {"kernels": 0}
    kinds: dict[str, list[float]] = collections.defaultdict(list)
    names: dict[str, list[float]] = collections.defaultdict(list)
    busy, end = 0.0, found[0].start
    for kernel in found:
        kinds[kind_of(kernel)].append(kernel.duration)
        names[re.sub(r"[._]\d+$", "", kernel.name)].append(kernel.duration)
        last = kernel.start + kernel.duration
        busy += max(0.0, last - max(end, kernel.start))
        end = max(end, last)
    span = end - found[0].start
    return {
        "kernels": len(found),
        "span_ms": span / 1e6,
        "busy_ms": busy / 1e6,
        "kinds": _largest(kinds, len(KINDS) + 1),
        "longest": _largest(names, LONGEST),
    }


def _largest(times, count):
    ordered = sorted(times.items(), key=lambda item: -sum(item[1]))[:count]
    return {name: {"ms": sum(values) / 1e6, "count": len(values)} for name, values in ordered}


if __name__ == "__main__":
    print(json.dumps(summarise(kernels(pathlib.Path(sys.argv[1])))))
