"""`python -m modest prepare`: prepare a data set, and print its splits.

For every split it prints the number of composites, the size, the mean share of foreground, the
number of empty masks, and three shares: of composites whose background, whose figure, and whose
pair of background and figure also occurs in training.
"""

import argparse

from modest.commands import process
from modest.constants import DATASETS, MASKS, SPLITTINGS, UNASSIGNED
from modest.errors import InputError


def main(argv: list[str]) -> None:
    """Prepare the data set and print the table.

    Raises:
      InputError: the data set cannot be prepared.
    """
    options = _parser().parse_args(argv)
    process.set_max_pixels(options.max_pixels)
    if options.beam_options and not options.beam_runner:
        raise InputError(f"{' '.join(options.beam_options)}: options of Beam need --beam_runner")
    from modest.data import modest_layout, picture_files
    from modest.data.museum import preparation

    builder = preparation.prepare(
        options.name,
        options.dir,
        options.prepared_dir,
        splits=options.splits,
        max_bad_fraction=options.max_bad_fraction,
        beam_runner=options.beam_runner,
        beam_options=options.beam_options,
        masks=options.masks,
        unknown_depth=options.unknown_depth,
    )
    _print(builder)
    if options.name == "folder":
        files = modest_layout.open_files(options.dir)
        names = modest_layout.unlisted(files, modest_layout.entries(files)[0])
        if names:
            print(picture_files.summary(f"{modest_layout.FILE_MAP}: does not list", names))


def _print(builder):
    """Print what a prepared data set contains, and what its splits share with training."""
    import numpy as np

    from modest.data import splits

    metadata = builder.info.metadata
    print(builder.data_dir)
    print(f"content {metadata['sha256']}, {metadata['rejected']} composites left out")
    pairs = {split: [tuple(pair) for pair in found] for split, found in metadata["pairs"].items()}
    masks = metadata.get("masks", {})  # an embedded data set of an earlier version has none
    print(f"masks: foreground is {metadata.get('masks_read_as', 'brighter than 127')}")
    counts = np.sum(list(masks.values()), axis=0)
    if masks and counts[3] > counts[0] / 2:
        print(f"masks: {counts[3] / counts[0]:.1%} is foreground; are they inverted?")
    if metadata.get("unknown_depth") is not None:
        level, share = metadata["unknown_depth"], metadata["unknown_share"]
        print(f"depth: {share:.1%} of the pixels are unknown (grey level {level})")
    title = f"{'split':24}{'composites':>12}{'MiB':>10}{'foreground':>12}{'empty':>8}"
    print(f"{title}   also in train:{'background':>12}{'figure':>10}{'pair':>10}")
    for split, info in builder.info.splits.items():
        line = f"{split:24}{info.num_examples:12}{info.num_bytes / 2**20:10.1f}"
        if split in masks:
            count, empty, _, foreground = masks[split]
            line += f"{foreground / count:12.1%}{empty:8}"
        if split in pairs and split != "train":
            background, figure, pair = splits.shared(pairs.get("train", []), pairs[split])
            line += f"{' ' * 17}{background:12.1%}{figure:10.1%}{pair:10.1%}"
        print(line)
    if UNASSIGNED in pairs:
        print(f"{UNASSIGNED}: neither trained nor validated on; eval.splits=all evaluates it too")


def _parser():
    parser = argparse.ArgumentParser(
        prog="python -m modest prepare", description=__doc__.splitlines()[0], allow_abbrev=False
    )
    add = parser.add_argument
    add("--name", default="procedural", choices=DATASETS, help="data set (default: procedural)")
    add("--dir", default="", help="folder: directory or zip to prepare; museum: where its zip is")
    add("--prepared_dir", default="", help="where to keep the result (default: $TFDS_DATA_DIR)")
    add("--splits", default="identity", choices=SPLITTINGS, help="folder and museum: how to split")
    help_ = "folder and museum: grey if all that is brighter than 127 is foreground, even nothing"
    add("--masks", default="auto", choices=MASKS, help=help_)
    help_ = "folder and museum: grey level of unknown depth, not in JPEG (default: 0; -1: none)"
    add("--unknown_depth", type=int, default=0, help=help_)
    names = "--max_bad_fraction", "--max-bad-fraction"
    help_ = "folder and museum: largest share of unusable composites to leave out (default: 0)"
    add(*names, type=float, default=0.0, help=help_)
    process.add_max_pixels(parser)
    add("--beam_runner", help="write the data set with this runner of Apache Beam")
    add("beam_options", nargs="*", help="after --: options of Beam")
    return parser
