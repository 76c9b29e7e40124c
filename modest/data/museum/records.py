"""The records of a data set.

A record is one composite:

    bg_id, fg_id   text; ids of the background and the figure
    bg_fg          encoded RGB picture; exactly the bytes that were given
    mask, depth    encoded one-channel pictures; depth is a single black pixel if the data set has
                   none
    box            x, y, width and height of the figure in px
    focal          focal length of the camera in px; 0 if unknown
    metres         true height of the figure from head to sole, in metres; 0 if unknown

All splits of a TFDS data set share their features, so two more kinds of records use the same
fields, each in a split of its own:

    backgrounds    an empty background, stored once: `bg_fg` is its picture, `depth` its depth or a
                   single black pixel
    figures        a cut-out at the scale of the composites: `bg_fg` is its colour, `mask` its
                   alpha, `metres` its height
"""

import contextlib
import io
from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

import numpy as np
import tensorflow_datasets as tfds
from tensorflow_datasets.proto import tf_example_pb2

from modest.data import images
from modest.errors import InputError

BACKGROUNDS, FIGURES = "backgrounds", "figures"
NON_COMPOSITE_SPLITS = (BACKGROUNDS, FIGURES)
PICTURES = ("bg_fg", "mask", "depth")  # the fields that are encoded pictures
NO_PICTURE = images.encode_grey(np.zeros((1, 1), np.uint8))  # stands for a missing picture


class Records(Sequence[dict[str, Any]]):
    """Stored records as dicts: text and pictures are bytes, `box` is an array, numbers are numbers.

    They are parsed here, because TFDS's general parser takes as long as decoding a small picture.
    """

    def __init__(self, serialized: Sequence[bytes], where: str) -> None:
        """Take the records from a sequence of serialized `tf.train.Example` protos.

        Args:
          serialized: the sequence.
          where: the directory that it is read from, for error messages.
        """
        self._serialized, self._where = serialized, where

    def __len__(self) -> int:
        """Return the number of records."""
        return len(self._serialized)

    def __getitem__(self, index: int) -> dict[str, Any]:  # type: ignore[override]  # no slices
        """Parse record `index`, 0 .. len - 1.

        Raises:
          IndexError: there is no such record.
          InputError: it is damaged.
        """
        if not 0 <= index < len(self):
            raise IndexError(f"record {index} of {len(self)}")
        with damage_as_input_error(self._where):
            data = self._serialized[index]
            features = tf_example_pb2.Example.FromString(data).features.feature
        return {name: _value(feature) for name, feature in features.items()}


@contextlib.contextmanager
def damage_as_input_error(where: str) -> Iterator[None]:
    """Turn any error of TFDS or of ArrayRecord inside the block into an `InputError` of one line.

    ArrayRecord checks a hash of what it reads, so that no damage is read in silence.
    """
    try:
        yield
    except (InputError, MemoryError):
        raise
    except Exception as error:
        line = " ".join(str(error).split())[:160]
        raise InputError(
            f"{where}: damaged ({type(error).__name__}: {line}); delete this directory to prepare "
            "it again"
        ) from None


class NewRecord(NamedTuple):
    """A record to write.

    Attributes:
      record: its fields, see `record`.
      levels: the `pixel_statistics.levels` of its picture, or None if they are not counted.
      foreground: share of foreground in its mask; None if it has no mask.
      depth: number of pixels of its depth, of unknown ones, of those at 0.1 m or less, and of those
        at 10 m or more; all 0 if they are not counted.
    """

    record: dict[str, Any]
    levels: np.ndarray | None = None
    foreground: float | None = None
    depth: tuple[int, int, int, int] = (0, 0, 0, 0)


def features() -> tfds.features.FeaturesDict:
    """Return the TFDS features of a record, which are the same in every split."""
    return tfds.features.FeaturesDict(
        {
            "bg_id": tfds.features.Text(),
            "fg_id": tfds.features.Text(),
            "bg_fg": tfds.features.Image(shape=(None, None, 3)),
            "mask": tfds.features.Image(shape=(None, None, 1)),
            "depth": tfds.features.Image(shape=(None, None, 1)),
            "box": tfds.features.Tensor(shape=(4,), dtype=np.int32),
            "focal": tfds.features.Scalar(np.float32),
            "metres": tfds.features.Scalar(np.float32),
        }
    )


def record(
    bg_id: str,
    fg_id: str,
    bg_fg: bytes,
    mask: bytes = NO_PICTURE,
    depth: bytes = NO_PICTURE,
    box: tuple[int, int, int, int] = (0, 0, 0, 0),
    focal: float = 0.0,
    metres: float = 0.0,
) -> dict[str, Any]:
    """Return a record for TFDS to encode. Pictures are given as encoded bytes."""
    return {
        "bg_id": bg_id,
        "fg_id": fg_id,
        "bg_fg": io.BytesIO(bg_fg),
        "mask": io.BytesIO(mask),
        "depth": io.BytesIO(depth),
        "box": np.asarray(box, np.int32),
        "focal": np.float32(focal),
        "metres": np.float32(metres),
    }


def background(
    bg_id: str, picture: bytes, depth: bytes = NO_PICTURE, focal: float = 0.0
) -> dict[str, Any]:
    """Return the record of an empty background. Pictures are given as encoded bytes."""
    return record(bg_id, "", picture, depth=depth, focal=focal)


def figure(fg_id: str, rgba: np.ndarray, metres: float = 0.0) -> dict[str, Any]:
    """Return the record of a cut-out, uint8 `[h,w,4]`."""
    height, width = rgba.shape[:2]
    colour, alpha = images.encode_picture(rgba[..., :3], 0), images.encode_grey(rgba[..., 3])
    return record("", fg_id, colour, mask=alpha, box=(0, 0, width, height), metres=metres)


def _value(feature):
    values = getattr(feature, feature.WhichOneof("kind")).value
    return values[0] if len(values) == 1 else np.asarray(values)
