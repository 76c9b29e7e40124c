"""The shards of a data set that is drawn: which rooms and people each of them holds.

The data set is a synthetic museum, or the drawn world, whose places and figures are called rooms
and people here.
"""

import functools
from collections.abc import Iterator, Sequence

import numpy as np

from modest.constants import SPLITS
from modest.data import composite, images, pixel_statistics, splits
from modest.data.museum import records
from modest.data.museum.shards import Contents, Shard, parts
from modest.data.synthetic import dataset
from modest.data.world import dataset as world_dataset
from modest.data.world.dataset import World

ROOMS_PER_SHARD = 8
PEOPLE_PER_SHARD = 100


def contents(museum: dataset.SyntheticMuseum, pairs: dict[str, int]) -> Contents:
    """Plan the data set of a synthetic museum.

    In a split, every room is paired with about the same number of people.

    Args:
      museum: the rooms and people to draw.
      pairs: for each split, the number of pairs of a room and a person.
    """
    room_roles = splits.roles(museum.rooms, museum.seed)
    person_roles = splits.roles(museum.people, museum.seed + 1)
    drawings = _Drawings(museum)
    shards = []
    for (room_role, person_role), split in splits.SPLIT_OF_ROLES.items():
        rooms, people = _with_role(room_roles, room_role), _with_role(person_roles, person_role)
        each, rest = divmod(pairs[split], len(rooms))
        counts = [each + (place < rest) for place in range(len(rooms))]
        meetings = [(room, count) for room, count in zip(rooms, counts) if count]
        for part in parts(meetings, ROOMS_PER_SHARD):
            shards.append(Shard(split, functools.partial(drawings.composites, split, part, people)))
    for part in parts(range(museum.rooms), ROOMS_PER_SHARD):
        shards.append(Shard(records.BACKGROUNDS, functools.partial(drawings.backgrounds, part)))
    for part in parts(range(museum.people), PEOPLE_PER_SHARD):
        shards.append(Shard(records.FIGURES, functools.partial(drawings.figures, part)))
    return Contents(shards, [], depth=True, background_depth=True)


class _Drawings:
    """Draws the records of a museum. Every room and person is drawn only once per process."""

    def __init__(self, museum: dataset.SyntheticMuseum) -> None:
        self._museum = museum
        self._dataset = world_dataset if isinstance(museum, World) else dataset
        self._room = functools.cache(functools.partial(self._dataset.room, museum))
        self._person = functools.cache(functools.partial(self._dataset.person, museum))

    def composites(
        self, split: str, meetings: list[tuple[int, int]], people: list[int]
    ) -> Iterator[records.NewRecord]:
        """Yield the composites of some rooms; `meetings` are pairs (room, number of people)."""
        for room, count in meetings:
            rng = np.random.default_rng((self._museum.seed, SPLITS.index(split), room))
            count = min(count, len(people))
            for person in rng.choice(people, count, replace=False).tolist():
                yield from self._composites_of(split, room, person)

    def backgrounds(self, rooms: Sequence[int]) -> Iterator[records.NewRecord]:
        """Yield the empty rooms."""
        for index in rooms:
            room = self._room(index)
            stored = self._dataset.background(self._museum, index, room)
            yield records.NewRecord(
                records.background(_room_id(index), stored["picture"], stored["depth"], room.focal)
            )

    def figures(self, people: Sequence[int]) -> Iterator[records.NewRecord]:
        """Yield the cut-outs."""
        for index in people:
            person = self._person(index)
            yield records.NewRecord(records.figure(_person_id(index), person.rgba, person.height_m))

    def _composites_of(self, split, room_index, person_index):
        room, person = self._room(room_index), self._person(person_index)
        for made in self._dataset.composites(self._museum, room, room_index, person, person_index):
            record = records.record(
                _room_id(room_index),
                _person_id(person_index),
                bg_fg=made["bg_fg"],
                mask=made["mask"],
                depth=made["depth"],
                box=made["box"],
                focal=room.focal,
                metres=person.height_m,
            )
            levels = None
            if split == "train":
                levels = pixel_statistics.levels(images.read(made["bg_fg"], "bg_fg"))
            share = (images.read(made["mask"], "mask") > composite.FOREGROUND).mean()
            yield records.NewRecord(record, levels, share)


def _with_role(roles, wanted):
    return [index for index, role in enumerate(roles) if role == wanted]


def _room_id(index):
    return f"room{index:04}"


def _person_id(index):
    return f"person{index:04}"
