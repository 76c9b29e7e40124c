"""Names, ranges and units shared by every part of the project.

A batch is a dict of arrays `[B,H,W,C]`: `bg` and `bg_fg` (RGB), `mask` and `depth` (one channel),
and `valid` (`[B]` bool, False for a row that only pads the last batch). `depth_valid` is there only
if a data set has pixels of unknown depth: 255 where it is known, 0 elsewhere. The arrays are uint8
on disk and on the way to the device, and float32 in [0, 1] on the device. The network's outputs are
logits, named after its heads, `mask` and `depth`. The sigmoid of a logit is the probability of
foreground, or the depth in [0, 1].
"""

PICTURES = ("bg", "bg_fg")
TARGETS = ("mask", "depth")
CHANNELS = {"bg": 3, "bg_fg": 3, "mask": 1, "depth": 1}

MASK_THRESHOLD = 0.5  # foreground is >= this value, in targets and predictions alike
DEPTH_METRES = 10.0  # metres = 10 * depth
MIN_DEPTH = 0.01  # 0.1 m; quotients and logarithms clamp depth to at least this
JPEG_UNIT = 16  # px: side of the smallest part of a JPEG picture with chrominance at half the size

# Every test split is evaluated separately. `data/splits.py` defines what each split holds.
TEST_SPLITS = ("test", "test_seen_background", "test_seen_figure")
SPLITS = ("train", "validation", *TEST_SPLITS)
UNKNOWN_DEPTHS = range(-1, 256)  # grey levels of unknown depth; -1: every level is a depth
UNKNOWN_DEPTH = 0  # grey level of a pixel whose depth is unknown, in a lossless file
UNASSIGNED = "unassigned"  # composites of a directory that belong to none of these splits

# Values of the config keys `data.name`, `data.source`, `data.splits` and `data.masks`.
DATASETS = (
    "procedural",
    "procedural_large",
    "procedural_world",
    "procedural_mixed",
    "museum",
    "folder",
)
SOURCES = ("records", "library", "scenes")
SPLITTINGS = ("identity", "original")
MASKS = ("auto", "grey")
