"""One contender of `benchmarks/speed.py`, in a process of its own, so that no framework's threads are in another's way.

    python -m benchmarks.contenders CONTENDER JOB NETWORK SIZE BATCH

Gets ready, writes a line of JSON with the seconds that it took, and then for every line on its standard input works for about a
second and writes the seconds of one call. A contender is `modest` or a mode of the PyTorch twin. Jobs:

train   forward pass, BCE + 2 RMSE, backward pass, SGD with momentum and L2
infer   the sigmoid of the heads' logits, of pairs of pictures
video   the same where all pairs have one background: ours works on that once, as `modest/predict.py` does, the twin each time

Data are in memory before, the twin's on the device; ours are uint8, the twin's are floats already.
"""

import json
import resource
import sys
import time

RATE, MOMENTUM, L2 = 0.1, 0.9, 1e-8
ROUND_SECONDS = 1.0
TORCH = {  # mode: options of `torch_job`
    "torch": {},
    "torch channels_last": {"channels_last": True},
    "torch compile": {"compiled": True},
    "torch compile channels_last": {"channels_last": True, "compiled": True},
}
TORCH_ON_GPU = {f"{mode} amp": options | {"amp": True} for mode, options in TORCH.items()}
MODEST = {"modest": {}}
MODEST_ON_GPU = {"modest bfloat16": {"precision": "bfloat16"}}
LARGE, CHANNELS = 3072, 128  # the matrix product and the convolution that stand for what the machine can do


def modest_job(job, network, size, batch, precision="float32"):
    """A call that does the job once and waits for it, and what JAX counts as its forward pass's floating point operations."""
    from modest import runtime

    runtime.prepare()
    import jax
    import numpy as np
    from ml_collections import ConfigDict

    from configs import depthnet, masknet
    from modest import parallel, state
    from modest import step as steps
    from modest.models import convolution
    from modest.predict import functions
    from modest.preprocess import to_float

    config = ConfigDict({"depthnet": depthnet, "masknet": masknet}[network].get_config())
    rng = np.random.default_rng(0)
    pictures = {kind: rng.integers(0, 256, (batch, size, size, 3), np.uint8) for kind in ("bg", "bg_fg")}
    targets = {kind: rng.integers(0, 256, (batch, size, size, 1), np.uint8) for kind in ("mask", "depth")}
    init, model, optimizer, learning_rate = state.create(config, 1, 1)
    start = init()

    def infer(state_, pictures):
        outputs, _ = state.forward(model, state_, state_.params, to_float(pictures), train=False)
        return jax.tree.map(jax.nn.sigmoid, outputs)

    with convolution.by_library():  # the usual count; a function of its own, so that what is traced here is not used below
        flops = jax.jit(lambda *arguments: infer(*arguments)).lower(start, pictures).cost_analysis()["flops"]
    if job != "train":
        encode, forward = functions(model, {"params": start.params, "batch_stats": start.batch_stats}, start.statistics)
        bg_map = encode(pictures["bg"][:1])
        call = {
            "infer": lambda: forward(encode(pictures["bg"]), pictures["bg_fg"]),
            "video": lambda: forward(bg_map, pictures["bg_fg"]),
        }[job]
        return call, flops
    config.augment.flip = config.augment.hue_saturation_value.probability = config.augment.brightness_contrast.probability = 0.0
    config.precision = precision
    step = parallel.parallel(steps.create(config, model, optimizer, learning_rate), donate_state=True)
    states = [parallel.replicate(start)]
    (examples,) = parallel.prefetch([pictures | targets | {"valid": np.ones(batch, bool)}])

    def call():
        states[0], values = step(states[0], examples)
        jax.block_until_ready((states[0], values))

    return call, 3 * flops


