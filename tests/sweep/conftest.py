"""A sweep whose runs are simulated."""

import pathlib

import pytest

from modest.run import config_files, configs, signals
from modest.sweep import runner
from sweep_runs import finish


@pytest.fixture
def launched(monkeypatch):
    """Replace the training of a run by the files that it leaves.

    Returns the names of the runs so far, and a dict for the exit statuses of runs that fail.
    """

    def run(command, received):
        options = dict(option.split("=", 1) for option in command[4:6])
        workdir = pathlib.Path(options["--workdir"])
        names.append(workdir.name)
        status = statuses.get(workdir.name, 0)
        config = config_files.read(options["--config"], command[6:])
        workdir.mkdir(parents=True, exist_ok=True)
        configs.save(config, workdir, dataset=None)
        if status in signals.STOPPED:
            received.append(status - 128)
        if status == 0:
            finish(workdir, iou=1 / (1 + config.seed) + 0.01 * config.batch_size)
        return status

    names, statuses = [], {}
    monkeypatch.setattr(runner, "_run_process", run)
    return names, statuses
