"""One contender of `benchmarks/speed.py`, in its own process, so that frameworks share no threads.

    python -m benchmarks.jobs.contenders CONTENDER JOB NETWORK SIZE BATCH
    python -m benchmarks.jobs.contenders CONTENDER peak

The process prepares the job, and writes a line of JSON with the seconds that this took. Then, for
every line on its standard input, it works for about a second, and writes the seconds of one call.
It waits for the result of each call; in a training on a GPU for that of every tenth, as training
loops wait only when they log. A contender is `modest` or a mode of the PyTorch networks in
`twin.py`. The jobs:

train   forward pass, BCE + 2 RMSE, backward pass, SGD with momentum and L2
infer   probabilities of both heads, for pairs of pictures
video   `infer` where all pairs have the same background: modest encodes it once, as
        `modest/inference/predict.py` does; PyTorch encodes it in each call
peak    a large matrix product and a convolution; writes their GFLOP/s and ends

The inputs are on the device before a job begins, and the results stay there. PyTorch gets floats;
modest gets uint8 pictures, and makes floats of them.
"""

import json
import resource
import sys
import time
from collections.abc import Callable
from typing import Any

from benchmarks.jobs.modest_jobs import Call, modest_job
from modest.backend import platforms

RATE, MOMENTUM, L2 = 0.1, 0.9, 1e-8
ROUND_SECONDS = 1.0
STEPS_A_WAIT = 10  # of a training on a GPU
TORCH: dict[str, dict[str, Any]] = {  # mode: options of `torch_job`
    "torch": {},
    "torch channels_last": {"channels_last": True},
    "torch compile": {"compiled": True},
    "torch compile channels_last": {"channels_last": True, "compiled": True},
}
TORCH_ON_GPU = {f"{mode} amp": options | {"amp": True} for mode, options in TORCH.items()}
MODEST: dict[str, dict[str, Any]] = {"modest": {}}  # mode: options of `modest_job`
MODEST_BY_XLA = {"modest xla": {"MODEST_KERNELS": "xla"}}  # environment of a mode of modest
STEPS = 8  # in one call, in the mode of that name
MODEST_ON_GPU = {
    "modest bfloat16": {"precision": "bfloat16"},
    "modest bfloat16 padded": {"precision": "bfloat16", "channels": 8},
    f"modest bfloat16 {STEPS} steps": {"precision": "bfloat16", "steps": STEPS},
}

# The peak of the machine is the faster of a matrix product and a 3x3 convolution of these sizes.
LARGE = 3072  # rows and columns of the matrices
CONV_BATCH, CONV_SIZE, CHANNELS = 8, 56, 128
PRODUCT_FLOPS = 2 * LARGE**3
CONV_FLOPS = 2 * CONV_BATCH * CONV_SIZE**2 * 9 * CHANNELS**2


def torch_job(
    job: str,
    network: str,
    size: int,
    batch: int,
    channels_last: bool = False,
    compiled: bool = False,
    amp: bool = False,
) -> tuple[Call, None]:
    """Prepare a job for PyTorch, as `modest_job` does, but without counting operations.

    Args:
      job: `train`, `infer` or `video`.
      network: key of `twin.NETWORKS`.
      size: picture size in px.
      batch: number of pairs.
      channels_last: use the memory format `torch.channels_last`.
      compiled: use `torch.compile`.
      amp: use automatic mixed precision with bfloat16.
    """
    import torch

    from benchmarks.jobs import twin

    torch.manual_seed(0)
    device = _torch_device()
    layout: dict[str, Any] = {"memory_format": torch.channels_last} if channels_last else {}
    model = twin.NETWORKS[network]().to(device, **layout)
    bg, bg_fg = (torch.randn(batch, 3, size, size, device=device).to(**layout) for _ in range(2))
    mask, depth = (torch.rand(batch, 1, size, size, device=device) for _ in range(2))
    forward = torch.compile(model) if compiled else model
    precision = torch.autocast(device, torch.bfloat16, enabled=amp)
    if job != "train":
        model.eval()

        def infer():
            with torch.inference_mode(), precision:
                return {head: torch.sigmoid(x) for head, x in forward(bg, bg_fg).items()}

        return infer, None
    optimizer = torch.optim.SGD(model.parameters(), lr=RATE, momentum=MOMENTUM, weight_decay=L2)

    def train():
        optimizer.zero_grad(set_to_none=True)
        with precision:
            value = twin.loss(forward(bg, bg_fg), mask, depth)
        value.backward()
        optimizer.step()

    return train, None


def _torch_device():
    import torch

    if torch.cuda.is_available():
        return "cuda"
    if platforms.expects_gpu():
        raise RuntimeError(f"PyTorch {torch.__version__} finds no GPU, but JAX expects one")
    return "cpu"


