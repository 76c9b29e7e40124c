"""Predictions with a background that is made to fit."""

import numpy as np
import pytest

from modest.data import images
from modest.data.synthetic import rooms
from modest.inference import alignment, fitting


@pytest.fixture
def views():
    """Return a room, and two pictures from a camera that moved."""
    pytest.importorskip("cv2", reason="OpenCV is not installed")
    bg = rooms.render(1, 160).picture
    return bg, np.roll(bg, 6, axis=1), np.roll(bg, -6, axis=1)


def test_background_is_fitted_once_or_to_each(predictor, views):
    bg, *pictures = views
    named = list(zip("ab", pictures))
    once = list(fitting.predictions(predictor, bg, named))
    each = list(fitting.predictions(predictor, bg, named, each=True))
    assert [result.name for result in once] == ["a", "b"]
    assert once[0].report["alignment"] == once[1].report["alignment"]
    assert each[0].report["alignment"] != each[1].report["alignment"]
    assert all(fitting.fits(result.report) for result in (once[0], *each))
    assert each[1].report["mismatch"] < 0.5 * each[1].report["mismatch_before"]


def test_mask_is_zero_where_it_is_unknown(predictor, views):
    (result,) = fitting.predictions(predictor, views[0], [("a", views[1])], batch=1)
    assert result.unknown[:, 0].all() and not result.unknown[10:-10, 20:-20].any()
    assert not result.maps["mask"][result.unknown].any()


def test_off_is_the_network_alone(predictor, views):
    bg, picture, _ = views
    (result,) = fitting.predictions(predictor, bg, [("a", picture)], align="off", batch=1)
    np.testing.assert_array_equal(result.maps["mask"], predictor(bg, picture)["mask"])
    assert result.report["alignment"] is None and "mismatch_before" not in result.report


def test_grey_picture_is_compared_in_grey(predictor, views):
    """With a coloured background, and a grey background with a coloured picture."""
    bg, _, _ = views
    picture = bg.copy()
    picture[60:120, 40:80] = (200, 40, 90)
    grey = {name: images.to_grey(x) for name, x in (("bg", bg), ("picture", picture))}
    (expected,) = fitting.predictions(predictor, grey["bg"], [("a", grey["picture"])], "off")
    assert not expected.report["compared_in_grey"]
    named = [("a", grey["picture"]), ("b", picture), ("c", grey["picture"])]
    mixed = list(fitting.predictions(predictor, bg, named, "off"))
    mixed += list(fitting.predictions(predictor, grey["bg"], [("d", picture)], "off"))
    assert [result.name for result in mixed] == list("abcd")
    assert [result.report["compared_in_grey"] for result in mixed] == [True, False, True, True]
    for result in (mixed[0], mixed[2], mixed[3]):
        np.testing.assert_allclose(result.maps["mask"], expected.maps["mask"], atol=1e-5)
    assert "3 of 4 compared in grey" in fitting.summarise({r.name: r.report for r in mixed})


def test_another_view_does_not_fit(predictor, views):
    other = rooms.render(7, 160).picture
    for mode in alignment.MODES:
        (result,) = fitting.predictions(predictor, views[0], [("a", other)], mode, batch=1)
        assert not fitting.fits(result.report), mode


def test_first_picture_of_the_view_is_the_example(predictor, views):
    """One of another view comes first, and must not decide how the others are aligned."""
    bg, picture, _ = views
    named = [("a", rooms.render(7, 160).picture), ("b", picture), ("c", picture)]
    results = list(fitting.predictions(predictor, bg, named))
    assert [fitting.fits(result.report) for result in results] == [False, True, True]
    alone = next(fitting.predictions(predictor, bg, named[1:2]))
    for result in results[1:]:
        assert result.report["alignment"] == alone.report["alignment"]


def test_summary_names_the_worst_picture():
    moved = {"motion": 3.0}
    reports = {
        "a": {"mismatch": 0.1, "alignment": moved, "compared_in_grey": False},
        "b": {"mismatch": 0.4, "alignment": None, "compared_in_grey": False},
        "c": {"mismatch": None, "alignment": None, "compared_in_grey": False},
    }
    assert fitting.summarise(reports) == (
        "mismatch of the background: at most 0.40 (b); 0.25 is the limit; aligned for 1 of 3, "
        "by up to 3.0 px"
    )
    assert "too little texture" in fitting.summarise({"c": reports["c"]})
