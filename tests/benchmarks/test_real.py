import importlib
import json
from types import SimpleNamespace

import numpy as np
import pytest
from PIL import Image

from benchmarks import mismatch, real
from benchmarks.jobs import real_scores, real_sets
from modest.commands import process
from modest.errors import InputError
from modest.inference import predict


def save(path, picture):
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(picture).save(path)


def square(size, *corner_and_side):
    """Return a mask with a square in it: bool `[size,size]`."""
    row, column, side = corner_and_side
    mask = np.zeros((size, size), bool)
    mask[row : row + side, column : column + side] = True
    return mask


@pytest.fixture
def pairs(tmp_path):
    """Two composites of 20 px: white squares of 10 px on black, with depth."""
    lines = []
    for number, corner in ((1, (2, 2)), (2, (8, 6))):
        mask = 255 * square(20, *corner, 10).astype(np.uint8)
        save(tmp_path / f"bg/bg{number}.png", np.zeros((20, 20, 3), np.uint8))
        save(tmp_path / f"bg_fg/bg{number}_fg1_1.png", np.repeat(mask[..., None], 3, axis=2))
        save(tmp_path / f"bg_fg_mask/m{number}.png", mask)
        save(tmp_path / f"bg_fg_depth_map/d{number}.png", np.where(mask, 60, 200).astype(np.uint8))
        lines.append(f"bg{number} bg{number}_fg1_1 m{number} d{number}\n")
    (tmp_path / "file_map.txt").write_text("".join(lines))
    return tmp_path


def difference(bg, bg_fg):
    """A network for these tests: where the pictures differ; and a depth of another scale."""
    mask = np.abs(bg_fg.astype(float) - bg).max(axis=-1) / 255
    return {"mask": mask, "depth": 0.9 - 0.1 * mask}


def difference_sequence(bg, named):
    for name, bg_fg in named:
        yield name, bg_fg, difference(bg, bg_fg)


def test_perfect_prediction(pairs):
    summary = real_scores.summarise(real_scores.evaluate_pairs(pairs, difference))
    assert summary["pictures"] == 2
    for name in ("iou", "iou_outside_band"):
        assert summary[name] == summary[f"{name}/worst"] == 1
        assert summary[f"{name}/poor"] == 0
    assert summary["delta1"] == 1  # after scale and shift


def test_scores_of_one_bad_picture(pairs):
    def left_half_is_missing(bg, bg_fg):
        mask = difference(bg, bg_fg)["mask"].copy()
        mask[:, :7] = 0  # half of the first square, a tenth of the second
        return {"mask": mask}

    results = real_scores.evaluate_pairs(pairs, left_half_is_missing)
    assert [result.scores["iou"] for result in results] == [0.5, 0.9]
    # Of the inner 6 x 6 px of the first square, three columns are missing; of the second, none.
    assert [result.scores["iou_outside_band"] for result in results] == [0.5, 1]
    summary = real_scores.summarise(results)
    assert summary["iou"] == summary["iou/median"] == 0.7
    assert (summary["iou/worst"], summary["iou/poor"]) == (0.5, 1)
    assert (summary["iou/low"], summary["iou/high"]) == (0.5, 0.9)  # either background twice
    assert "delta1" not in summary
    assert [title for title, _ in real_scores.worst(results, 1)] == ["bg1_fg1_1: IoU 0.500"]


def test_mean_over_networks_has_spread_and_interval():
    first = [{"iou": 0.5, "delta1": 1.0}, {"iou": 0.9}]
    second = [{"iou": 0.3, "delta1": 0.5}, {"iou": 0.7}]
    mean = real_scores.mean_over_networks([first, second], ["bg1", "bg2"])
    assert mean["networks"] == 2
    assert mean["iou"] == pytest.approx(0.6)
    assert mean["iou/spread"] == pytest.approx(np.std([0.7, 0.5], ddof=1))
    assert (mean["iou/low"], mean["iou/high"]) == pytest.approx((0.4, 0.8))
    assert mean["delta1"] == pytest.approx(0.75)
    mask_only = [{"iou": 0.3}, {"iou": 0.7}]
    assert "delta1" not in real_scores.mean_over_networks([first, mask_only], ["bg1", "bg2"])


def test_interval_of_one_background_is_unknown(pairs):
    result, _ = real_scores.evaluate_pairs(pairs, difference)
    summary = real_scores.summarise([result])
    mean = real_scores.mean_over_networks([[result.scores]], [result.background])
    for name in real_scores.SCORES:
        assert [summary[f"{name}/low"], summary[f"{name}/high"]] == [None, None]
        assert [mean[f"{name}/low"], mean[f"{name}/high"]] == [None, None]


def test_written_results_are_json(tmp_path):
    real.write([{"iou": 0.5, "iou/low": None}], str(tmp_path))
    assert json.loads((tmp_path / "real.json").read_text()) == [{"iou": 0.5, "iou/low": None}]
    with pytest.raises(ValueError):
        real.write([{"iou": float("nan")}], str(tmp_path))


