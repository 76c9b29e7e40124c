"""The embedded data set: rooms, people and composites that are drawn instead of downloaded.

Everything is a pure function of a `SyntheticMuseum` and an index: the same arguments give the same
bytes. Pictures are stored as JPEG (as PNG if `jpeg_quality` is 0), masks and depths as 8-bit grey
PNG. The caller chooses which people are combined with which rooms. `python -m modest sheet` draws a
contact sheet.
"""

import dataclasses
from collections.abc import Iterator
from typing import Any

import numpy as np
from PIL import Image, ImageDraw

from modest.data import composite, images
from modest.data.synthetic import people, rooms

# Separate streams of random numbers.
_STREAMS = {"room": 0, "person": 1, "background": 2, "composite": 3}
_LABEL, _GAP = 14, 4  # pixels of a contact sheet


@dataclasses.dataclass(frozen=True)
class SyntheticMuseum:
    """How many rooms and people there are, and how their pictures are made."""

    seed: int = 0
    rooms: int = 100
    people: int = 100
    size: int = 224  # pixels, both sides of every picture
    figure_height: int = 108  # pixels: 340 of the original recipe's 704, at 224
    places: int = 1  # places of a figure as it is, and as many mirrored (the original has 20)
    jpeg_quality: int = 92  # quality of the stored pictures; 0 stores PNG
    noise: float = 2.0  # noise, exposure and shadow: see composite.Realism
    exposure: float = 0.03
    shadow: float = 0.35

    @property
    def realism(self) -> composite.Realism:
        """Return how a composite differs from its background outside the figure."""
        return composite.Realism(self.noise, self.exposure, self.shadow)


def room(museum: SyntheticMuseum, index: int) -> rooms.Room:
    """Draw a room.

    Args:
      museum: the museum, which sets the seed and the size of the picture.
      index: 0 to `museum.rooms` - 1.

    Raises:
      IndexError: `index` is out of range.
    """
    _check_index(index, museum.rooms, "room")
    return rooms.render(_seed(museum, "room", index), museum.size)


def person(museum: SyntheticMuseum, index: int) -> people.Person:
    """Draw a person as a cut-out, `museum.figure_height` pixels high.

    Args:
      museum: the museum, which sets the seed and the height.
      index: 0 to `museum.people` - 1.

    Raises:
      IndexError: `index` is out of range.
    """
    _check_index(index, museum.people, "person")
    drawn = people.draw(_seed(museum, "person", index))
    return drawn._replace(rgba=composite.scale_figure(drawn.rgba, museum.figure_height))


def background(museum: SyntheticMuseum, room_index: int, room: rooms.Room) -> dict[str, bytes]:
    """Encode an empty room.

    Returns:
      `{"picture", "depth"}`: the room with sensor noise, and its depth, uint8, as PNG.
    """
    rng = np.random.default_rng(_seed_sequence(museum, "background", room_index))
    return encode_background(rng, museum, room)


def composites(
    museum: SyntheticMuseum,
    room: rooms.Room,
    room_index: int,
    person: people.Person,
    person_index: int,
) -> Iterator[dict[str, Any]]:
    """Yield the encoded composites of a room and a person.

    Yields:
      2 * `museum.places` dicts with these keys: `place`, the number of the composite (in those with
      odd numbers the figure is mirrored); `bg_fg`, the encoded picture; `mask` and `depth`, uint8,
      as PNG; `box`, the x, y, width and height in pixels of mask > 127.
    """
    rng = np.random.default_rng(_seed_sequence(museum, "composite", room_index, person_index))
    metres = composite.figure_depth(room.focal, person.height_m, person.rgba.shape[0])
    for place in range(2 * museum.places):
        figure = person.rgba[:, ::-1] if place % 2 else person.rgba
        xy = composite.place(rng, room.picture.shape[:2], figure.shape[:2])
        made = composite.compose(
            rng,
            room.picture,
            figure,
            xy,
            depth=room.depth,
            figure_metres=metres,
            realism=museum.realism,
        )
        yield encode_composite(museum, place, made)


def encode_background(
    rng: np.random.Generator, museum: SyntheticMuseum, room: rooms.Room
) -> dict[str, bytes]:
    """Photograph an empty room and encode it; returns what `background` returns."""
    picture = composite.photograph(rng, room.picture, museum.realism)
    return {
        "picture": images.encode_picture(picture, museum.jpeg_quality),
        "depth": images.encode_grey(composite.encode_depth(room.depth)),
    }


def encode_composite(
    museum: SyntheticMuseum, place: int, made: composite.Composite
) -> dict[str, Any]:
    """Encode a composite that has a depth; returns a dict as `composites` yields it."""
    assert made.depth is not None
    return {
        "place": place,
        "bg_fg": images.encode_picture(made.bg_fg, museum.jpeg_quality),
        "mask": images.encode_grey(made.mask),
        "depth": images.encode_grey(composite.encode_depth(made.depth)),
        "box": made.box,
    }


def sheet(museum: SyntheticMuseum, kind: str, count: int = 24, columns: int = 6) -> Image.Image:
    """Draw a labelled contact sheet.

    Args:
      museum: the data set.
      kind: "rooms" (with their depth), "people" or "composites".
      count: number of tiles; shows the indices 0 to count - 1.
      columns: tiles per row.
    """
    return contact_sheet([_tile(museum, kind, index) for index in range(count)], kind, columns)


def contact_sheet(tiles: list[np.ndarray], kind: str, columns: int) -> Image.Image:
    """Arrange pictures in rows, each below its number.

    Args:
      tiles: uint8 `[h,w,3]` each.
      kind: what the label calls them.
      columns: tiles per row.
    """
    height, width = max(t.shape[0] for t in tiles), max(t.shape[1] for t in tiles)
    size = columns * (width + _GAP), -(-len(tiles) // columns) * (height + _LABEL)
    paper = Image.new("RGB", size, (245, 245, 245))
    draw = ImageDraw.Draw(paper)
    for index, tile in enumerate(tiles):
        x, y = index % columns * (width + _GAP), index // columns * (height + _LABEL)
        draw.text((x + 3, y + 1), f"{kind} {index}", fill=(0, 0, 0))
        paper.paste(Image.fromarray(tile), (x + (width - tile.shape[1]) // 2, y + _LABEL))
    return paper


def _tile(museum, kind, index):
    """Draw one tile of a contact sheet, uint8 `[h,w,3]`."""
    if kind == "people":
        rgba = people.draw(_seed(museum, "person", index)).rgba
        alpha = rgba[..., 3:] / 255
        return (rgba[..., :3] * alpha + 205 * (1 - alpha)).astype(np.uint8)
    drawn = room(museum, index)
    if kind == "rooms":
        depth = composite.encode_depth(drawn.depth)
        return np.concatenate([drawn.picture, np.repeat(depth[..., None], 3, axis=2)])
    made = list(composites(museum, drawn, index, person(museum, index), index))[index % 2]
    return np.concatenate([images.read(made[name], "bg") for name in ("bg_fg", "mask", "depth")])


def _check_index(index, count, name):
    if not 0 <= index < count:
        raise IndexError(f"{name} {index} of a museum with {count}")


def _seed_sequence(museum, stream, *indices):
    return np.random.SeedSequence((museum.seed, _STREAMS[stream], *indices))


def _seed(museum, stream, index):
    return int(_seed_sequence(museum, stream, index).generate_state(1)[0])