def torch_job(job, network, size, batch, channels_last=False, compiled=False, amp=False):
    """The same of the PyTorch twin; it does not count operations."""
    import torch

    from benchmarks import twin

    torch.manual_seed(0)
    device = "cuda" if torch.cuda.is_available() else "cpu"
    layout = {"memory_format": torch.channels_last} if channels_last else {}
    model = twin.NETWORKS[network]().to(device, **layout)
    bg, bg_fg = (torch.randn(batch, 3, size, size, device=device).to(**layout) for _ in range(2))
    mask, depth = (torch.rand(batch, 1, size, size, device=device) for _ in range(2))
    forward = torch.compile(model) if compiled else model
    precision = torch.autocast(device, torch.bfloat16, enabled=amp)
    finish = torch.cuda.synchronize if device == "cuda" else lambda: None
    if job != "train":
        model.eval()

        def call():
            with torch.inference_mode(), precision:
                outputs = {head: torch.sigmoid(x) for head, x in forward(bg, bg_fg).items()}
            finish()
            return outputs

        return call, None
    optimizer = torch.optim.SGD(model.parameters(), lr=RATE, momentum=MOMENTUM, weight_decay=L2)

    def call():
        optimizer.zero_grad(set_to_none=True)
        with precision:
            value = twin.loss(forward(bg, bg_fg), mask, depth)
        value.backward()
        optimizer.step()
        finish()

    return call, None


def peak(framework):
    """GFLOP/s of a large matrix product and of a 3x3 convolution of 128 channels at 56 px, batch 8."""
    product, convolution = 2 * LARGE**3, 2 * 8 * 56 * 56 * 9 * CHANNELS**2
    if framework == "modest":
        from modest import runtime

        runtime.prepare()
        import jax
        import jax.numpy as jnp

        layout = ("NHWC", "HWIO", "NHWC")
        library = lambda x, kernel: jax.lax.conv_general_dilated(x, kernel, (1, 1), "SAME", dimension_numbers=layout)
        compiled = [jax.jit(jnp.matmul), jax.jit(library)]
        arguments = [(jnp.ones((LARGE, LARGE)),) * 2, (jnp.ones((8, 56, 56, CHANNELS)), jnp.ones((3, 3, CHANNELS, CHANNELS)))]
        calls = [lambda f=f, a=a: jax.block_until_ready(f(*a)) for f, a in zip(compiled, arguments)]
    else:
        import torch

        device = "cuda" if torch.cuda.is_available() else "cpu"
        finish = torch.cuda.synchronize if device == "cuda" else lambda: None
        square, x = torch.ones(LARGE, LARGE, device=device), torch.ones(8, CHANNELS, 56, 56, device=device)
        x, kernel = x.to(memory_format=torch.channels_last), torch.ones(CHANNELS, CHANNELS, 3, 3, device=device)
        calls = [lambda: (square @ square, finish()), lambda: (torch.nn.functional.conv2d(x, kernel, padding=1), finish())]
    kinds = zip(("product", "convolution"), (product, convolution), calls)
    return {name: flops / seconds(call) / 1e9 for name, flops, call in kinds}


def seconds(call):
    """`one_round`, after a call that does not count."""
    call()
    return one_round(call)


def one_round(call):
    """The median seconds of a call, over as many as take about `ROUND_SECONDS`."""
    times = []
    while not times or sum(times) < ROUND_SECONDS:
        start = time.perf_counter()
        call()
        times.append(time.perf_counter() - start)
    return sorted(times)[len(times) // 2]


def main(argv=None):
    """The command; see the module."""
    contender, job, *case = sys.argv[1:] if argv is None else argv
    say = lambda **values: print(json.dumps(values), flush=True)
    if job == "peak":
        return say(**peak(contender))
    network, size, batch = case[0], int(case[1]), int(case[2])
    ours, options = contender in MODEST | MODEST_ON_GPU, (MODEST | MODEST_ON_GPU | TORCH | TORCH_ON_GPU)[contender]
    start = time.perf_counter()
    call, flops = (modest_job if ours else torch_job)(job, network, size, batch, **options)
    call()
    say(ready=time.perf_counter() - start, flops=flops)
    call()
    for _ in sys.stdin:
        say(seconds=one_round(call), memory=resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024)


if __name__ == "__main__":
    main()
