"""The comparison of motion estimates."""

import importlib
import sys

import pytest


def test_help_estimates_nothing(monkeypatch, capsys):
    pytest.importorskip("cv2", reason="OpenCV is not installed")
    pytest.importorskip("skimage", reason="scikit-image is not installed")
    homographies = importlib.import_module("benchmarks.homographies")
    monkeypatch.setattr(sys, "argv", ["homographies", "--help"])
    monkeypatch.setattr(homographies, "moved", lambda *_: pytest.fail("an estimate was begun"))
    with pytest.raises(SystemExit, match="0"):
        homographies.main()
