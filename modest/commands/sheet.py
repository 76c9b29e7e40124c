"""`python -m modest sheet`: a contact sheet of the drawn data sets, or of the augmentation.

The tiles of `--kind rooms` and `world` are drawn from the seed, and so are the pictures that
`--kind augmentation` changes. The suffix of `--out` names the format.
"""

import pathlib

from modest.commands import process
from modest.errors import InputError

KINDS = ("rooms", "people", "composites", "world", "augmentation")


def main(argv: list[str]) -> None:
    """Write the sheet.

    Raises:
      InputError: an option is out of range, or the file cannot be written.
    """
    parser = process.parser("sheet", __doc__)
    parser.add_argument("--out", required=True, type=pathlib.Path, help="file, such as sheet.png")
    parser.add_argument("--kind", choices=KINDS, default="composites")
    parser.add_argument(
        "--seed", type=int, default=0, help="seed of the data set, and of the draws"
    )
    parser.add_argument("--count", type=int, default=24, help="number of tiles, 1 to 100")
    parser.add_argument("--size", type=int, default=128, help="augmentation: picture size in px")
    parser.add_argument("--draws", type=int, default=3, help="augmentation: draws per operation")
    options = parser.parse_args(argv)
    if not 1 <= options.count <= 100:
        raise InputError(f"--count={options.count}: must be from 1 to 100")
    for name, least in {"seed": 0, "size": 16, "draws": 1}.items():
        if getattr(options, name) < least:
            raise InputError(f"--{name}={getattr(options, name)}: must be at least {least}")
    sheet = _draw(options)
    try:
        sheet.save(options.out, optimize=True)
    except (OSError, ValueError) as error:  # ValueError: the suffix names no format
        raise InputError(f"--out={options.out}: cannot be written ({error})") from None


def _draw(options):
    if options.kind == "augmentation":
        from modest.data.synthetic import augmentation_sheet

        return augmentation_sheet.sheet(options.seed, options.size, options.draws)
    if options.kind == "world":
        from modest.data.world import dataset as world

        return world.sheet(world.World(seed=options.seed), options.count, columns=12)
    from modest.data.synthetic import dataset

    return dataset.sheet(dataset.SyntheticMuseum(seed=options.seed), options.kind, options.count)
