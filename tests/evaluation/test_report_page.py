"""The report: what it shows of runs, of old runs and of damaged files, and that it is one file."""

import html.parser
import json
import re
import shutil
import subprocess

import numpy as np
import pytest
from PIL import Image

from modest.__main__ import main
from modest.errors import InputError
from modest.evaluation import statistics, tables
from modest.evaluation.report import examples, page, plots, runs, sections
from modest.evaluation.tables import Table
from modest.metrics import masks
from modest.run import workdirs

VOID = ("meta", "img", "br")
CHROMIUM = shutil.which("chromium") or shutil.which("google-chrome")


class Page(html.parser.HTMLParser):
    """Checks that tags are closed in order; collects addresses and text."""

    def __init__(self, text):
        super().__init__()
        self.open, self.tags, self.addresses, self.text = [], [], [], ""
        self.feed(text)
        self.close()
        assert not self.open

    def handle_starttag(self, tag, attributes):
        self.tags.append(tag)
        self.addresses += [v for k, v in attributes if k in ("src", "href", "xlink:href")]
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag, attributes):
        self.handle_starttag(tag, attributes)
        self.open = self.open[: len(self.open) - (tag not in VOID)]

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        self.text += data


def add_run(workdir, quality, seed=0):
    """Write the files of a run whose masks are the better, the higher `quality` in [0, 1] is."""
    rng = np.random.default_rng(seed)
    results, of_splits, of_pictures = {}, {}, {}
    seen = {"test": (False, False), "test_seen_figure": (False, True), "train": (True, True)}
    for split, (background, figure) in seen.items():
        target = (rng.random((6, 16, 16, 1)) < 0.4).astype(np.float32)
        noise = rng.random(target.shape)
        output = (quality * target + (1 - quality) * noise).astype(np.float32)
        above = np.asarray(masks.above_thresholds(output, target))
        values = {
            "mask/iou": quality - 0.1 * rng.random(6),
            "depth/rmse": (1 - quality) * rng.random(6),
            "depth/pixels": np.full(6, 256.0),
            "depth/foreground/pixels": np.full(6, 100.0),
            "depth/foreground/rmse": np.full(6, 0.125),
            "depth/foreground/median/rmse": np.full(6, 0.0625),
        }
        table = Table(list(range(6)), list("aabbcc"), list("uvwxyz"), values)
        of_pictures[split] = table
        of_splits[split] = statistics.of_split(table, above)
        of_splits[split]["seen"] = {"background": background, "figure": figure}
        if split != "train":
            results[split] = {name: float(x.mean()) for name, x in values.items()} | {"loss": 1.0}
    workdir.mkdir(parents=True)
    details = {"parameters": 1234567, "threshold": 0.35, "splits": of_splits}
    (workdir / workdirs.EVAL).write_text(json.dumps(results))
    (workdir / workdirs.EVAL_DETAILS).write_text(json.dumps(details))
    tables.write(workdir / workdirs.EVAL_PICTURES, of_pictures)
    lines = [{"step": 1, "epoch": 1, "seconds": 65.4, "val/loss": 0.5, "val/mask/iou": quality}]
    (workdir / workdirs.METRICS).write_text("".join(json.dumps(line) + "\n" for line in lines))
    config = {"model": {"name": "pairnet"}, "stages": [[64, 1]], "seed": 7}
    sections_ = {"data": {}, "optimizer": {}, "checkpoint": {}, "augment": {}}
    (workdir / "config.json").write_text(json.dumps(config | sections_))
    rows, kinds = np.array([0, 3, 5]), np.array(["best", "typical", "worst"])
    shape = {kind: (3, 16, 16, 3 if "bg" in kind else 1) for kind in "bg bg_fg mask depth".split()}
    shape |= {f"output_{kind}": shape[kind] for kind in ("mask", "depth")}
    arrays = {kind: rng.integers(1, 255, size, np.uint8) for kind, size in shape.items()}
    arrays |= {"row": rows, "group": kinds}
    named = {f"test/mask/iou/{kind}": x for kind, x in arrays.items()}
    np.savez(workdir / workdirs.EVAL_EXTREMES, **named)
    return workdir


