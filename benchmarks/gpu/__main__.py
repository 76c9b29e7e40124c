"""Measure everything that is worth measuring on a GPU, in a given time.

    python -m benchmarks.gpu [--minutes 12] [--parts tests,start,...] [--out runs/gpu] [--dry]

The parts are described in `parts.py`. They run in their order, each command in a process with its
own limit, until the time is over. `gpu.json` is written after every result; at the end, `gpu.md`
has the tables and `gpu.png` the figure. What an earlier call has measured on the same machine is
kept, unless it is measured again. The exit status is 1 if a part failed.
"""

import argparse
import functools
import json
import os
import pathlib
import sys
import time
from collections.abc import Callable
from typing import Any

from benchmarks.gpu import report
from benchmarks.gpu.jobs import Failed, Jobs, LeftOut
from benchmarks.gpu.parts import PARTS
from modest.backend import platforms
from modest.run import files


def measure(
    name: str, jobs: Jobs, dry: bool, save: Callable[[], None], parts: dict[str, Any]
) -> None:
    """Do one part; put it into `parts`, and save after each of its rows.

    What an earlier call has measured stays there until the part has a row, or has failed.
    """
    began = time.monotonic()
    found: dict[str, Any] = {"status": "begun", "rows": [], "seconds": 0.0}
    try:
        for row in PARTS[name](jobs, dry):
            found["rows"].append(row)
            found["seconds"] = round(time.monotonic() - began, 1)
            parts[name] = found
            print(f"{name}: {json.dumps(row)}"[:400], flush=True)
            save()
        failed = [row["error"] for row in found["rows"] if "error" in row]
        found["status"] = f"failed: {failed[0]}" if failed else "done"
    except LeftOut:
        found["status"] = "cut short, no time was left" if found["rows"] else "left out"
    except Failed as error:
        found["status"] = f"failed: {error}"
    except Exception as error:  # the other parts are to be measured all the same
        found["status"] = f"failed: {type(error).__name__}: {error}"
    found["seconds"] = round(time.monotonic() - began, 1)
    print(f"{name}: {found['status']}, {found['seconds']:.0f} s", flush=True)
    if found["status"] != "left out" or name not in parts:
        parts[name] = found
    save()


def main() -> int:
    """Run the command; see the module."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.gpu", description=__doc__.partition("\n")[0]
    )
    parser.add_argument("--minutes", type=float, default=12)
    parser.add_argument("--parts", default=",".join(PARTS), help="default: %(default)s")
    parser.add_argument("--out", type=pathlib.Path, default=pathlib.Path("runs/gpu"))
    help_ = "tiny sizes, to see that everything works; also without a GPU"
    parser.add_argument("--dry", action="store_true", help=help_)
    arguments = parser.parse_args()
    names = arguments.parts.split(",")
    if unknown := set(names) - set(PARTS):
        parser.error(f"--parts: {', '.join(sorted(unknown))}: not one of {', '.join(PARTS)}")
    if not (arguments.dry or platforms.expects_gpu()):
        parser.error("JAX will find no NVIDIA GPU here; --dry runs without one")
    os.environ.setdefault("CUDA_VISIBLE_DEVICES", "0")  # a table of one GPU
    out = arguments.out.resolve()
    out.mkdir(parents=True, exist_ok=True)
    file, machine = out / "gpu.json", report.machine(arguments.dry)
    results: dict[str, Any] = json.loads(file.read_text()) if file.exists() else {}
    if results.get("machine") != machine:
        results = {"machine": machine, "parts": {}}
    save = functools.partial(files.write_json, file, results)
    jobs = Jobs(out, arguments.minutes)
    for name in names:
        measure(name, jobs, arguments.dry, save, results["parts"])
    text = report.tables(results)
    (out / "gpu.md").write_text(text)
    report.draw(results, out / "gpu.png")
    print(f"\n{text}\nwritten: {out}/gpu.json, gpu.md, gpu.png, log.txt")
    return int(any(part["status"].startswith("failed") for part in results["parts"].values()))


if __name__ == "__main__":
    sys.exit(main())
