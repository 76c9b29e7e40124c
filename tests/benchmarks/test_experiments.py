"""Verdicts on the claims, from made-up results."""

import numpy as np
import pytest

from benchmarks import experiments
from modest.evaluation.tables import Table
from modest.run import config_files
from modest.sweep.results import Result

BACKGROUNDS = [f"room{k // 4}" for k in range(40)]


def runs_of(*columns):
    """Return the runs of one config, whose pictures have these IoUs, a column per seed."""
    return [
        Result(
            {"test": {"mask/iou": float(column.mean())}},
            {"test": Table(list(range(40)), BACKGROUNDS, BACKGROUNDS, {"mask/iou": column})},
            seconds=10.0,
        )
        for column in columns
    ]


def around(rng, mean):
    return mean + 0.01 * rng.standard_normal(40)


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
    runs = (runs_of(around(rng, mean), around(rng, mean)) for mean in (first, second))
    found = experiments.judge(claim, *runs)
    assert found["verdict"] == verdict
    assert found["low"] < found["difference"] < found["high"]
    assert found["difference"] == pytest.approx(first - second, abs=0.01)


@pytest.mark.parametrize("claim", [claim_of(1), claim_of(-1), claim_of(0, 0.01)])
def test_rooms_that_disagree_decide_nothing(rng, claim):
    column = around(rng, 0.9)
    sign = np.array([(-1) ** int(room[4:]) for room in BACKGROUNDS])
    other = column + 0.05 * sign
    found = experiments.judge(claim, runs_of(column, column), runs_of(other, other))
    assert found["verdict"] == "not decided"
    assert found["verdict"] in experiments.markdown([found])


def test_seeds_that_disagree_decide_nothing(rng):
    """Every picture of the second config is better, by less than two seeds of it differ."""
    column = around(rng, 0.9)
    second = runs_of(column + 0.005, column + 0.045, column + 0.025)
    found = experiments.judge(claim_of(-1), runs_of(column, column, column), second)
    assert found["difference"] == pytest.approx(-0.025)
    # Welch's interval: t(0.975, 2 degrees of freedom) * 0.02 / sqrt(3); the pictures add nothing.
    assert found["high"] == pytest.approx(-0.025 + 4.3027 * 0.02 / np.sqrt(3), abs=1e-4)
    assert found["verdict"] == "not decided"


def test_claims_compare_configs_that_exist():
    for name in experiments.CONFIGS:
        config_files.load(name)
    for claim in experiments.CLAIMS:
        assert {claim.first, claim.second} <= set(experiments.CONFIGS)
        assert np.sign(claim.sign) == claim.sign and (claim.margin > 0) == (claim.sign == 0)
