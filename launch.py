"""Train, evaluate or summarise what a config describes.

    python launch.py --config configs/depthnet.py [--workdir DIR]
        [--mode train|eval|summary|lr_range] [--config.key=value ...]

The same as `python -m modest train ...`. The code is in `modest/commands/experiment.py`.
"""

import sys

from modest.commands import experiment, process

if __name__ == "__main__":
    process.command(process.run, experiment.main, sys.argv[1:])
