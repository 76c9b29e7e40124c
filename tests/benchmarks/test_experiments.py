"""Rows and verdicts of the experiments, from made-up results."""

import dataclasses

import numpy as np
import pytest

from benchmarks import experiments
from modest.evaluation.tables import Table
from modest.run import config_files

BACKGROUNDS = [f"room{k // 4}" for k in range(40)]


def result_of(rng, *means, spread=0.01):
    """Return the runs of one config, whose pictures have these mean IoUs, one per seed."""
    columns = [mean + spread * rng.standard_normal(40) for mean in means]
    pictures = [
        Table(list(range(40)), BACKGROUNDS, BACKGROUNDS, {"mask/iou": column}) for column in columns
    ]
    evals = [{"mask/iou": float(column.mean())} for column in columns]
    return experiments.Result(evals, pictures, [10.0] * len(means))


def claim_of(sign, margin=0.0):
    return experiments.Claim("a claim", "a", "b", "mask/iou", sign, margin)


@pytest.mark.parametrize(
    ("first", "second", "claim", "verdict"),
    [
        (0.95, 0.90, claim_of(1), "confirmed"),
        (0.90, 0.95, claim_of(1), "refuted"),
        (0.90, 0.95, claim_of(-1), "confirmed"),
        (0.900, 0.902, claim_of(0, 0.02), "confirmed"),
        (0.95, 0.90, claim_of(0, 0.02), "refuted"),
        (0.90, 0.95, claim_of(0, 0.02), "refuted"),
    ],
)
def test_verdict_follows_from_the_interval(rng, first, second, claim, verdict):
    runs = (result_of(rng, mean, mean) for mean in (first, second))
    found = experiments.judge(claim, *runs)
    assert found["verdict"] == verdict
    assert found["low"] < found["difference"] < found["high"]
    assert found["difference"] == pytest.approx(first - second, abs=0.01)


@pytest.mark.parametrize("claim", [claim_of(1), claim_of(-1), claim_of(0, 0.01)])
def test_rooms_that_disagree_decide_nothing(rng, claim):
    first = result_of(rng, 0.9)
    sign = np.array([(-1) ** int(room[4:]) for room in BACKGROUNDS])
    column = first.pictures[0].values["mask/iou"] + 0.05 * sign
    second = first._replace(
        pictures=[dataclasses.replace(first.pictures[0], values={"mask/iou": column})]
    )
    assert experiments.judge(claim, first, second)["verdict"] == "not decided"


def test_row_has_the_spread_of_the_seeds_and_the_interval_of_the_pictures(rng):
    row = experiments.row("a", result_of(rng, 0.8, 0.9, 1.0))
    cell = row["mask/iou"]
    assert row["n"] == 3 and cell["spread"] == pytest.approx(0.1, abs=0.01)
    assert 0.88 < cell["low"] < cell["mean"] < cell["high"] < 0.92
    text = experiments.markdown([row], [])
    assert f"{cell['mean']:.4f} ± {cell['spread']:.4f}" in text


def test_claims_compare_configs_that_exist():
    for name in experiments.CONFIGS:
        config_files.load(name)
    for claim in experiments.CLAIMS:
        assert {claim.first, claim.second} <= set(experiments.CONFIGS)
        assert np.sign(claim.sign) == claim.sign and (claim.margin > 0) == (claim.sign == 0)