def test_mean_needs_networks_of_one_size(pairs, monkeypatch):
    monkeypatch.setattr(predict, "Predictor", lambda workdir, size=None: SimpleNamespace(size=64))
    with pytest.raises(SystemExit):
        real.main(["--workdir=a", f"--set=x={pairs}", "--mean"])
    sizes = iter((64, 160))
    monkeypatch.setattr(
        predict, "Predictor", lambda workdir, size=None: SimpleNamespace(size=next(sizes))
    )
    with pytest.raises(InputError, match="different sizes; give --size"):
        real.main(["--workdir=a", "--workdir=b", f"--set=x={pairs}", "--mean"])


def test_band_is_empty_around_a_mask_without_contour():
    assert real_scores.away_from_contour(np.zeros((4, 4), bool)).all()
    assert real_scores.away_from_contour(np.ones((4, 4), bool)).all()


def test_clip_counts_as_cdnet_does(tmp_path):
    """Frames 1 and 2 have no truth and give the background; shadow is background."""
    picture, truth = np.zeros((10, 10), np.uint8), np.zeros((10, 10), np.uint8)
    picture[:, :4] = 255  # predicted: 40 px
    truth[:, :3] = 255  # moving: 30 px
    truth[:5, 3] = 50  # shadow that is predicted: 5 px
    truth[5:, 3] = 170  # unknown, though predicted
    truth[:, 8] = 255  # moving, missed: 10 px
    truth[:5, 9] = 50  # shadow that is not predicted: 5 px
    for number in (1, 2, 3):
        shown = picture if number == 3 else np.zeros_like(picture)
        (tmp_path / "input").mkdir(exist_ok=True)
        coloured = Image.fromarray(np.repeat(shown[..., None], 3, axis=2))
        coloured.resize((80, 80), 0).save(tmp_path / f"input/in{number:06}.jpg", quality=100)
        large = truth.repeat(8, axis=0).repeat(8, axis=1)
        save(tmp_path / f"groundtruth/gt{number:06}.png", large)
    (tmp_path / "temporalROI.txt").write_text("3 3\n")
    assert real_sets.is_clip(tmp_path)
    summary = real_scores.evaluate_clip(tmp_path, difference_sequence)
    assert summary["frames"] == 1
    assert summary["precision"] == pytest.approx(30 / 35)
    assert summary["recall"] == pytest.approx(30 / 40)
    assert summary["f1"] == pytest.approx(60 / 75)
    assert summary["shadow_as_foreground"] == pytest.approx(5 / 10)
    (tmp_path / "temporalROI.txt").write_text("3 4\n")
    with pytest.raises(InputError, match="frames 3 to 4, but the clip has 3"):
        real_scores.evaluate_clip(tmp_path, difference_sequence)


def test_picture_without_known_depth_does_not_count(pairs):
    known, other = real_sets.pairs(pairs)
    unknown = other._replace(depth=np.full((20, 20), np.nan))
    results = real_scores.evaluate_all([known, unknown], difference)
    assert real_scores.summarise(results)["delta1"] == 1


@pytest.mark.parametrize("texts", [["a=.", "a=.."], ["test=."]])
def test_names_of_sets_differ(texts):
    with pytest.raises(InputError, match="is given twice"):
        real_sets.directories(texts, reserved=("test",))


def test_missing_score_is_a_dash():
    assert real.text_of({"f1": 0.91234, "shadow_as_foreground": None}) == (
        "f1 0.9123, shadow_as_foreground -"
    )


def test_mismatch_of_a_set_without_texture_is_unknown(pairs, monkeypatch, capsys):
    class Difference:
        __call__ = staticmethod(difference)
        sequence = staticmethod(lambda bg, named, batch: difference_sequence(bg, named))

    monkeypatch.setattr(predict, "Predictor", lambda workdir: Difference())
    mismatch.run("a", [f"flat={pairs}"], None)
    assert "flat, right: too little texture\n" in capsys.readouterr().out


@pytest.mark.parametrize("name", ["alignment", "mismatch", "robustness"])
@pytest.mark.parametrize("option, message", [("--count=0", "--count=0: "), ("--set=x", "--set=x")])
def test_bad_option_is_an_error(name, option, message, tmp_path, capsys, monkeypatch):
    pytest.importorskip("cv2", reason="OpenCV is not installed")
    benchmark = importlib.import_module(f"benchmarks.{name}")
    monkeypatch.chdir(tmp_path)  # the default of --out
    arguments = [f"--workdir={tmp_path / 'no'}", f"--set=a={tmp_path}", option]
    assert process.run(benchmark.main, arguments) == 2
    assert message in capsys.readouterr().err


@pytest.mark.parametrize("name", ["alignment", "mismatch", "real", "robustness"])
def test_command_without_a_network_is_an_error(name, tmp_path, capsys, monkeypatch):
    if name in ("alignment", "robustness"):
        pytest.importorskip("cv2", reason="OpenCV is not installed")
    benchmark = importlib.import_module(f"benchmarks.{name}")
    monkeypatch.chdir(tmp_path)  # the default of --out
    arguments = [f"--workdir={tmp_path / 'no'}", f"--set=a={tmp_path}"]
    assert process.run(benchmark.main, arguments) == 2
    assert "nothing was trained" in capsys.readouterr().err
