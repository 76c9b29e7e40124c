"""`python -m modest export`: write the best weights of a run to one file.

The file is in the safetensors format. It holds the config of the run, its metrics and the identity
of its data set beside the weights. `predict --workdir FILE.safetensors` and
`train --config.init_from=FILE.safetensors` read it.
"""

import pathlib

from modest.commands import process
from modest.errors import InputError


def main(argv: list[str]) -> None:
    """Write the file and print its size.

    Raises:
      InputError: the work directory or an option cannot be used.
    """
    parser = process.parser("export", __doc__)
    parser.add_argument("--workdir", required=True, help="directory of the run, runs/pairnet")
    parser.add_argument("--out", required=True, type=pathlib.Path, help="file.safetensors to write")
    options = parser.parse_args(argv)
    from modest.run import runtime

    runtime.prepare()
    from modest.state import weights  # imports JAX
    from modest.state.restore import restore_best

    if options.out.suffix != weights.SUFFIX:
        raise InputError(f"--out={options.out}: must end in {weights.SUFFIX}")
    runtime.check_platforms()
    trained = restore_best(options.workdir)
    weights.save(options.out, trained, made_by={"metrics": _metrics(options.workdir)})
    print(f"{options.out}: {options.out.stat().st_size / 1e6:.1f} MB")


def _metrics(workdir):
    """Return `{data set: {split: metrics}}` of the evaluations in a work directory."""
    import json

    from modest.run import workdirs

    root = pathlib.Path(workdir)
    found = {}
    for path in [root / workdirs.EVAL, *sorted(root.glob(f"*/{workdirs.EVAL}"))]:
        if path.is_file():
            name = "own" if path.parent == root else path.parent.name
            try:
                found[name] = json.loads(path.read_text())
            except ValueError as error:
                raise InputError(f"{path}: damaged ({error}); evaluate again") from None
    return found
