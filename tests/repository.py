"""Paths of the repository, for tests that run its commands."""

import pathlib

ROOT = pathlib.Path(__file__).resolve().parents[1]