def test_page_compares_runs_and_is_one_file(tmp_path, capsys):
    good = add_run(tmp_path / "good & <b>", 0.9)
    bad = add_run(tmp_path / "bad", 0.6)
    assert main(["report", "--workdir", str(good), "--workdir", str(bad)]) == 0
    *figures, path = capsys.readouterr().out.splitlines()
    assert path == str(good / "report.html") and all("curves.png" in line for line in figures)
    text = (good / "report.html").read_text()
    shown = Page(text)
    assert "script" not in shown.tags and shown.tags.count("img") == 2 * 3 * 6
    for address in shown.addresses:
        assert address.startswith(("data:image/jpeg;base64,", "#")), address
    assert not re.search(r"url\((?!#)|@import", text)  # nor does a style load anything
    for expected in (
        "good & <b>",
        "1,234,567 parameters",
        "seed 7, 1 epochs, 65 s",
        "worst · c + z",
        "test_seen_figure",
        "threshold 0.35",
    ):
        assert expected in shown.text, expected
    assert "loads" not in shown.text and "nothing to show" not in shown.text.lower()
    assert page.render(runs.read([good, bad])) == text  # the same files, the same page


def test_tables_show_means_intervals_and_differences(tmp_path):
    good, bad = runs.read([add_run(tmp_path / "good", 0.9), add_run(tmp_path / "bad", 0.6)])
    value = good.value("test", "mask/iou")
    assert value.low < value.mean < value.high
    rows = sections.summary([good, bad]).split("<tr>")[2:]
    assert f"<b>{value.mean:.4f}</b>" in rows[0]
    assert f"{value.low:.4f}&ndash;{value.high:.4f}" in rows[0]
    assert f"<td>{bad.value('test', 'mask/iou').mean:.4f} " in rows[1]
    worse = bad.value("test", "mask/iou").mean - value.mean
    assert f"<td><b>{worse:+.4f}</b>" in sections.differences([good, bad])
    quadrants = Page(sections.quadrants(good)).text
    assert f"depth RMSE {good.value('train', 'depth/rmse').mean:.4f}" in quadrants
    assert sections.quadrants(good).count("<td>-</td>") == 1  # no test_seen_background
    assert "<td>foreground</td><td>median</td><td>0.0625" in sections.by_region(good)


def test_differences_need_the_same_pictures(tmp_path):
    first, other = add_run(tmp_path / "first", 0.9), add_run(tmp_path / "other", 0.6)
    table = other / workdirs.EVAL_PICTURES
    table.write_text(table.read_text().replace("test,0,a,u", "test,0,a,v"))
    assert sections.differences(runs.read([first, other])) == ""


@pytest.mark.parametrize(
    "content", [{"test": 1}, {"results": {"task": {"acc": 0.5}}, "n": 3}, {"test": {"a": "b"}}]
)
def test_results_of_another_program_are_refused(tmp_path, content):
    workdir = add_run(tmp_path / "run", 0.9)
    (workdir / workdirs.EVAL).write_text(json.dumps(content))
    with pytest.raises(InputError, match="eval.json: not the results of an evaluation"):
        runs.read([workdir])


def change_details(workdir, **changes):
    path = workdir / workdirs.EVAL_DETAILS
    path.write_text(json.dumps(json.loads(path.read_text()) | changes))


@pytest.mark.parametrize("changes", [{"size": 64}, {"dataset": "b"}])
def test_runs_that_were_evaluated_differently_are_not_compared(tmp_path, changes):
    first, other = add_run(tmp_path / "first", 0.9), add_run(tmp_path / "other", 0.6)
    for each in (first, other):
        change_details(each, size=160, dataset="a")
    assert sections.differences(runs.read([first, other]))
    assert "<b>" in sections.summary(runs.read([first, other]))
    change_details(other, **changes)
    assert not sections.differences(runs.read([first, other]))
    assert "<b>" not in sections.summary(runs.read([first, other]))


def test_run_without_intervals_of_pooled_values_is_shown(tmp_path):
    workdir = add_run(tmp_path / "run", 0.9)
    splits = json.loads((workdir / workdirs.EVAL_DETAILS).read_text())["splits"]
    for of_split in splits.values():
        for metric in of_split["metrics"].values():
            del metric["pooled_low"], metric["pooled_high"]
    change_details(workdir, splits=splits)
    (run,) = runs.read([workdir])
    assert run.value("test", "mask/iou").of_all_pixels.low is None
    assert "pooled" in sections.by_split(run)


