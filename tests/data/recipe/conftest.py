"""Options of a small recipe."""

import pytest

from recipe_inputs import SMALL, write_inputs


@pytest.fixture
def options(tmp_path):
    """Return options of a recipe with three backgrounds of different shapes and two cut-outs."""
    inputs = write_inputs(tmp_path, backgrounds=3, figures=2)
    return {**SMALL, "out": str(tmp_path / "out"), **inputs}
