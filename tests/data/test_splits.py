"""Splits share exactly the backgrounds and figures that their names say."""

import itertools
import zlib
from collections import Counter

import pytest

import golden_inputs
from modest.constants import SPLITS
from modest.data import splits


def ids(split_of, wanted, values):
    """Return the ids of one split."""
    return {v for v, split in zip(values, split_of) if split == wanted}


@pytest.mark.parametrize("count", [100, 10, 3])
def test_every_role_occurs(count):
    roles = splits.roles(count, seed=0)
    assert len(roles) == count and set(roles) == set(splits.ROLES)
    assert splits.roles(count, seed=0) == roles
    if count == 100:
        assert Counter(roles) == {"train": 76, "validation": 8, "test": 16}
        assert splits.roles(count, seed=1) != roles


def test_full_product_is_split_by_both_identities():
    pairs = itertools.product([f"b{i}" for i in range(25)], [f"f{i}" for i in range(20)])
    backgrounds, figures = zip(*pairs)
    split_of = splits.identity(backgrounds, figures, seed=3)
    assert set(split_of) == {*SPLITS, None}
    train_b, train_f = ids(split_of, "train", backgrounds), ids(split_of, "train", figures)
    for name in ("validation", "test"):
        assert not train_b & ids(split_of, name, backgrounds)
        assert not train_f & ids(split_of, name, figures)
    assert ids(split_of, "test_seen_background", backgrounds) == train_b
    assert not train_f & ids(split_of, "test_seen_background", figures)
    assert ids(split_of, "test_seen_figure", figures) == train_f
    assert not train_b & ids(split_of, "test_seen_figure", backgrounds)
    for names in (backgrounds, figures):
        assert not ids(split_of, "validation", names) & ids(split_of, "test", names)


def test_no_composite_is_left_out_if_pairs_are_used_once():
    backgrounds = [f"b{i}" for i in range(20)] + ["b0", "b1"]
    figures = [f"f{i}" for i in range(20)] + ["f0", "f0"]  # links b0 and b1 into one group
    split_of = splits.identity(backgrounds, figures, seed=0)
    assert None not in split_of and set(split_of) == {"train", "validation", "test"}
    for names in (backgrounds, figures):
        used = [ids(split_of, name, names) for name in ("train", "validation", "test")]
        assert sum(map(len, used)) == len(set(names))


def test_original_division_matches_the_golden_one():
    golden = golden_inputs.numbers()
    of_1000 = splits.original(1000)
    assert sorted(golden["split_1000"][:700]) == [i for i in range(1000) if of_1000[i] == "train"]
    whole = golden["split_400000"]
    order = splits.original_order(whole["n"])
    assert zlib.crc32(order.astype("<i4").tobytes()) == whole["crc32_of_int32_le"]
    assert splits.original(whole["n"]).count("train") == whole["train"]


def test_shares_that_also_occur_in_training():
    train = [("a", "x"), ("a", "y"), ("b", "x")]
    other = [("a", "x"), ("a", "z"), ("c", "y"), ("c", "z")]
    assert splits.shared(train, other) == (0.5, 0.5, 0.25)
    pairs = list(itertools.product(range(20), range(20), range(4)))
    ids = [(b, f) for b, f, _ in pairs]
    split_of = splits.original(len(ids))
    train, test = (
        [pair for pair, s in zip(ids, split_of) if s == name] for name in ("train", "test")
    )
    background, figure, pair = splits.shared(train, test)
    assert background == figure == 1 and pair > 0.95
