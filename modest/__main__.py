"""One command line for all tools: `python -m modest TOOL ...`."""

import importlib
import sys

from modest.commands import process

TOOLS = {
    "train": "train the network that a config describes, or resume the training",
    "eval": "evaluate the best checkpoint of a run",
    "summary": "print the layer table of a network",
    "lr-range": "run a learning rate range test",
    "predict": "predict mask and depth for a pair of pictures, a directory, or a video",
    "prepare": "prepare a data set and print its splits",
    "compose": "make a data set from backgrounds and cut-outs",
    "sheet": "draw a contact sheet of the drawn data sets, or of the augmentation",
    "sweep": "train many variants of a config and tabulate the results",
    "report": "write a page that shows and compares runs, and draw their figures again",
    "export": "write the best weights of a run to one file",
}
MODES = ("train", "eval", "summary", "lr-range")  # the tools in the module `experiment`


def main(argv: list[str]) -> int:
    """Run the tool that the first argument names, with the other arguments; return its status."""
    if not argv or argv[0] in ("-h", "--help"):
        print(usage())
        return 0
    tool, *arguments = argv
    if tool not in TOOLS:
        print(f"error: no tool {tool!r}; the tools are {', '.join(TOOLS)}", file=sys.stderr)
        return 2
    if tool in MODES:
        from modest.commands import experiment

        return process.run(experiment.main, arguments, tool)
    return process.run(importlib.import_module(f"modest.commands.{tool}").main, arguments)


def usage() -> str:
    """Return the list of tools as text."""
    width = max(map(len, TOOLS))
    lines = [f"  {tool:{width}}  {description}" for tool, description in TOOLS.items()]
    return "\n".join(
        [
            "usage: python -m modest TOOL ...",
            "",
            *lines,
            "",
            "`python -m modest TOOL --help` describes the arguments of a tool.",
        ]
    )


if __name__ == "__main__":
    process.command(main, sys.argv[1:])
