"""What a record of the data set holds.

A record is one composite:

    bg_id, fg_id   text; the background's and the figure's identity
    bg_fg          encoded RGB picture, the very bytes that were given
    mask, depth    encoded one-channel pictures; depth is one black pixel where the data set has none
    box            x, y, width, height of the figure in px
    focal          the camera's focal length in px, 0 where it is not known
    metres         what the picture of the figure is high, head to sole, 0 where it is not known

All splits of a TFDS data set share their features, so two more kinds of records are written in the same terms, each a split of its
own:

    backgrounds    the bare background, stored once: `bg_fg` is its picture, `depth` its depth or one black pixel
    figures        a cut-out at the scale of the composites: `bg_fg` is its colour, `mask` its alpha, `metres` its height
"""

import io
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
import tensorflow_datasets as tfds
from tensorflow_datasets.proto import tf_example_pb2

from modest.data import procedural

BACKGROUNDS, FIGURES = "backgrounds", "figures"
LIBRARY = (BACKGROUNDS, FIGURES)  # the splits whose records are no composites
PICTURES = ("bg_fg", "mask", "depth")
NOTHING = procedural.encode_grey(np.zeros((1, 1), np.uint8))  # stands for a picture that there is not


class Records(Sequence):
    """Written records as dicts: text and pictures as bytes, `box` as an array, numbers as numbers.

    Takes them apart itself: TFDS's own way, for whatever features, takes as long as decoding a small picture.
    """

    def __init__(self, serialized):
        """`serialized` is a sequence of bytes, each a `tf.train.Example`."""
        self._serialized = serialized

    def __len__(self):
        return len(self._serialized)

    def __getitem__(self, index):
        if not 0 <= index < len(self):
            raise IndexError(f"record {index} of {len(self)}")
        features = tf_example_pb2.Example.FromString(self._serialized[index]).features.feature
        return {name: _value(feature) for name, feature in features.items()}


def _value(feature):
    values = getattr(feature, feature.WhichOneof("kind")).value
    return values[0] if len(values) == 1 else np.asarray(values)


class Made(NamedTuple):
    """A record to be written, and how often each grey level occurs in its picture (`channels.levels`) where that is counted."""

    record: dict
    levels: Any = None


def features():
    """The TFDS features of every split."""
    image = lambda channels: tfds.features.Image(shape=(None, None, channels))
    return tfds.features.FeaturesDict(
        {
            "bg_id": tfds.features.Text(),
            "fg_id": tfds.features.Text(),
            "bg_fg": image(3),
            "mask": image(1),
            "depth": image(1),
            "box": tfds.features.Tensor(shape=(4,), dtype=np.int32),
            "focal": tfds.features.Scalar(np.float32),
            "metres": tfds.features.Scalar(np.float32),
        }
    )


def record(bg_id, fg_id, bg_fg, mask=NOTHING, depth=NOTHING, box=(0, 0, 0, 0), focal=0.0, metres=0.0):
    """A record, its pictures given as encoded bytes."""
    pictures = {"bg_fg": io.BytesIO(bg_fg), "mask": io.BytesIO(mask), "depth": io.BytesIO(depth)}
    numbers = {"box": np.asarray(box, np.int32), "focal": np.float32(focal), "metres": np.float32(metres)}
    return {"bg_id": bg_id, "fg_id": fg_id} | pictures | numbers


def background(bg_id, picture, depth=NOTHING, focal=0.0):
    """The record of a bare background."""
    return record(bg_id, "", picture, depth=depth, focal=focal)


def figure(fg_id, rgba, metres=0.0):
    """The record of a cut-out uint8 [h, w, 4]."""
    height, width = rgba.shape[:2]
    colour, alpha = procedural.encode_picture(rgba[..., :3], 0), procedural.encode_grey(rgba[..., 3])
    return record("", fg_id, colour, mask=alpha, box=(0, 0, width, height), metres=metres)
