"""The parts of `python -m benchmarks.gpu`, in order of worth.

tests    the tests marked `gpu`, on the GPU: the original's numbers in float64, bfloat16, a run that
         was stopped and resumed
start    seconds to the first step of the default training, with an empty and with a filled cache
speed    training and inference against PyTorch; also with padded channels, and several steps a call
profile  kernels of the default training by kind, and the share of the time in which none runs
flags    seconds to compile a training step, and its speed, with other flags of XLA
resume   a run that is killed by SIGKILL and resumed, against an undisturbed one
grid     more sizes and batches of `speed`
run      the default training with `depthnet:gpu`, from start to end

A part yields a dict of results for every command, so that what is cut off loses nothing. A command
that fails yields its `error`, and the part goes on. `--dry` does the same with tiny sizes, also
without a GPU and, leaving its rows out, without PyTorch.
"""

import importlib.util
import json
import re
import shutil
import statistics
from collections.abc import Callable, Iterator
from typing import Any

from benchmarks.gpu.jobs import Failed, Jobs
from benchmarks.jobs import contenders, training_runs
from modest.run import configs, logbook, workdirs

Results = Iterator[dict[str, Any]]
LIMITS = {  # of one command, in seconds
    "tests": 210,
    "start": 240,
    "speed": 170,
    "profile": 150,
    "flags": 180,
    "resume": 300,
    "grid": 170,
    "run": 900,
}
BFLOAT16, PADDED, STEPS_A_CALL = contenders.MODEST_ON_GPU
AMP = ("torch channels_last amp", "torch compile channels_last amp")
SHORT = ("modest", BFLOAT16, *AMP)
SPEED = {  # (job, network, px, batch): contenders
    ("train", "depthnet", 224, 32): (*SHORT, PADDED, STEPS_A_CALL, "torch channels_last"),
    ("infer", "depthnet", 224, 1): ("modest", "torch", *AMP),
    ("train", "depthnet", 64, 32): (*SHORT, STEPS_A_CALL),
}
GRID = {
    ("train", "pairnet", 224, 32): (*SHORT, PADDED),
    ("train", "depthnet", 224, 128): SHORT,
    ("infer", "pairnet", 224, 1): ("modest", "torch", *AMP),
    ("infer", "depthnet", 224, 32): ("modest", "torch channels_last", *AMP),
    ("train", "depthnet", 64, 4): (*SHORT, STEPS_A_CALL),
}
DRY_SPEED = {("train", "masknet", 32, 2): ("modest", PADDED, STEPS_A_CALL, "torch")}
DRY_GRID = {("infer", "masknet", 32, 1): ("modest",)}
ROUNDS = 3
FLAGS = {  # name: flags that replace those of `modest.backend.xla_flags`
    "modest's flags": "",
    "only no fusion autotuner": (
        "--xla_gpu_deterministic_ops=false --xla_gpu_enable_triton_gemm=true"
    ),
    "timing of convolutions and of cuBLAS": "--xla_gpu_deterministic_ops=false",
    "no algorithm chosen": "--xla_gpu_autotune_level=0",
    "XLA's defaults": (
        "--xla_gpu_deterministic_ops=false --xla_gpu_enable_triton_gemm=true "
        "--xla_gpu_experimental_enable_fusion_autotuner=true"
    ),
}
TINY = [*training_runs.SMALL, "--config.stages=((32, 1),)"]
STEPS = (41, 60)  # of a profile: after compilation, without validation
LOG_EVERY = 20  # as often as the run with a profile logs its speed


def tests(jobs: Jobs, dry: bool) -> Results:
    """Run the tests; yield how many passed, and which failed."""
    # A warning, or a test file that lacks a package, is no reason to stop here.
    command = "-m pytest -n 0 -m gpu -v -W default --continue-on-collection-errors".split()
    error = {}
    try:
        jobs.run([*command, *(["tests/test_losses.py"] if dry else [])], LIMITS["tests"])
    except Failed as failed:
        error = {"error": str(failed)}
    pattern = r"^(tests/\S+(?: .*?)?) (PASSED|FAILED|ERROR)"
    found = re.findall(pattern, jobs.last_output, re.MULTILINE)
    failures = [name for name, result in found if result != "PASSED"]
    yield {"passed": len(found) - len(failures), "failed": failures} | error


def start(jobs: Jobs, dry: bool) -> Results:
    """Start the default training and `depthnet:gpu` with an empty and with a filled cache."""
    jobs.run(["-m", "modest", "prepare", "--name=procedural"], LIMITS["start"])
    out = jobs.out / "startup.json"
    for config in ["masknet"] if dry else ["configs/depthnet.py", "configs/depthnet.py:gpu"]:
        out.unlink(missing_ok=True)
        command = ["-m", "benchmarks.startup", "--rounds=1", f"--config={config}", f"--out={out}"]
        error = ""
        try:
            jobs.run([*command, *(["--size=32"] if dry else [])], LIMITS["start"])
        except Failed as failed:
            error = str(failed)
        for cache, times in json.loads(out.read_text()).items() if out.exists() else ():
            for row in times:
                yield {"config": config, "cache": cache} | row
        if error:
            yield {"config": config, "error": error}


