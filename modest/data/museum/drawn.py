"""The shards of a procedural museum: which rooms and people each holds, and how a record is drawn."""

import functools

import numpy as np

from modest import pictures
from modest.data import channels, procedural, splits
from modest.data.museum import records
from modest.data.museum.shards import Contents, Shard
from modest.vocabulary import SPLITS

ROOMS_PER_SHARD = 8
PEOPLE_PER_SHARD = 100


def contents(config):
    """Rooms and people are drawn once each. Every room of a split meets about as many of its people as any other."""
    museum, seed = config.museum, config.museum.seed
    room_roles = splits.roles(museum.rooms, seed)
    person_roles = splits.roles(museum.people, seed + 1)
    of_role = lambda roles, wanted: [i for i, role in enumerate(roles) if role == wanted]
    room = functools.cache(functools.partial(procedural.room, museum))
    person = functools.cache(functools.partial(procedural.person, museum))

    def composites(split, chosen, met):
        for room_index, count in chosen:
            rng = np.random.default_rng((seed, SPLITS.index(split), room_index))
            for person_index in rng.choice(met, min(count, len(met)), replace=False).tolist():
                yield from _composites(museum, split, room_index, room(room_index), person_index, person(person_index))

    def backgrounds(chosen):
        for index in chosen:
            made, focal = procedural.background(museum, index, room(index)), room(index).focal
            yield records.Made(records.background(_room_id(index), made["picture"], made["depth"], focal))

    def figures(chosen):
        for index in chosen:
            yield records.Made(records.figure(_person_id(index), person(index).rgba, person(index).height_m))

    listed = []
    for (room_role, person_role), split in splits.SPLIT_OF_ROLES.items():
        rooms, met = of_role(room_roles, room_role), of_role(person_roles, person_role)
        each, rest = divmod(config.pairs[split], len(rooms))
        chosen = [(room_index, each + (place < rest)) for place, room_index in enumerate(rooms) if each or place < rest]
        listed += [Shard(split, functools.partial(composites, split, part, met)) for part in _parts(chosen, ROOMS_PER_SHARD)]
    for part in _parts(range(museum.rooms), ROOMS_PER_SHARD):
        listed.append(Shard(records.BACKGROUNDS, functools.partial(backgrounds, part)))
    for part in _parts(range(museum.people), PEOPLE_PER_SHARD):
        listed.append(Shard(records.FIGURES, functools.partial(figures, part)))
    return Contents(listed, [], depth=True, background_depth=True)


def _composites(museum, split, room_index, room, person_index, person):
    metres = person.height_m
    for made in procedural.composites(museum, room, room_index, person, person_index):
        encoded = {name: made[name] for name in ("bg_fg", "mask", "depth", "box")}
        record = records.record(_room_id(room_index), _person_id(person_index), focal=room.focal, metres=metres, **encoded)
        levels = channels.levels(pictures.read(made["bg_fg"], "bg_fg")) if split == "train" else None
        yield records.Made(record, levels)


def _parts(members, size):
    return [members[start : start + size] for start in range(0, len(members), size)]


def _room_id(index):
    return f"room{index:04}"


def _person_id(index):
    return f"person{index:04}"
