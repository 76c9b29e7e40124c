"""Which composites train, which choose the best step, and which test: by the identity of background and figure.

Every background and every figure has one role, train, validation or test, and a composite's split follows from both roles:

    background \\ figure   train               validation   test
    train                  train               -            test_seen_background
    validation             -                   validation   -
    test                   test_seen_figure    -            test

So `test` has neither a background nor a figure in common with training, and the two others share exactly one. Composites that mix
validation with something else ("-") belong to no split, since they would leak what chooses the best step.

The original's own division is here too, for comparison with what it published: composites shuffled, 70 % train, 30 % test. Nearly
every background, figure and pair of the two in its test set was trained on.
"""

import numpy as np
from scipy.sparse import coo_matrix
from scipy.sparse.csgraph import connected_components

ROLES = ("train", "validation", "test")
SHARES = (0.76, 0.08, 0.16)
SPLIT_OF_ROLES = {
    ("train", "train"): "train",
    ("validation", "validation"): "validation",
    ("test", "test"): "test",
    ("train", "test"): "test_seen_background",
    ("test", "train"): "test_seen_figure",
}


def divide(kind, backgrounds, figures, seed):
    """The split of each composite, or None, by `kind`; `backgrounds` and `figures` are its ids, two lists of equal length."""
    return identity(backgrounds, figures, seed) if kind == "identity" else original(len(backgrounds))


def original(count):
    """`train` or `test` for each of `count` composites in the order of `file_map.txt`, as the original's code divided them."""
    result = np.full(count, "test", object)
    result[original_order(count)[: int(0.7 * count)]] = "train"
    return list(result)


def original_order(count):
    """The original's shuffle of `file_map.txt`: numpy's legacy generator, seed 1."""
    return np.random.RandomState(1).permutation(count)


def roles(count, seed):
    """The role of each of `count` identities, a list drawn by `seed`: 76, 8 and 16 % of them, at least one each where it can be."""
    counts = [max(1, round(share * count)) for share in SHARES[1:]]
    names = [ROLES[0]] * max(count - sum(counts), 0) + [ROLES[1]] * counts[0] + [ROLES[2]] * counts[1]
    order = np.random.default_rng(seed).permutation(count)
    result = [""] * count
    for place, index in enumerate(order):
        result[index] = names[place]
    return result


def identity(backgrounds, figures, seed):
    """The split of each composite, or None, by the roles of its background and figure.

    Where the composites fall into groups that share nothing (few pictures, each used once or twice), whole groups get a role and
    no composite is left out. Where nearly everything is linked (every figure on every background), backgrounds and figures get
    their roles each on their own.
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
        role = roles(len(names), seed)
        return [role[g] for g in group]
    background_role, figure_role = roles(len(background_ids), seed), roles(len(figure_ids), seed + 1)
    return [SPLIT_OF_ROLES.get((background_role[b], figure_role[f])) for b, f in zip(background_index, figure_index)]


def shared(train, other):
    """The shares of `other` whose background, whose figure, and whose pair of the two is in `train` too; lists of (bg, fg) ids."""
    seen = [{bg for bg, _ in train}, {fg for _, fg in train}, set(train)]
    return [sum(value in known for value in values) / len(other) for known, values in zip(seen, (*zip(*other), other))]
