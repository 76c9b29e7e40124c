"""The table and the curves of a sweep."""

import statistics

import pytest

from modest.errors import InputError
from modest.sweep import report


def test_mean_and_spread():
    ious = [0.5, 0.75, 0.875]
    results = {("a",): [{"other": {}, "test": {"mask/iou": x, "examples": 9}} for x in ious]}
    results[("b",)] = [{"test": {"mask/iou": 0.25, "depth/rmse": 0.125}}]
    split, rows = report.summarise(results)
    assert split == "test"
    assert rows[("a",)] == {
        "n": 3,
        "mask/iou": {
            "mean": pytest.approx(statistics.mean(ious)),
            "spread": pytest.approx(statistics.stdev(ious)),
        },
    }
    assert rows[("b",)] == {
        "n": 1,
        "mask/iou": {"mean": 0.25, "spread": None},
        "depth/rmse": {"mean": 0.125, "spread": None},
    }
    lines = [
        [cell.strip() for cell in line.split("|")[1:-1]]
        for line in report.markdown(["loss"], rows).splitlines()
    ]
    assert lines[0] == ["loss", "n", "mask/iou", "depth/rmse"]
    assert lines[2:] == [["a", "3", "0.7083 ± 0.1909", "-"], ["b", "1", "0.2500", "0.1250"]]


def test_split_is_common_to_all_runs():
    assert report.summarise({("a",): [{"x": {}, "y": {}}], ("b",): [{"y": {}}]})[0] == "y"
    with pytest.raises(InputError, match="no split on which all runs"):
        report.summarise({("a",): [{"x": {}}], ("b",): [{"y": {}}]})


def test_curves_have_a_colour_per_setting():
    def lines(*ious):
        epochs = enumerate(ious, 1)
        return [{"epoch": e, "val/mask/iou": x, "val/loss": 1.0} for e, x in epochs]

    logs = {(str(i),): [lines(0.25, 0.5, 0.75), lines(0.5, 1.0)] for i in range(9)}
    figure = report.curves(logs)
    thick = [line for line in figure.axes[0].lines if line.get_linewidth() > 1]
    assert len(figure.axes) == 1 and len(figure.axes[0].lines) == 3 * len(thick) == 27
    assert all(
        list(line.get_xdata()) == [1, 2] and list(line.get_ydata()) == [0.375, 0.75]
        for line in thick
    )
    assert len({(line.get_color(), line.get_linestyle()) for line in thick}) == 9
    assert [text.get_text() for text in figure.legends[0].get_texts()] == [str(i) for i in range(9)]
