"""What a run leaves on disk, for comparing two runs."""

import jax

from modest.run import logbook
from modest.state import train_state
from modest.state.checkpoint import Checkpoints


def lines(workdir):
    """Return the lines of `metrics.jsonl`, without values that a clock has measured."""
    clock = logbook.CLOCK_VALUES
    return [
        {name: value for name, value in line.items() if name not in clock}
        for line in logbook.read_metrics(workdir)
    ]


def final_state(config, workdir):
    """Return the state and `meta` of the newest checkpoint."""
    with Checkpoints(workdir / "checkpoints") as checkpoints:
        created = train_state.create(config, 1, 1)
        return checkpoints.restore(checkpoints.latest(), jax.eval_shape(created.init))
