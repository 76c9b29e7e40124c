"""What of `python -m benchmarks.gpu` needs no device. `.ci/run` runs all of it, with --dry."""

import json
import re
import sys
import time

import jax
import pytest

from benchmarks.gpu import __main__ as script
from benchmarks.gpu import jobs, parts, program, report, trace
from benchmarks.gpu.trace import Kernel
from benchmarks.jobs import contenders, processes

LIMIT = 5  # s, of a command that begins and then sleeps; enough to begin on a busy machine


def test_kernels_are_told_apart():
    names = {
        "sm90_xmma_fprop_implicit_gemm_bf16bf16_bf16f32_nhwckrsc_nhwc": "convolution",
        "__cudnn$convBackwardFilter": "convolution",
        "void cudnn::ops::nchwToNhwcKernel<float>": "layout, by cuDNN",
        "loop_convert_fusion_3": "elementwise",
        "input_reduce_fusion_51": "reduction (BatchNorm, losses)",
        "input_transpose_fusion": "copy, layout",
        "nvjet_hsh_192x192_64x3_2x1_v_bz_coopB_NTN": "matrix product",
        "nvjet_sm90_hss_320x128": "matrix product",
        "ncclDevKernel_AllReduce_Sum_f32_RING_LL": "communication",
        "MemcpyH2D": "copy between host and device",
        "mystery": "other",
    }
    assert {name: trace.kind_of(Kernel(name, "", 0, 1)) for name in names} == names
    assert trace.kind_of(Kernel("mystery", "loop_add_fusion", 0, 1)) == "elementwise"
    with_bias = Kernel("nvjet_sm90_hss_320x128_badd", "cublas-gemm.3", 0, 1)
    assert trace.kind_of(with_bias) == "matrix product"


def test_overlapping_kernels_are_busy_once():
    found = [  # name, operation, start and duration in ns
        Kernel("copy", "", 2_000_000, 1_000_000),
        Kernel("loop_add_fusion_1", "", 0, 2_000_000),
        Kernel("loop_add_fusion_2", "", 1_000_000, 1_000_000),
        Kernel("copy", "", 9_000_000, 1_000_000),
    ]
    summary = trace.summarise(found)
    assert summary["span_ms"] == 10 and summary["busy_ms"] == 4
    assert summary["kinds"]["elementwise"] == {"ms": 3, "count": 2}
    assert summary["longest"]["loop_add_fusion"] == {"ms": 3, "count": 2}
    assert trace.summarise([]) == {"kernels": 0}


# Python 3.13 warns of a type of jaxlib, which ends the process if the warning is an error.
@pytest.mark.filterwarnings("ignore:builtin type:DeprecationWarning")
def test_trace_of_this_jax_is_read(tmp_path):
    @jax.jit
    def work(x):
        return (x @ x).sum()

    x = jax.numpy.ones((256, 256))
    work(x).block_until_ready()
    with jax.profiler.trace(str(tmp_path)):
        work(x).block_until_ready()
    assert trace.summarise(trace.kernels(tmp_path))["busy_ms"] > 0
    with pytest.raises(FileNotFoundError, match="no trace"):
        trace.kernels(tmp_path / "empty")


def test_bytes_of_a_program_are_those_of_its_kernels():
    text = """
HloModule step

%fused (a: f32[4]) -> f32[4] {
  %fusion.9 = f32[999]{0} fusion(%a), kind=kLoop
}

ENTRY %main (x: bf16[2,8], k: f32[4]) -> f32[4] {
  %x = bf16[2,8]{1,0} parameter(0)
  %conv.1 = (bf16[2,16]{1,0}, u8[5]{0}) custom-call(%x, %x), custom_call_target="__cudnn$conv"
  %loop_add_fusion = f32[4]{0} fusion(%k, %x), kind=kLoop, calls=%fused
  ROOT %copy.1 = pred[7]{0} copy(%loop_add_fusion), metadata={}
}
"""
    assert list(program.kernels(text)) == [
        ("convolution", 2 * 32 + 64 + 5),
        ("elementwise", 16 + 32),
        ("copy, layout", 7 + 16),
    ]


def test_command_is_ended_at_its_limit_and_the_next_is_left_out(tmp_path, monkeypatch):
    monkeypatch.setattr(jobs, "LEAST_SECONDS", 0.5)
    running = jobs.Jobs(tmp_path, minutes=1)
    began = time.monotonic()
    command = ["-c", "import time; print('begun', flush=True); time.sleep(60)"]
    with pytest.raises(jobs.Failed, match=re.escape("ended at its limit of 5 s | begun")):
        running.run(command, LIMIT)
    assert time.monotonic() - began < 20 and running.last_output == "begun\n"
    with pytest.raises(jobs.Failed, match=re.escape("status 3 | reason")):
        running.run(["-c", "print('reason'); raise SystemExit(3)"], 60)
    assert (tmp_path / "log.txt").read_text().count("$ python") == 2
    with pytest.raises(jobs.LeftOut):
        jobs.Jobs(tmp_path, minutes=0).run(["-c", ""], 60)


def test_processes_of_a_command_end_with_it(tmp_path):
    """Also one in a session of its own."""
    code = """
import subprocess, sys, time
child = subprocess.Popen(["sleep", "60"], start_new_session=True)
print(child.pid, flush=True)
time.sleep(60)
"""
    running = jobs.Jobs(tmp_path, minutes=1)
    with pytest.raises(jobs.Failed):
        running.run(["-c", code], LIMIT)
    assert not processes.in_session(int(running.last_output))


