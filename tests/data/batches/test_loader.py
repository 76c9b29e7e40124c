"""Batches of stored composites: their order, and that every example occurs once."""

import functools

import numpy as np
import pytest

from modest.data.batches import loader
from modest.data.museum import preparation


@pytest.fixture
def examples(small_museum, prepared_dir):
    builder = preparation.prepare("procedural", prepared_dir=str(prepared_dir))
    return loader.Examples(builder, "train", 32)


def pictures(batches):
    return [batch["bg_fg"] for batch in batches]


def test_shapes_and_types(examples):
    batch = next(iter(loader.train_batches(examples, 4, seed=0, epoch=0)))
    assert {k: (v.shape, v.dtype) for k, v in batch.items()} == {
        "bg": ((4, 32, 32, 3), np.uint8),
        "bg_fg": ((4, 32, 32, 3), np.uint8),
        "mask": ((4, 32, 32, 1), np.uint8),
        "depth": ((4, 32, 32, 1), np.uint8),
        "valid": ((4,), bool),
    }
    assert batch["valid"].all()
    # bg and bg_fg belong to the same composite: outside the mask they nearly agree.
    outside = batch["mask"][..., 0] == 0
    difference = np.abs(batch["bg"].astype(int) - batch["bg_fg"])
    assert difference[outside].mean() < 8 < difference[~outside].mean()


def test_order_depends_only_on_seed_and_epoch(examples):
    def order(seed=0, epoch=0, threads=2):
        batches = loader.train_batches(examples, 4, seed=seed, epoch=epoch, threads=threads)
        return pictures(batches)

    first = order()
    assert len(first) == len(examples) // 4
    for again in (order(), order(threads=5)):
        np.testing.assert_array_equal(first, again)
    for other in (order(seed=1), order(epoch=1)):
        assert (np.asarray(first) != np.asarray(other)).any()


def test_first_skips_batches(examples):
    whole = pictures(loader.train_batches(examples, 4, seed=7, epoch=3))
    rest = pictures(loader.train_batches(examples, 4, seed=7, epoch=3, first=2))
    np.testing.assert_array_equal(whole[2:], rest)


def test_no_example_occurs_twice_in_an_epoch(examples):
    batches = np.concatenate(pictures(loader.train_batches(examples, 3, seed=0, epoch=0)))
    assert len({picture.tobytes() for picture in batches}) == len(batches)


def test_pictures_are_spread_over_a_split(examples, small_museum, prepared_dir):
    assert loader.spread(3, 10) == [0, 3, 6]
    assert loader.spread(3, 3) == [0, 1, 2]
    assert loader.spread(5, 2) == [0, 1]
    assert loader.spread(2, 0) == []
    builder = preparation.prepare("procedural", prepared_dir=str(prepared_dir))
    few = loader.Examples(builder, "train", 32, most=3)
    assert len(few) == 3 and list(few.indices) == loader.spread(3, len(examples))
    for i, index in enumerate(few.indices):
        assert few.identities(i) == examples.identities(index)
        np.testing.assert_array_equal(few[i]["mask"], examples[index]["mask"])
    assert list(loader.Examples(builder, "train", 32, most=10**6).indices) == [*examples.indices]


@pytest.mark.parametrize("batch_size", [1, 5, 64])
def test_evaluation_yields_every_example_once_and_marks_padding(examples, batch_size):
    batches = list(loader.eval_batches(examples, batch_size))
    assert all(len(batch["bg"]) == batch_size for batch in batches)
    valid = np.concatenate([batch["valid"] for batch in batches])
    seen = np.concatenate(pictures(batches))[valid]
    assert len(seen) == len(examples)
    np.testing.assert_array_equal(seen, [examples[i]["bg_fg"] for i in range(len(examples))])


@pytest.mark.parametrize("processes", [1, 2, 4])
def test_rows_of_all_processes_make_up_the_global_batch(examples, processes):
    share = 8 // processes
    slices = [slice(share * number, share * (number + 1)) for number in range(processes)]
    train = functools.partial(loader.train_batches, examples, 8, seed=3, epoch=1)
    evaluation = functools.partial(loader.eval_batches, examples, 8)
    for batches in (train, evaluation):
        for whole, *parts in zip(batches(), *(batches(rows=rows) for rows in slices)):
            for name, values in whole.items():
                np.testing.assert_array_equal(
                    np.concatenate([part[name] for part in parts]), values
                )
