"""The drawn world: figures stand in the right size, are cut off by edges, and cast shadows."""

import io

import numpy as np
import pytest
from PIL import Image

from modest.data import composite
from modest.data.museum import builder_configs, preparation
from modest.data.synthetic import people, rooms
from modest.data.synthetic.dataset import SyntheticMuseum
from modest.data.synthetic.rooms import Room
from modest.data.world import dataset, pasting, things

WORLD = dataset.World(seed=3, rooms=8, people=8, size=64, figure_height=56)
RED = np.zeros((20, 8, 4), np.uint8) + np.array([255, 0, 0, 255], np.uint8)


def floor(size=64, focal=60.0):
    """Return an empty floor to the horizon, which is at half the height."""
    rows = np.maximum(np.arange(size) + 0.5 - size / 2, 0.5)
    depth = np.repeat((focal * 1.5 / rows)[:, None], size, axis=1).astype(np.float32)
    return Room(np.full((size, size, 3), 200, np.uint8), depth, focal)


def decode(encoded):
    return np.asarray(Image.open(io.BytesIO(encoded)))


def test_figure_on_the_floor_has_the_size_that_its_distance_gives_it(rng):
    standing = [pasting.stand_on_floor(rng, floor(), RED, 1.7) for _ in range(40)]
    found = [figure for figure in standing if figure]
    assert len(found) > 10
    for figure in found:
        height = figure.rgba.shape[0]
        assert height == round(60 * 1.7 / figure.metres)
        assert floor().depth[figure.y + height, 0] == figure.metres


def test_paste_cuts_a_figure_off_at_the_edge(rng):
    made, mask = pasting.paste(rng, floor(), pasting.Figure(RED, -5, 50, 1.0), 0.0, None)
    expected = np.zeros((64, 64), bool)
    expected[50:, :3] = True
    np.testing.assert_array_equal(mask > composite.FOREGROUND, expected)
    np.testing.assert_array_equal(made.depth[expected], 1.0)
    np.testing.assert_array_equal(made.picture[~expected], floor().picture[~expected])
    outside = pasting.Figure(RED, 70, 0, 1.0)
    assert not pasting.paste(rng, floor(), outside, 0.0, None)[1].any()


def test_hard_shadow_is_the_flattened_silhouette_and_no_foreground(rng):
    sun = pasting.Sun(lean=1.0, length=-0.5, darkness=0.5)
    made, mask = pasting.paste(rng, floor(), pasting.Figure(RED, 20, 20, 2.0), 0.0, sun)
    shaded = (made.picture[..., 0] < 150) & (mask == 0)
    rows, columns = np.nonzero(shaded)
    assert rows.min() >= 39 and rows.max() == pytest.approx(50, abs=1)  # 20 px, at half the length
    tip = columns[rows >= 48].mean()
    assert tip == pytest.approx(24 + 19, abs=2)  # leans by the height of the figure
    np.testing.assert_allclose(made.picture[45, int(columns[rows == 45].mean()), 0], 100, atol=2)


def test_choice_of_a_person_does_not_decide_what_person(monkeypatch):
    """`people.draw` begins with the draw that decides between woman and man."""
    seeds = []
    monkeypatch.setattr(people, "draw", seeds.append)
    monkeypatch.setattr(things, "draw", lambda seed: dataset.Person(RED, 1.0))
    for seed in range(400):
        dataset._cutout(seed)
    assert len(seeds) / 400 == pytest.approx(dataset.PEOPLE, abs=0.08)
    women = np.mean([np.random.default_rng(seed).random() < 0.5 for seed in seeds])
    assert women == pytest.approx(0.5, abs=0.15)


def test_composites_have_none_one_or_several_figures():
    places, figures = dataset.room(WORLD, 0), dataset.person(WORLD, 0)
    assert max(figures.rgba.shape[:2]) == 56
    shares, at_edge = [], 0
    for index in range(8):
        for made in dataset.composites(WORLD, places, 0, figures, index):
            mask = decode(made["mask"]) > composite.FOREGROUND
            shares.append(mask.mean())
            at_edge += mask[[0, -1]].any() or mask[:, [0, -1]].any()
            assert made["box"] == composite.box(decode(made["mask"]))
    assert max(shares) > 0.1 and at_edge >= 2
    again = next(dataset.composites(WORLD, places, 0, figures, 7))
    assert again == next(dataset.composites(WORLD, places, 0, figures, 7))


def test_mixed_world_has_rooms_and_people_of_the_museum():
    mixed = dataset.MixedWorld(seed=3, rooms=8, people=8, size=32, figure_height=56, museum=1.0)
    seeds = [dataset._seed(mixed, stream, 5) for stream in ("place", "figure")]
    drawn = rooms.render(seeds[0], 32)
    np.testing.assert_array_equal(dataset.room(mixed, 5).picture, drawn.picture)
    person = people.draw(seeds[1])
    assert dataset.person(mixed, 5).height_m == person.height_m
    none, some = (
        dataset.MixedWorld(seed=3, rooms=99, people=99, size=32, museum=share)
        for share in (0.0, 0.4)
    )
    picture = dataset.room(dataset.World(seed=3, size=32), 5).picture
    np.testing.assert_array_equal(dataset.room(none, 5).picture, picture)
    share = np.mean([dataset._is_of_museum(some, "place", index) for index in range(99)])
    assert 0.25 < share < 0.55


def test_world_is_prepared(monkeypatch, tmp_path):
    pairs = dict.fromkeys(builder_configs.WORLD.pairs, 2)
    small = builder_configs.MuseumConfig(
        name="tiny_world", description="a tiny world", museum=WORLD, pairs=pairs
    )
    monkeypatch.setattr(preparation, "WORLD", small)
    built = preparation.prepare("procedural_world", prepared_dir=str(tmp_path))
    assert built.info.splits["test"].num_examples == 2  # one pair
    assert built.info.metadata["background_depth"]
    assert builder_configs.museum_text(WORLD) != builder_configs.museum_text(SyntheticMuseum())
