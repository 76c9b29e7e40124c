"""Prepares a data set, and prints what each split holds and what it shares with the training pictures.

python -m modest.data.museum [--name procedural] [--dir DIR_OR_ZIP] [--splits identity] [--beam_runner NAME [-- --its_option ...]]
"""

import argparse
import sys

from modest import config as configs
from modest.data import museum, splits
from modest.vocabulary import InputError


def main(argv=None):
    """The command; gives the exit status."""
    parser = argparse.ArgumentParser(prog="python -m modest.data.museum", description=__doc__.splitlines()[0])
    parser.add_argument("--name", default="procedural", choices=configs.DATA)
    parser.add_argument(
        "--dir", default="", help="of folder: the directory or zip in the MODEST layout; of museum: the one the archive is in"
    )
    parser.add_argument("--prepared_dir", default="", help="where to keep it ($TFDS_DATA_DIR or ~/tensorflow_datasets)")
    parser.add_argument("--splits", default="identity", choices=configs.SPLITTINGS, help="of folder and museum: how it is divided")
    parser.add_argument(
        "--max_bad_fraction",
        "--max-bad-fraction",
        type=float,
        default=0.0,
        help="of these: share of composites that may be unusable",
    )
    parser.add_argument("--beam_runner", help="write the data set with this runner of Apache Beam, such as DirectRunner")
    parser.add_argument("beam_options", nargs="*", help="after --: flags of Beam")
    arguments = parser.parse_args(argv)
    if arguments.beam_options and not arguments.beam_runner:
        parser.error(f"{' '.join(arguments.beam_options)}: options of Beam, but no --beam_runner")
    try:
        builder = museum.prepare(
            arguments.name,
            arguments.dir,
            arguments.prepared_dir,
            splits=arguments.splits,
            max_bad_fraction=arguments.max_bad_fraction,
            beam_runner=arguments.beam_runner,
            beam_options=arguments.beam_options,
        )
    except InputError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    print(builder.data_dir)
    print(f"content {builder.info.metadata['sha256']}, {builder.info.metadata['rejected']} composites left out")
    pairs = {split: [tuple(pair) for pair in found] for split, found in builder.info.metadata["pairs"].items()}
    print(f"{'split':24}{'composites':>12}{'MiB':>10}   also in train:{'background':>12}{'figure':>10}{'pair':>10}")
    for split, info in builder.info.splits.items():
        line = f"{split:24}{info.num_examples:12}{info.num_bytes / 2**20:10.1f}"
        if split in pairs and split != "train":
            shares = splits.shared(pairs["train"], pairs[split])
            line += " " * 17 + f"{shares[0]:12.1%}{shares[1]:10.1%}{shares[2]:10.1%}"
        print(line)
    return 0


if __name__ == "__main__":
    sys.exit(main())
