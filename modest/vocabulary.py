"""Names, ranges and units that hold from disk to plot.

A batch is a dict of arrays `[B,H,W,C]`: `bg` and `bg_fg` (RGB), `mask` and `depth` (one channel), and `valid` (`[B]` bool, False
for a row that only pads the last batch). They are uint8 on disk and on the way to the device, float32 in [0, 1] on it. The
network's outputs carry the names of its heads, `mask` and `depth`, and are logits; a probability is the sigmoid of one.
"""

PICTURES = ("bg", "bg_fg")
TARGETS = ("mask", "depth")
CHANNELS = {"bg": 3, "bg_fg": 3, "mask": 1, "depth": 1}

MASK_THRESHOLD = 0.5  # a mask is foreground at and above it, a target and a prediction alike
DEPTH_METRES = 10.0  # metres = 10 * depth
MIN_DEPTH = 0.01  # the least depth (0.1 m) that a quotient or a logarithm is taken of

# What the data are divided into; every test split is evaluated on its own. `splits.py` says which pictures are in which.
TEST_SPLITS = ("test", "test_seen_background", "test_seen_figure")
SPLITS = ("train", "validation", *TEST_SPLITS)


class InputError(Exception):
    """Something given to the program cannot be used: the message is one line that says what, where, and what to do.

    Commands print it on stderr and leave with status 2.
    """


class TrainingError(Exception):
    """Training cannot go on: the message is one line. Commands print it on stderr and leave with status 1."""