def test_case_that_fails_does_not_end_its_part(tmp_path, monkeypatch):
    def fail(self, command, limit, **environment):
        raise jobs.Failed("out of memory")

    monkeypatch.setattr(jobs.Jobs, "run", fail)
    rows = list(parts.PARTS["speed"](jobs.Jobs(tmp_path, minutes=1), False))
    assert len(rows) == len(parts.SPEED)
    assert {row["error"] for row in rows} == {"out of memory"}


def test_limit_of_a_case_is_that_of_its_part(tmp_path, monkeypatch):
    limits = []

    def fail(self, command, limit, **environment):
        limits.append(limit)
        raise jobs.Failed("out of memory")

    monkeypatch.setattr(jobs.Jobs, "run", fail)
    monkeypatch.setattr(parts, "LIMITS", {"speed": 1, "grid": 2})
    for name in ("speed", "grid"):
        list(parts.PARTS[name](jobs.Jobs(tmp_path, minutes=1), True))
    assert limits == [1, 2]


def test_line_after_a_result_is_not_the_result(tmp_path, monkeypatch):
    output = 'kills: 3\n{"kernels": 1, "busy_ms": 30, "kinds": {}}\nE0000 a library ends\n'
    monkeypatch.setattr(jobs.Jobs, "run", lambda *_, **__: output)
    monkeypatch.setattr(parts, "_seconds_of_a_step", lambda *_: 0.010)
    running = jobs.Jobs(tmp_path, minutes=1)
    assert list(parts.resume(running, True)) == [{"result": "kills: 3"}]
    (row,) = parts.profile(running, True)
    assert row["idle"] == pytest.approx(1 - 30 / row["steps"] / 10)


def test_profile_without_kernels_does_not_end_its_part(tmp_path, monkeypatch):
    monkeypatch.setattr(jobs.Jobs, "run", lambda *_, **__: '{"kernels": 0}\n')
    rows = list(parts.profile(jobs.Jobs(tmp_path, minutes=1), False))
    assert [row["error"] for row in rows] == ["the profile has no kernels"] * 2


@pytest.fixture
def call(tmp_path, monkeypatch):
    """Return a function that calls the script with options, and returns its status."""
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "0")  # the script would set it for good

    def main(*options):
        monkeypatch.setattr(sys, "argv", ["gpu", "--dry", f"--out={tmp_path}", *options])
        return script.main()

    return main


def test_results_are_saved_after_every_row_and_parts_are_merged(
    tmp_path, monkeypatch, capsys, call
):
    saved = []

    def rows(jobs, dry):
        for number in (1, 2):
            yield {"number": number}
            saved.append(json.loads((tmp_path / "gpu.json").read_text())["parts"]["rows"])

    def broken(jobs, dry):
        yield {"kept": 1}
        raise jobs_failed

    jobs_failed = jobs.Failed("status 1")
    monkeypatch.setattr(script, "PARTS", {"rows": rows, "broken": broken})
    assert call("--parts=rows") == 0
    assert call("--parts=broken") == 1
    assert [len(part["rows"]) for part in saved] == [1, 2]
    results = json.loads((tmp_path / "gpu.json").read_text())
    assert results["parts"]["rows"]["status"] == "done"
    assert results["parts"]["broken"]["status"] == "failed: status 1"
    assert results["parts"]["broken"]["rows"] == [{"kept": 1}]
    text = (tmp_path / "gpu.md").read_text()
    assert "| rows | done |" in text and "| kept |" in text
    assert (tmp_path / "gpu.png").exists()


def test_call_after_one_that_was_killed_reports_what_both_have_measured(
    tmp_path, monkeypatch, capsys, call
):
    def killed(jobs, dry):
        yield {"number": 1}
        raise KeyboardInterrupt

    def other(jobs, dry):
        yield {"number": 2}

    monkeypatch.setattr(script, "PARTS", {"killed": killed, "other": other})
    with pytest.raises(KeyboardInterrupt):
        call("--parts=killed")
    assert call("--parts=other") == 0
    text = (tmp_path / "gpu.md").read_text()
    assert "| killed | begun |" in text and "| other | done |" in text
    assert (tmp_path / "gpu.png").exists()


def test_part_that_is_left_out_keeps_the_rows_of_an_earlier_call(
    tmp_path, monkeypatch, capsys, call
):
    def part(jobs, dry):
        jobs.run(["-c", ""], limit=60)
        yield {"number": 1}

    monkeypatch.setattr(script, "PARTS", {"part": part})
    assert call() == 0
    assert call("--minutes=0") == 0
    assert json.loads((tmp_path / "gpu.json").read_text())["parts"]["part"]["rows"]
    call("--minutes=0", f"--out={tmp_path / 'new'}")
    parts = json.loads((tmp_path / "new/gpu.json").read_text())["parts"]
    assert parts["part"]["status"] == "left out"


def test_without_a_gpu_only_a_dry_run_is_possible(monkeypatch, capsys):
    monkeypatch.setattr(sys, "argv", ["gpu"])
    with pytest.raises(SystemExit) as exit_:
        script.main()
    assert exit_.value.code == 2 and "no NVIDIA GPU" in capsys.readouterr().err


def test_contenders_and_flags_of_the_script_exist():
    known = {*contenders.MODEST, *contenders.MODEST_ON_GPU}
    known |= {*contenders.TORCH, *contenders.TORCH_ON_GPU}
    for cases in (parts.SPEED, parts.GRID, parts.DRY_SPEED, parts.DRY_GRID):
        assert {name for names in cases.values() for name in names} <= known
    assert set(parts.LIMITS) == set(parts.PARTS)


def test_report_shows_kernels_per_step():
    row = {"config": "depthnet", "steps": 2, "kinds": {"other": {"ms": 3.0, "count": 10}}}
    part = {"status": "done", "seconds": 1.0, "rows": [row]}
    text = report.tables({"machine": "a card", "parts": {"profile": part}})
    assert "| other | 1.500 | 5 |" in text