def _wait_for_torch(result: Any) -> None:
    import torch

    if torch.cuda.is_available():
        torch.cuda.synchronize()


def _wait_for_jax(result: Any) -> None:
    import jax

    jax.block_until_ready(result)


def peak(framework: str) -> dict[str, float]:
    """Measure a matrix product, and a 3x3 convolution of 128 channels at 56 px with batch 8.

    Args:
      framework: `modest`, for XLA, or `torch`.

    Returns:
      GFLOP/s, `{"product", "convolution"}`.
    """
    wait = _wait_for_jax if framework == "modest" else _wait_for_torch
    product, convolution = _xla_peak_calls() if framework == "modest" else _torch_peak_calls()
    return {
        "product": PRODUCT_FLOPS / seconds_of(product, wait) / 1e9,
        "convolution": CONV_FLOPS / seconds_of(convolution, wait) / 1e9,
    }


def _xla_peak_calls():
    from modest.run import runtime

    runtime.prepare()
    import jax
    import jax.numpy as jnp

    @jax.jit
    def conv(x, kernel):
        layout = ("NHWC", "HWIO", "NHWC")
        return jax.lax.conv_general_dilated(x, kernel, (1, 1), "SAME", dimension_numbers=layout)

    matmul = jax.jit(jnp.matmul)
    square = jnp.ones((LARGE, LARGE))
    x = jnp.ones((CONV_BATCH, CONV_SIZE, CONV_SIZE, CHANNELS))
    kernel = jnp.ones((3, 3, CHANNELS, CHANNELS))

    return lambda: matmul(square, square), lambda: conv(x, kernel)


def _torch_peak_calls():
    import torch

    device = _torch_device()
    square = torch.ones(LARGE, LARGE, device=device)
    x = torch.ones(CONV_BATCH, CHANNELS, CONV_SIZE, CONV_SIZE, device=device)
    x = x.to(memory_format=torch.channels_last)
    kernel = torch.ones(CHANNELS, CHANNELS, 3, 3, device=device)

    return lambda: square @ square, lambda: torch.nn.functional.conv2d(x, kernel, padding=1)


def seconds_of(call: Call, wait: Callable[[Any], None]) -> float:
    """Call once to warm up; then return what `one_round` returns."""
    wait(call())
    return one_round(call, wait)


def one_round(call: Call, wait: Callable[[Any], None], calls_a_wait: int = 1) -> float:
    """Return the median seconds of a call, over as many calls as take about `ROUND_SECONDS`.

    Args:
      call: may return before its result is there.
      wait: waits for the result of a call, and of those before.
      calls_a_wait: number of calls between two waits.
    """
    times: list[float] = []
    while not times or sum(times) * calls_a_wait < ROUND_SECONDS:
        began = time.perf_counter()
        for _ in range(calls_a_wait):
            result = call()
        wait(result)
        times.append((time.perf_counter() - began) / calls_a_wait)
    return sorted(times)[len(times) // 2]


def _peak_memory(in_torch):
    """Return the largest number of bytes in use: of the GPU, or else of the process."""
    if in_torch:
        import torch

        if torch.cuda.is_available():
            return torch.cuda.max_memory_allocated()
    else:
        import jax

        statistics = jax.local_devices()[0].memory_stats()  # None on a CPU
        if statistics:
            return statistics["peak_bytes_in_use"]
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024


def _write_line(**values: Any) -> None:
    print(json.dumps(values), flush=True)


def main(argv: list[str] | None = None) -> None:
    """Run the command; see the module."""
    argv = sys.argv[1:] if argv is None else argv
    if "--help" in argv or "-h" in argv:
        print(__doc__)
        return
    contender, job, *case = argv
    if job == "peak":
        _write_line(**peak(contender))
        return
    network, size, batch = case[0], int(case[1]), int(case[2])
    began = time.perf_counter()
    call: Call
    flops: float | None
    steps = 1
    torch_modes = TORCH | TORCH_ON_GPU
    if contender in torch_modes:
        call, flops = torch_job(job, network, size, batch, **torch_modes[contender])
        wait = _wait_for_torch
    else:
        options = (MODEST | MODEST_ON_GPU).get(contender, {})
        steps = options.get("steps", 1)
        call, flops = modest_job(job, network, size, batch, **options)
        wait = _wait_for_jax
    wait(call())
    _write_line(ready=time.perf_counter() - began, flops=flops)
    wait(call())
    calls_a_wait = STEPS_A_WAIT if job == "train" and platforms.expects_gpu() else 1
    for _ in sys.stdin:
        seconds = one_round(call, wait, calls_a_wait) / steps
        _write_line(seconds=seconds, memory=_peak_memory(contender in torch_modes))


if __name__ == "__main__":
    main()
