"""The drawn world: indoors and outdoors, people and things, one or several at any size, shadows.

It has the functions of `synthetic.dataset`, and the same properties: everything is a pure function
of a `World` and an index. What stands in a place from the beginning (things, people) is part of the
background.
"""

import dataclasses
from collections.abc import Iterator
from typing import Any

import numpy as np
from PIL import Image

from modest.data import composite, images
from modest.data.synthetic import dataset, people, rooms
from modest.data.synthetic.people import Person
from modest.data.synthetic.rooms import Room
from modest.data.world import pasting, places, things

_STREAMS = {
    "place": 10,
    "clutter": 11,
    "figure": 12,
    "background": 13,
    "composite": 14,
    "museum": 15,
}
PEOPLE = 0.35  # share of people among the figures
HEIGHTS = 0.06, 0.9  # of a figure, as a share of the picture's
OUTSIDE = 0.4  # largest share of a figure's width or height beyond the picture's edge


@dataclasses.dataclass(frozen=True)
class World(dataset.SyntheticMuseum):
    """How many places (`rooms`) and figures (`people`) there are, and how they are drawn."""

    figure_height: int = 200  # pixels: the longer side of a stored cut-out


@dataclasses.dataclass(frozen=True)
class MixedWorld(World):
    """The drawn world with rooms and people of the embedded data set's kind among the others.

    Second and third figures of a composite, and what stands in a place, are those of the world.
    """

    museum: float = (
        0.4  # share of such rooms among the places, and of such people among the figures
    )


def room(world: World, index: int) -> Room:
    """Draw a place, with the things that belong to it.

    Args:
      world: the world, which sets the seed and the size of the picture.
      index: 0 to `world.rooms` - 1.
    """
    if _is_of_museum(world, "place", index):
        return rooms.render(_seed(world, "place", index), world.size)
    place = places.render(_seed(world, "place", index), world.size)
    rng = np.random.default_rng(_seed(world, "clutter", index))
    standing = []
    for _ in range(rng.integers(0, 9)):
        cutout = _cutout(int(rng.integers(2**31)))
        figure = pasting.stand_on_floor(rng, place, cutout.rgba, cutout.height_m)
        standing += [figure] if figure else []
    sun = pasting.draw_sun(rng) if rng.random() < 0.3 else None
    for figure in sorted(standing, key=lambda figure: -figure.metres):
        place, _ = pasting.paste(rng, place, figure, world.shadow, sun)
    return place


def person(world: World, index: int) -> Person:
    """Draw a person or a thing as a cut-out; its longer side has `world.figure_height` pixels.

    Args:
      world: the world, which sets the seed and the size.
      index: 0 to `world.people` - 1.
    """
    draw = people.draw if _is_of_museum(world, "figure", index) else _cutout
    drawn = draw(_seed(world, "figure", index))
    height, width = drawn.rgba.shape[:2]
    scaled = round(height * world.figure_height / max(height, width))
    return drawn._replace(rgba=composite.scale_figure(drawn.rgba, scaled))


def background(world: World, index: int, place: Room) -> dict[str, bytes]:
    """Encode an empty place; see `synthetic.dataset.background`."""
    rng = np.random.default_rng(_sequence(world, "background", index))
    return dataset.encode_background(rng, world, place)


def composites(
    world: World, place: Room, place_index: int, figure: Person, figure_index: int
) -> Iterator[dict[str, Any]]:
    """Yield the encoded composites of a place and a figure; see `synthetic.dataset.composites`.

    A composite has up to two more figures. One in twenty has none.
    """
    rng = np.random.default_rng(_sequence(world, "composite", place_index, figure_index))
    for number in range(2 * world.places):
        count = rng.choice(4, p=[0.05, 0.6, 0.25, 0.1])
        others = [_cutout(int(rng.integers(2**31))) for _ in range(count - 1)]
        cutouts = [figure, *others] if count else []
        if number % 2:
            cutouts = [cutout._replace(rgba=cutout.rgba[:, ::-1]) for cutout in cutouts]
        figures = [_place(rng, place, cutout) for cutout in cutouts]
        sun = pasting.draw_sun(rng) if rng.random() < 0.4 else None
        made, mask = place, np.zeros(place.depth.shape, np.uint8)
        for placed in sorted(figures, key=lambda figure: -figure.metres):
            made, one = pasting.paste(rng, made, placed, world.shadow, sun)
            mask = np.maximum(mask, one)
        brightness = 1 + world.exposure * rng.uniform(-1, 1)
        picture = np.clip(made.picture * brightness, 0, 255).astype(np.uint8)
        photograph = composite.photograph(rng, picture, world.realism)
        finished = composite.Composite(photograph, mask, made.depth, composite.box(mask))
        yield dataset.encode_composite(world, number, finished)


def sheet(world: World, count: int = 24, columns: int = 6) -> Image.Image:
    """Draw a contact sheet: the background, a composite, its mask and its depth, `count` times."""
    tiles = []
    for index in range(count):
        place = room(world, index)
        made = next(composites(world, place, index, person(world, index), index))
        shown = [images.read(made[name], "bg") for name in ("bg_fg", "mask", "depth")]
        tiles.append(np.concatenate([place.picture, *shown])[::2, ::2])
    return dataset.contact_sheet(tiles, "world", columns)


def _place(rng, place, cutout):
    """Draw where a figure is: half of them on the floor, the others at any place and size."""
    size = len(place.depth)
    if rng.random() < 0.5:
        figure = pasting.stand_on_floor(rng, place, cutout.rgba, cutout.height_m)
        if figure and 0.06 * size < figure.rgba.shape[0] < 1.2 * size:
            return figure
    height = round(size * np.exp(rng.uniform(*np.log(HEIGHTS))))
    rgba = composite.scale_figure(cutout.rgba, height)
    corner = [
        rng.uniform(-OUTSIDE * length, size - (1 - OUTSIDE) * length) for length in rgba.shape[:2]
    ]
    metres = composite.figure_depth(place.focal, cutout.height_m, height)
    return pasting.Figure(rgba, int(corner[1]), int(corner[0]), metres)


def _cutout(seed):
    """Draw the person or the thing of a seed."""
    rng = np.random.default_rng(seed)
    is_person = rng.random() < PEOPLE
    seed = int(rng.integers(2**32))  # with the first one, every person would be a woman
    if is_person:
        return people.draw(seed)
    thing = things.draw(seed)
    return Person(thing.rgba, thing.height_m)


def _is_of_museum(world, stream, index):
    """Return whether a place or a figure is one of the embedded data set's kind."""
    if not isinstance(world, MixedWorld):
        return False
    rng = np.random.default_rng(_sequence(world, "museum", _STREAMS[stream], index))
    return rng.random() < world.museum


def _sequence(world, stream, *indices):
    return np.random.SeedSequence((world.seed, _STREAMS[stream], *indices))


def _seed(world, stream, index):
    return int(_sequence(world, stream, index).generate_state(1)[0])
