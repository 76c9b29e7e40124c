"""Results of runs in one file: those of several places come together, and stale ones do not."""

import shutil
from types import SimpleNamespace

import numpy as np
import pytest

from benchmarks import experiments
from benchmarks.jobs import result_records
from modest.errors import InputError
from modest.run import configs
from modest.sweep import plan
from sweep_runs import finish


def plan_of(workdir, common=()):
    return plan.plan("masknet", ["seed=0,1"], list(common), workdir)


def end(run, iou, dataset="abc"):
    run.workdir.mkdir(parents=True)
    configs.save(run.settings, run.workdir, {"name": "museum", "sha256": dataset})
    finish(run.workdir, iou)


def test_results_of_two_machines_come_together(tmp_path):
    file = tmp_path / "records.jsonl"
    first, second = (plan_of(tmp_path / name) for name in ("a", "b"))
    end(first[0], 0.5)
    assert len(result_records.update(file, first)) == 1
    shutil.rmtree(tmp_path / "a")
    end(second[1], 0.75)
    found = result_records.update(file, second)
    assert list(found) == [run.workdir.name for run in second]
    ious = [result.means["test"]["mask/iou"] for result in found.values()]
    assert ious == pytest.approx([0.5, 0.75])
    for iou, result in zip(ious, found.values()):
        assert result.pictures["test"].values["mask/iou"].mean() == pytest.approx(iou)
    before = file.read_bytes()
    result_records.update(file, second)
    assert file.read_bytes() == before


def test_record_of_other_settings_is_not_used_and_stays(tmp_path):
    file = tmp_path / "records.jsonl"
    runs = plan_of(tmp_path / "a")
    end(runs[0], 0.5)
    result_records.update(file, runs)
    others = plan_of(tmp_path / "b", ["--config.batch_size=8"])
    assert not result_records.update(file, others)
    assert len(result_records.update(file, runs)) == 1


def test_key_that_was_added_later_keeps_the_records(tmp_path, monkeypatch):
    file = tmp_path / "records.jsonl"
    runs = plan_of(tmp_path / "a")
    end(runs[0], 0.5)
    result_records.update(file, runs)
    monkeypatch.setitem(configs.LATER, "data.new", 0.0)
    for value, expected in ((0.0, 1), (0.5, 0)):
        with runs[0].settings.unlocked():
            runs[0].settings.data.new = value
        others = [runs[0]._replace(workdir=tmp_path / "b" / runs[0].workdir.name)]
        assert len(result_records.update(file, others)) == expected


def test_without_a_file_the_finished_runs_are_read(tmp_path):
    runs = plan_of(tmp_path)
    end(runs[1], 0.25)
    (result,) = result_records.update(None, runs).values()
    assert np.isclose(result.means["test"]["mask/iou"], 0.25)


def test_runs_with_different_data_are_refused(tmp_path):
    file = tmp_path / "records.jsonl"
    first, second = plan_of(tmp_path)
    end(first, 0.5)
    result_records.update(file, [first, second])
    end(second, 0.5, dataset="def")
    before = file.read_bytes()
    with pytest.raises(InputError, match=r"different data sets .*abc.*def"):
        result_records.update(file, [first, second])
    assert file.read_bytes() == before


def test_report_of_a_fresh_clone_is_that_of_the_records(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(experiments, "CONFIGS", ("masknet",))
    monkeypatch.setattr(experiments, "CLAIMS", ())
    monkeypatch.setattr(
        experiments.subprocess, "run", lambda *_, **__: SimpleNamespace(returncode=0)
    )
    vary = ["config=masknet", "seed=0,1"]
    run = plan.plan(None, vary, [], tmp_path / "a")[0]
    end(run, 0.5)
    file = tmp_path / "records.jsonl"
    result_records.update(file, [run])
    arguments = ["--report", "--seeds=0,1", f"--records={file}", f"--workdir={tmp_path / 'new'}"]
    assert experiments.main(arguments) == 0
    assert "| masknet | 1 | 0.5000" in capsys.readouterr().out
    assert (tmp_path / "new" / "experiments.md").exists()


@pytest.mark.parametrize("text", ["{", '{"run": "a", "settings": "b"}'])
def test_damaged_file_is_refused(tmp_path, text):
    file = tmp_path / "records.jsonl"
    file.write_text(text)
    with pytest.raises(InputError, match=r"records\.jsonl: cannot be read"):
        result_records.update(file, plan_of(tmp_path))
    assert file.read_text() == text
