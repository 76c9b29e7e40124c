"""The configs of the TFDS builder: the data sets that it prepares."""

import dataclasses

import tensorflow_datasets as tfds

from modest.data.museum import directory_shards
from modest.data.synthetic import dataset
from modest.data.world.dataset import MixedWorld, World


@dataclasses.dataclass(eq=False)
class MuseumConfig(tfds.core.BuilderConfig):
    """Where the pictures come from.

    With neither `museum` nor `directory`, they are in `modest_museum` or `modest_museum.zip` in
    TFDS's manual directory.

    Attributes:
      museum: a synthetic museum (rooms and people) to draw.
      pairs: for a synthetic museum, the number of pairs of a room and a person in each split; they
        are spread evenly over the rooms of the split.
      directory: a directory or zip in the MODEST layout.
      options: how the directory is read.
      content: for a directory that was given, its fingerprint, see `fingerprints.py`.
    """

    museum: dataset.SyntheticMuseum | None = None
    pairs: dict[str, int] | None = None
    directory: str = ""
    options: directory_shards.Options = directory_shards.Options()
    content: str = ""


MODEST = MuseumConfig(
    name="museum",
    description=(
        "The MODEST museum data set itself, 400,000 composites, from TFDS's manual directory."
    ),
)
SMALL = MuseumConfig(
    name="procedural",
    description="300 rooms and 100 people drawn from a seed, 900 composites.",
    museum=dataset.SyntheticMuseum(rooms=300, people=100, places=1),
    pairs={
        "train": 228,
        "validation": 30,
        "test": 96,
        "test_seen_background": 48,
        "test_seen_figure": 48,
    },
)
LARGE = MuseumConfig(
    name="procedural_large",
    description="500 rooms and 500 people drawn from a seed, 32,000 composites.",
    museum=dataset.SyntheticMuseum(rooms=500, people=500, places=1, seed=1),
    pairs={
        "train": 12_000,
        "validation": 640,
        "test": 1120,
        "test_seen_background": 1120,
        "test_seen_figure": 1120,
    },
)
WORLD = MuseumConfig(
    name="procedural_world",
    version=tfds.core.Version("3.1.0"),
    release_notes={"3.1.0": "Men among the people.", "3.0.0": "First one."},
    description=(
        "800 places, indoors and outdoors, and 800 people and things drawn from a seed, 4,000 "
        "composites with one figure, several or none."
    ),
    museum=World(rooms=800, people=800, places=1, seed=2),
    pairs={
        "train": 1216,
        "validation": 128,
        "test": 384,
        "test_seen_background": 128,
        "test_seen_figure": 128,
    },
)
MIXED = MuseumConfig(
    name="procedural_mixed",
    version=WORLD.version,
    release_notes={"3.1.0": "Men among the people.", "3.0.0": "First one."},
    description=(
        "1,000 places and 1,000 figures drawn from a seed: two fifths are rooms and people as in "
        "`procedural`, the others are as in `procedural_world`; 4,000 composites."
    ),
    museum=MixedWorld(rooms=1000, people=1000, places=1, seed=3),
    pairs=WORLD.pairs,
)


CONFIGS = (SMALL, LARGE, WORLD, MIXED, MODEST)


def museum_text(museum: dataset.SyntheticMuseum) -> str:
    """Return the text that identifies a synthetic museum on disk: `Museum(seed=0, rooms=...)`.

    The names of prepared variants are hashes of this text. It begins with the name that the class
    had when the first variants were prepared; for a world it is the `repr`, so do not rename the
    classes of worlds.
    """
    if isinstance(museum, World):
        return repr(museum)
    return "Museum" + repr(museum).removeprefix(type(museum).__qualname__)
