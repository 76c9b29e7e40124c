"""`python -m modest`: the list of tools, and help that imports nothing heavy."""

import subprocess
import sys

import pytest

from modest.__main__ import TOOLS, main
from modest.commands import process, sheet
from repository import ROOT

HEAVY = ("jax", "numpy", "PIL", "scipy", "matplotlib", "tensorflow_datasets")


def test_tools_are_listed(capsys):
    assert main([]) == 0
    out = capsys.readouterr().out
    assert all(f"  {tool} " in out for tool in TOOLS)


def test_unknown_tool_lists_the_known_ones(capsys):
    assert main(["trian"]) == 2
    assert capsys.readouterr().err == f"error: no tool 'trian'; the tools are {', '.join(TOOLS)}\n"


@pytest.mark.parametrize("tool", TOOLS)
def test_help_imports_nothing_heavy(tool):
    program = (
        "import sys\n"
        "from modest.__main__ import main\n"
        "try:\n"
        "    main([sys.argv[1], '--help'])\n"
        "except SystemExit as done:\n"
        "    assert done.code == 0\n"
        f"print([name for name in {HEAVY} if name in sys.modules])\n"
    )
    command = [sys.executable, "-c", program, tool]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    usage, *_, imported = done.stdout.splitlines()
    assert usage.startswith(f"usage: python -m modest {tool}") and imported == "[]"


def test_arguments_reach_the_tool(tmp_path, capsys):
    assert main(["report", "--workdir", str(tmp_path / "gone")]) == 2
    assert "gone: no such directory" in capsys.readouterr().err


@pytest.mark.parametrize("option", ["--seed=-1", "--size=0", "--draws=0", "--count=0"])
def test_sheet_out_of_range_is_one_line(option, tmp_path, capsys):
    arguments = [f"--out={tmp_path / 'sheet.png'}", "--kind=augmentation", option]
    assert process.run(sheet.main, arguments) == 2
    assert f"error: {option}: must be " in capsys.readouterr().err
