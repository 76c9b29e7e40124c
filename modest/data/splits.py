"""Divide composites into splits by their background and figure.

An identity is one background or one figure. Every identity has one role: train, validation or test.
The roles of its background and its figure decide the split of a composite:

    background \\ figure   train               validation   test
    train                  train               -            test_seen_background
    validation             -                   validation   -
    test                   test_seen_figure    -            test

So `test` shares neither a background nor a figure with training, and the two other test splits
share exactly one of them. Composites that mix validation with another role ("-") belong to none of
these splits: training or testing on them would leak information about the validation pictures, by
which the best step is chosen. They are stored in a split of their own, `unassigned`, so that a data
set can be checked and evaluated completely.

The original project's division is here too, to compare with its published results: composites are
shuffled, 70 % train, 30 % test. Training has seen nearly every background, figure and pair of both
in that test set.
"""

from collections.abc import Sequence

import numpy as np
from scipy.sparse import coo_matrix
from scipy.sparse.csgraph import connected_components

ROLES = ("train", "validation", "test")
SHARES = (0.76, 0.08, 0.16)  # shares of the identities that get each role
SPLIT_OF_ROLES = {  # (role of the background, role of the figure) -> split
    ("train", "train"): "train",
    ("validation", "validation"): "validation",
    ("test", "test"): "test",
    ("train", "test"): "test_seen_background",
    ("test", "train"): "test_seen_figure",
}


def divide(
    kind: str, backgrounds: Sequence[str], figures: Sequence[str], seed: int
) -> list[str | None]:
    """Return the split of each composite; None for those that belong to no split.

    Args:
      kind: `identity` or `original`; see the functions of these names.
      backgrounds: id of each composite's background.
      figures: id of each composite's figure.
      seed: seed of the random roles; used only by `identity`.
    """
    if kind == "identity":
        return identity(backgrounds, figures, seed)
    return [*original(len(backgrounds))]


def original(count: int) -> list[str]:
    """Return `train` or `test` for each composite, as the original project's code divided them.

    Args:
      count: number of composites, in the order of `file_map.txt`.
    """
    result = np.full(count, "test", object)
    result[original_order(count)[: int(0.7 * count)]] = "train"
    return list(result)


def original_order(count: int) -> np.ndarray:
    """Return the original's shuffle of `file_map.txt`: NumPy's legacy generator with seed 1."""
    return np.random.RandomState(1).permutation(count)


def roles(count: int, seed: int) -> list[str]:
    """Draw a role for each of `count` identities.

    The shares are 76 % train, 8 % validation and 16 % test, with at least one identity per role if
    there are enough.
    """
    counts = [max(1, round(share * count)) for share in SHARES[1:]]
    names = [ROLES[0]] * max(count - sum(counts), 0)
    names += [ROLES[1]] * counts[0] + [ROLES[2]] * counts[1]
    order = np.random.default_rng(seed).permutation(count)
    result = [""] * count
    for place, index in enumerate(order):
        result[index] = names[place]
    return result


def identity(backgrounds: Sequence[str], figures: Sequence[str], seed: int) -> list[str | None]:
    """Return the split of each composite by the roles of its background and figure.

    There are two cases. If composites form groups that share no identity with each other, as when
    each picture is used once or twice, every group gets one role, and no composite is left out. If
    nearly all composites are linked, as when every figure is on every background, backgrounds and
    figures get their roles independently.

    Args:
      backgrounds: id of each composite's background.
      figures: id of each composite's figure.
      seed: seed of the random roles.

    Returns:
      The split of each composite, or None where the roles do not define one.
    """
    background_ids, background_index = np.unique(backgrounds, return_inverse=True)
    figure_ids, figure_index = np.unique(figures, return_inverse=True)
    links = coo_matrix(
        (np.ones(len(backgrounds)), (background_index, figure_index + len(background_ids))),
        shape=2 * [len(background_ids) + len(figure_ids)],
    )
    _, group_of_node = connected_components(links, directed=False)
    group = group_of_node[background_index]
    if np.bincount(group).max() <= len(backgrounds) / 2:
        names, group = np.unique(group, return_inverse=True)
        group_role = roles(len(names), seed)
        return [group_role[g] for g in group]
    background_role = roles(len(background_ids), seed)
    figure_role = roles(len(figure_ids), seed + 1)
    return [
        SPLIT_OF_ROLES.get((background_role[b], figure_role[f]))
        for b, f in zip(background_index, figure_index)
    ]


def shared(
    train: Sequence[tuple[str, str]], other: Sequence[tuple[str, str]]
) -> tuple[float, float, float]:
    """Return how much of a split also occurs in training.

    Args:
      train: (background, figure) of the training composites.
      other: (background, figure) of the composites of another split.

    Returns:
      Three shares of the composites of `other`: those whose background is in `train`, those whose
      figure is, and those whose pair of background and figure is.
    """
    backgrounds, figures = {bg for bg, _ in train}, {fg for _, fg in train}
    pairs = set(train)
    return (
        sum(bg in backgrounds for bg, _ in other) / len(other),
        sum(fg in figures for _, fg in other) / len(other),
        sum(pair in pairs for pair in other) / len(other),
    )
