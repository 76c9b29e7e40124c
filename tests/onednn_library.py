"""The condition of the tests that call oneDNN."""

import pytest

from modest.kernels import selection

needs_onednn = pytest.mark.skipif(
    not selection.uses_onednn(), reason="oneDNN is not installed (modest[cpu])"
)