def test_run_of_an_earlier_version_shows_what_it_has(tmp_path):
    old = add_run(tmp_path / "old", 0.5)
    for name in (workdirs.EVAL_DETAILS, workdirs.EVAL_PICTURES, workdirs.EVAL_EXTREMES):
        (old / name).unlink()
    (run,) = runs.read([old])
    shown = Page(page.render([run]))
    assert f"python -m modest eval --config CONFIG --workdir {old}" in shown.text
    assert f"{run.results['test']['mask/iou']:.4f}" in shown.text
    (old / workdirs.METRICS).unlink()
    (old / "config.json").unlink()
    assert "no run has a validation" in Page(page.render(runs.read([old]))).text


def test_runs_that_cannot_be_shown_are_refused(tmp_path, capsys):
    run = add_run(tmp_path / "run", 0.9)
    (tmp_path / "empty").mkdir()
    arguments = ["--workdir", str(run), "--workdir", str(tmp_path / "empty")]
    assert main(["report", *arguments]) == 2
    message = "empty: no eval.json, it was not evaluated; run python -m modest eval --config CONFIG"
    assert message in capsys.readouterr().err
    assert not (run / "report.html").exists()
    assert main(["report", "--workdir", str(run), "--workdir", f"{run}/../run"]) == 2
    assert "the same directory twice" in capsys.readouterr().err
    for name in (workdirs.EVAL_DETAILS, workdirs.EVAL_PICTURES, workdirs.EVAL_EXTREMES):
        content = (run / name).read_bytes()
        (run / name).write_bytes(content[: len(content) // 2])
        with pytest.raises(InputError, match=f"{name}: "):
            runs.read([run])
        (run / name).write_bytes(content)
    unwritable = tmp_path / "gone" / "report.html"
    with pytest.raises(InputError, match="cannot be written"):
        page.write([run], unwritable)
    details = run / workdirs.EVAL_DETAILS
    for damaged in (
        {"parameters": 1},
        {"splits": {"test": {"pictures": 6}}},
        {"splits": {"test": 6}},
    ):
        details.write_text(json.dumps(damaged))
        with pytest.raises(InputError, match="eval_details.json: damaged"):
            runs.read([run])


def test_error_maps_show_which_error_it_is():
    picture = np.full((1, 4, 3), 100, np.uint8)
    target = np.array([0, 255, 0, 255], np.uint8).reshape(1, 4, 1)
    output = np.array([10, 200, 128, 127], np.uint8).reshape(1, 4, 1)
    nothing, hit, too_much, missed = examples.mask_errors(picture, target, output)[0]
    assert tuple(too_much) == examples.TOO_MUCH and tuple(missed) == examples.MISSED
    assert nothing.tolist() == [50, 50, 50] and hit.tolist() == [167, 167, 167]
    known = np.array([[255, 255, 255, 0]], np.uint8)
    true, predicted = np.array([[100, 100, 100, 100]]), np.array([[80, 100, 120, 120]])
    near, right, far, unknown = examples.depth_errors(true, predicted, known)[0].astype(int)
    assert near[2] > near[0] + 20 and far[0] > far[2] + 20  # blue, red
    assert right.min() > 240 and unknown.tolist() == [128, 128, 128]


@pytest.mark.skipif(CHROMIUM is None, reason="needs Chromium")
def test_browser_draws_the_page(tmp_path):
    run = add_run(tmp_path / "run", 0.9)
    path = page.write([run], tmp_path / "report.html")
    command = [CHROMIUM, "--headless", "--no-sandbox", "--disable-gpu", "--window-size=1000,1400"]
    command += [f"--user-data-dir={tmp_path / 'profile'}", "--hide-scrollbars"]
    command += [f"--screenshot={tmp_path / 'page.png'}", path.as_uri()]
    subprocess.run(command, check=True, capture_output=True, timeout=120)
    with Image.open(tmp_path / "page.png") as image:
        pixels = np.asarray(image.convert("RGB")).reshape(-1, 3)
    assert image.size == (1000, 1400)
    colour = [int(plots.colour(0)[i : i + 2], 16) for i in (1, 3, 5)]
    assert (pixels == colour).all(axis=1).sum() > 500  # spots, bars and curves of the run
