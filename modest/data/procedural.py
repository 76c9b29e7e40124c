"""The embedded museum: a data set of rooms, people and composites that is drawn instead of downloaded.

Everything follows from a `Museum` and an index: the same ones give the same bytes. Pictures are stored as JPEG (or as
PNG where `jpeg_quality` is 0), masks and depths as 8-bit grey PNG. Which people meet which rooms is the caller's
choice. `python -m modest.data.procedural --out sheet.png` draws a contact sheet to look at.
"""

import argparse
import dataclasses
import io
import zlib
from collections.abc import Iterator

import numpy as np
from PIL import Image, ImageDraw

from modest.data import compose, people, rooms

_KINDS = {"room": 0, "person": 1, "background": 2, "composite": 3}  # separate streams of random numbers


@dataclasses.dataclass(frozen=True)
class Museum:
    """What the embedded museum holds and how its pictures are made."""

    seed: int = 0
    rooms: int = 100
    people: int = 100
    size: int = 224  # pixels, both sides of every picture
    figure_height: int = 108  # pixels: 340 of the original recipe's 704, at 224
    places: int = 1  # places per orientation (the original: 20): each pair gives 2 x places composites
    jpeg_quality: int = 92  # of the stored pictures; 0 stores PNG
    noise: float = 2.0  # these three: see compose.Realism
    exposure: float = 0.03
    shadow: float = 0.35

    @property
    def realism(self) -> compose.Realism:
        """How a composite differs from its background outside the figure."""
        return compose.Realism(self.noise, self.exposure, self.shadow)


def room(museum: Museum, index: int) -> rooms.Room:
    """Room 0..museum.rooms - 1: picture and depth [size, size], focal length in pixels."""
    _check_index(index, museum.rooms, "room")
    return rooms.render(_seed(museum, "room", index), museum.size)


def person(museum: Museum, index: int) -> people.Person:
    """Person 0..museum.people - 1: a cut-out figure_height px high."""
    _check_index(index, museum.people, "person")
    drawn = people.draw(_seed(museum, "person", index))
    return drawn._replace(rgba=compose.scale_figure(drawn.rgba, museum.figure_height))


def background(museum: Museum, room_index: int, room: rooms.Room) -> dict:
    """The stored bare room: {"picture": its photograph, "depth": PNG bytes of its uint8 depth}."""
    rng = np.random.default_rng(_sequence(museum, "background", room_index))
    picture = compose.photograph(rng, room.picture, museum.realism)
    return {
        "picture": encode_picture(picture, museum.jpeg_quality),
        "depth": encode_grey(compose.encode_depth(room.depth)),
    }


def composites(museum: Museum, room: rooms.Room, room_index: int, person: people.Person, person_index: int) -> Iterator[dict]:
    """The 2 * places composites of a room and a person, as they are stored.

    Each is {"place": 0..2 * places - 1 (odd: the figure is mirrored), "bg_fg": picture bytes, "mask": PNG bytes,
    "depth": PNG bytes of uint8 depth, "box": (x, y, width, height) of mask > 127}.
    """
    rng = np.random.default_rng(_sequence(museum, "composite", room_index, person_index))
    metres = compose.figure_depth(room.focal, person.height_m, person.rgba.shape[0])
    for place in range(2 * museum.places):
        figure = person.rgba[:, ::-1] if place % 2 else person.rgba
        xy = compose.place(rng, room.picture.shape[:2], figure.shape[:2])
        made = compose.compose(rng, room.picture, figure, xy, depth=room.depth, figure_metres=metres, realism=museum.realism)
        yield {
            "place": place,
            "bg_fg": encode_picture(made.bg_fg, museum.jpeg_quality),
            "mask": encode_grey(made.mask),
            "depth": encode_grey(compose.encode_depth(made.depth)),
            "box": made.box,
        }


def encode_picture(picture: np.ndarray, jpeg_quality: int) -> bytes:
    """JPEG of a quality 1..100 (or PNG where it is 0) of a uint8 picture [H, W, 3]."""
    stream = io.BytesIO()
    if jpeg_quality:
        Image.fromarray(picture).save(stream, "JPEG", quality=jpeg_quality)
    else:
        Image.fromarray(picture).save(stream, "PNG")
    return stream.getvalue()


def encode_grey(grey: np.ndarray) -> bytes:
    """PNG of a uint8 picture [H, W]; packed as runs: smaller and faster than the default for masks and depths."""
    stream = io.BytesIO()
    Image.fromarray(grey).save(stream, "PNG", compress_type=zlib.Z_RLE)
    return stream.getvalue()


def sheet(museum: Museum, kind: str, count: int = 24, columns: int = 6) -> Image.Image:
    """A labelled contact sheet of the first `count` rooms (with their depth), people or composites."""
    tiles = [_tile(museum, kind, index) for index in range(count)]
    height, width = max(t.shape[0] for t in tiles), max(t.shape[1] for t in tiles)
    label = 14
    paper = Image.new("RGB", (columns * (width + 4), -(-count // columns) * (height + label)), (245, 245, 245))
    draw = ImageDraw.Draw(paper)
    for index, tile in enumerate(tiles):
        x, y = index % columns * (width + 4), index // columns * (height + label)
        draw.text((x + 3, y + 1), f"{kind} {index}", fill=(0, 0, 0))
        paper.paste(Image.fromarray(tile), (x + (width - tile.shape[1]) // 2, y + label))
    return paper


def _tile(museum, kind, index):
    """uint8 [h, w, 3] for one place of a contact sheet."""
    if kind == "people":
        rgba = people.draw(_seed(museum, "person", index)).rgba
        alpha = rgba[..., 3:] / 255
        return (rgba[..., :3] * alpha + 205 * (1 - alpha)).astype(np.uint8)
    drawn = room(museum, index)
    if kind == "rooms":
        return np.concatenate([drawn.picture, _as_rgb(compose.encode_depth(drawn.depth))])
    made = list(composites(museum, drawn, index, person(museum, index), index))[index % 2]
    parts = [np.asarray(Image.open(io.BytesIO(made[name])).convert("RGB")) for name in ("bg_fg", "mask", "depth")]
    return np.concatenate(parts)


def _as_rgb(grey):
    return np.repeat(grey[..., None], 3, axis=2)


def _check_index(index, count, name):
    if not 0 <= index < count:
        raise IndexError(f"{name} {index} of a museum with {count}")


def _sequence(museum, kind, *indices):
    return np.random.SeedSequence((museum.seed, _KINDS[kind], *indices))


def _seed(museum, kind, index):
    return int(_sequence(museum, kind, index).generate_state(1)[0])


def main(arguments: list[str] | None = None) -> None:
    """Writes a contact sheet."""
    parser = argparse.ArgumentParser(description="Writes a labelled contact sheet of the embedded museum.")
    parser.add_argument("--out", required=True, help="the picture to write, for example sheet.png")
    parser.add_argument("--seed", type=int, default=0, help="the museum's seed")
    parser.add_argument("--kind", choices=("rooms", "people", "composites"), default="composites")
    parser.add_argument("--count", type=int, default=24, help="how many to show (at most 100)")
    chosen = parser.parse_args(arguments)
    if not 1 <= chosen.count <= 100:
        parser.error(f"--count={chosen.count}: must be from 1 to 100")
    paper = sheet(Museum(seed=chosen.seed), chosen.kind, chosen.count)
    try:
        paper.save(chosen.out)
    except (OSError, ValueError) as error:  # ValueError: no such format
        parser.error(f"--out={chosen.out}: cannot be written ({error})")


if __name__ == "__main__":
    main()
