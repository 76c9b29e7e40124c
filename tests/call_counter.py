"""A function for worker processes that counts its calls."""

import os
import pathlib


class CallCounter:
    """Leaves a file for every call: the process, and how many calls this copy has had before."""

    def __init__(self, directory):
        self._directory = directory
        self._calls = 0

    def __call__(self, item):
        (pathlib.Path(self._directory) / f"{os.getpid()} {self._calls}").touch()
        self._calls += 1
