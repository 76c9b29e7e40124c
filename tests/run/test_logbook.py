"""Records of a run: no line is lost, none is duplicated."""

import contextlib
import pathlib
import struct
import subprocess
import sys

import numpy as np
import pytest
from tensorboardX.proto import event_pb2

from modest.errors import InputError, TrainingError
from modest.run import logbook, workdirs


def test_lines_after_the_checkpoint_are_removed_on_resumption(tmp_path):
    with logbook.Logbook(tmp_path) as log:
        for step in (1, 2, 3):
            log.write(step, 1, float(step), {"train/loss": step / 2})
    with (tmp_path / workdirs.METRICS).open("a") as file:
        file.write('{"step": 4, "ep')  # killed while writing a line
    assert [line["step"] for line in logbook.read_metrics(tmp_path)] == [1, 2, 3]

    with logbook.Logbook(tmp_path, from_step=2) as log:
        log.write(3, 1, 0.5, {"train/loss": 9.0})
    lines = logbook.read_metrics(tmp_path)
    assert [line["step"] for line in lines] == [1, 2, 3]
    assert lines[-1] == {"step": 3, "epoch": 1, "seconds": 2.5, "train/loss": 9.0}


def test_no_log_yet(tmp_path):
    assert logbook.read_metrics(tmp_path) == []


def test_table_columns_are_aligned():
    lines = logbook.table("split", ["mask/iou"], {"test": [0.5], "test_seen_background": [0.25]})
    assert len({len(line) for line in lines}) == 1 and lines[1].endswith("0.5000")


def test_time_split_sums_over_lines():
    lines = [
        {"step": 20, "seconds": 5.0, "data_seconds": 1.0},
        {"step": 40, "seconds": 10.0, "data_seconds": 1.5, "compile_seconds": 3.0},
        {"step": 40, "seconds": 20.0, "validation_seconds": 8.0, "save_seconds": 0.1},
    ]
    expected = (
        "trained 40 steps in 20 s: compilation 15.0%, validation 40.0%, waiting for data 12.5%, "
        "saving 0.5%"
    )
    assert logbook.time_split(lines) == expected


def test_progress_bar_is_silent_without_a_terminal(capfd):
    with logbook.Progress(2, "epoch 1") as progress:
        progress.step(loss=1.0)
        progress.step()
    logbook.say("a line")
    out, err = capfd.readouterr()
    assert out == "a line\n" and err == ""


def test_torch_is_not_imported(tmp_path):
    """tensorboardX would import it where it is installed, which takes seconds."""
    code = """
import sys
import modest.training.loop
from modest.run import logbook
logbook.Logbook(sys.argv[1])
print("torch" in sys.modules)
"""
    command = [sys.executable, "-c", code, str(tmp_path)]
    assert subprocess.run(command, capture_output=True, text=True, check=True).stdout == "False\n"


@pytest.mark.parametrize("damage", ["nonsense", "null", '{"epoch": 1}'])
def test_damaged_line_is_refused_and_the_file_kept(tmp_path, damage):
    with logbook.Logbook(tmp_path) as log:
        for step in (1, 2, 3):
            log.write(step, 1, float(step), {"train/loss": 1.0})
    path = tmp_path / workdirs.METRICS
    lines = path.read_text().splitlines(keepends=True)
    path.write_text("".join([lines[0], f"{damage}\n", *lines[2:]]))
    before = path.read_bytes()
    with pytest.raises(InputError, match="metrics.jsonl, line 2: damaged"):
        logbook.Logbook(tmp_path, from_step=3)
    assert path.read_bytes() == before


def test_tensorboard_reads_the_events_and_drops_those_that_are_computed_again(tmp_path):
    with logbook.Logbook(tmp_path) as log:
        log.write(1, 1, 1.0, {"train/loss": 4.0})
        log.picture(1, "validation", np.zeros((8, 8, 3), np.uint8))
    (path,) = tmp_path.glob("events.out.tfevents.*")
    events = read_events(path)
    assert events[1].step == 1 and events[1].session_log.status == 1  # START: drop from here on
    values = {value.tag: value for event in events for value in event.summary.value}
    assert values["train/loss"].simple_value == 4.0
    assert values["validation"].image.encoded_image_string.startswith(b"\x89PNG")


def read_events(path):
    """Return the events of a file of records: length, its checksum, content, its checksum."""
    data, events, start = path.read_bytes(), [], 0
    while start < len(data):
        (length,) = struct.unpack_from("Q", data, start)
        events.append(event_pb2.Event.FromString(data[start + 12 : start + 12 + length]))
        start += 16 + length
    return events


@pytest.mark.skipif(not pathlib.Path("/dev/full").exists(), reason="there is no /dev/full")
def test_full_disk_ends_the_training_with_one_line(tmp_path, monkeypatch):
    with logbook.Logbook(tmp_path) as log:
        with open("/dev/full", "w") as full, monkeypatch.context() as patch:
            patch.setattr(log, "_file", full)
            with pytest.raises(TrainingError, match="cannot be written to .*; make room"):
                log.write(1, 1, 1.0, {"train/loss": 4.0})
            with contextlib.suppress(OSError):
                full.close()