def speed(jobs: Jobs, dry: bool) -> Results:
    """Measure training and inference in turn with PyTorch; yield a row for each contender."""
    yield from _cases(jobs, DRY_SPEED if dry else SPEED, LIMITS["speed"], dry)


def profile(jobs: Jobs, dry: bool) -> Results:
    """Profile the default training while it runs."""
    for config in ["masknet"] if dry else ["depthnet:gpu", "depthnet"]:
        workdir = jobs.out / f"profile_{config.replace(':', '_')}"
        shutil.rmtree(workdir, ignore_errors=True)
        first, last, every = (3, 6, 2) if dry else (*STEPS, LOG_EVERY)
        options = TINY[1:] if dry else ["--config.stages=((64, 1),)"]
        command = ["launch.py", f"--config={config}", f"--workdir={workdir}", *options]
        trace = ["-m", "benchmarks.gpu.trace", str(workdir / workdirs.PROFILE)]
        row = {"config": config, "steps": last - first + 1}
        try:
            command += [f"--config.profile=({first}, {last})", f"--config.log_every={every}"]
            jobs.run(command, LIMITS["profile"])
            found = json.loads(_last_line(jobs.run(trace, LIMITS["profile"]), "{"))
            if not found["kernels"]:
                raise Failed("the profile has no kernels")
            step_ms = 1000 * _seconds_of_a_step(workdir, last + every)
            row |= {"step_ms": step_ms, "idle": 1 - found["busy_ms"] / row["steps"] / step_ms}
            yield row | found
        except Failed as failed:
            yield row | {"error": str(failed)}


def flags(jobs: Jobs, dry: bool) -> Results:
    """Measure one training step with each set of flags, without the compilation cache."""
    case = next(iter(DRY_SPEED if dry else SPEED))
    for name, chosen in list(FLAGS.items())[: 2 if dry else None]:
        environment = {"XLA_FLAGS": chosen, "JAX_ENABLE_COMPILATION_CACHE": "false"}
        for row in _rows(jobs, case, [BFLOAT16], LIMITS["flags"], 1, **environment):
            yield {"flags": name} | row


def resume(jobs: Jobs, dry: bool) -> Results:
    """Kill a run and resume it; fails if its results differ by a bit from an undisturbed one's."""
    kills = 1 if dry else 3
    command = ["-m", "benchmarks.faults", "--only", "kills", f"--kills={kills}", "--"]
    options = ["--config.stages=((32, 2),)"] if dry else []
    output = jobs.run([*command, *options], LIMITS["resume"])
    yield {"result": _last_line(output, "kills:")}


def grid(jobs: Jobs, dry: bool) -> Results:
    """Measure more cases as `speed` does."""
    yield from _cases(jobs, DRY_GRID if dry else GRID, LIMITS["grid"], dry)


def run(jobs: Jobs, dry: bool) -> Results:
    """Train and evaluate by default; yield the results and how the time was spent."""
    workdir = jobs.out / "run"
    shutil.rmtree(workdir, ignore_errors=True)
    options = TINY if dry else ["--config=depthnet:gpu"]
    jobs.run(["launch.py", f"--workdir={workdir}", *options], LIMITS["run"])
    results = json.loads((workdir / workdirs.EVAL).read_text())
    yield {"time": logbook.time_split(logbook.read_metrics(workdir))} | results["test"]


PARTS: dict[str, Callable[[Jobs, bool], Results]] = {
    part.__name__: part for part in (tests, start, speed, profile, flags, resume, grid, run)
}


def _cases(jobs, cases, limit, dry):
    without_torch = dry and importlib.util.find_spec("torch") is None
    for case, names in cases.items():
        names = [name for name in names if not (without_torch and name.startswith("torch"))]
        yield from _rows(jobs, case, names, limit, 1 if dry else ROUNDS)


def _last_line(output, beginning):
    """Return the last line that begins so; what a library says as it ends may follow it."""
    lines = [line for line in output.splitlines() if line.startswith(beginning)]
    if not lines:
        raise Failed(f"no line of the output begins with {beginning}")
    return lines[-1]


def _seconds_of_a_step(workdir, first):
    """Return the median seconds of a step in the lines logged from step `first` on."""
    batch = json.loads((workdir / configs.FILE).read_text())["batch_size"]
    lines = logbook.read_metrics(workdir)
    return statistics.median(
        batch / line["images_per_second"]
        for line in lines
        if line["step"] >= first and "images_per_second" in line
    )


def _rows(jobs, case, names, limit, rounds, **environment):
    """Run `benchmarks.speed` on one case; yield its rows, and those that tell of a failure."""
    out = jobs.out / "speed"
    shutil.rmtree(out, ignore_errors=True)
    options = dict(zip(("jobs", "networks", "sizes", "batches"), case))
    options |= {"contenders": ",".join(names), "rounds": rounds, "out": out}
    command = ["-m", "benchmarks.speed", "--skip_peaks"]
    command += [f"--{name}={value}" for name, value in options.items()]
    about = dict(zip(("job", "network", "size", "batch"), case))
    try:
        output = jobs.run(command, limit, **environment)
    except Failed as failed:
        yield about | {"error": str(failed)}
        return
    yield from json.loads((out / "speed.json").read_text())["rows"]
    for line in output.splitlines():
        if line.startswith("left out"):
            yield about | {"error": line}
