"""The table and the curves of a sweep."""

from modest.sweep import report


def test_table_has_a_column_for_each_metric_that_a_setting_has():
    iou = {"mean": 0.7083, "spread": 0.1909, "low": 0.65, "high": 0.75}
    rmse = {"mean": 0.125, "spread": None, "low": None, "high": None}
    rows = {
        ("a",): {"n": 3, "seconds": 9.6, "mask/iou": iou},
        ("b",): {"n": 1, "seconds": None, "mask/iou": iou, "depth/rmse": rmse},
    }
    lines = [
        [cell.strip() for cell in line.split("|")[1:-1]]
        for line in report.markdown(["loss"], rows).splitlines()
    ]
    assert lines[0] == ["loss", "n", "mask/iou", "depth/rmse", "seconds"]
    text = "0.7083 ± 0.1909 (0.6500 to 0.7500)"
    assert lines[2:] == [["a", "3", text, "-", "10"], ["b", "1", text, "0.1250", "-"]]


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
