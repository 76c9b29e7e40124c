"""Read a config by name, change it in Python, and train.

Prints the progress and the metrics of every test split. Writes the run to `--workdir`: config,
metrics, checkpoints and figures. Run it again with the same options to resume.

Takes one to two minutes on two CPU cores. The first run also generates the embedded data set, in
about 40 s.

    python docs/examples/train.py
    python docs/examples/train.py --config masknet --workdir runs/other --config.batch_size=8
"""

import argparse
from collections.abc import Sequence

from modest.run import config_files, runtime, validation
from modest.training import loop


def main(argv: Sequence[str] | None = None) -> None:
    """Train, evaluate the best checkpoint, and print the results."""
    parser = argparse.ArgumentParser(
        description="Train a network.",
        epilog="Other arguments override the config, for example --config.batch_size=8",
        allow_abbrev=False,
    )
    parser.add_argument(
        "--config",
        default="depthnet",
        help="depthnet, masknet, pairnet, unet, or the path of a file",
    )
    parser.add_argument("--workdir", default="runs/example", help="directory of the run")
    parser.add_argument("--size", type=int, default=64, help="picture size in px")
    parser.add_argument("--epochs", type=int, default=3)
    options, overrides = parser.parse_known_args(argv)

    runtime.prepare()  # XLA's flags and JAX's cache; before the first computation

    config = config_files.read(options.config, overrides)  # what follows changes it further
    config.stages = ((options.size, options.epochs),)  # one picture size from beginning to end
    config.optimizer.trapezoid.epochs = 1  # the learning rate falls to 0 in the last epoch
    validation.validate(config)  # names the first key with a value that cannot be used

    results = loop.fit(config, options.workdir)
    for split, values in results.items():
        print(f"{split}: mask IoU {values['mask/iou']:.3f}, loss {values['loss']:.3f}")


if __name__ == "__main__":
    main()
