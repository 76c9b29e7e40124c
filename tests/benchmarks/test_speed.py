"""The rows of a comparison, contenders that fail, and the neighbours that keep a machine busy."""

import sys

import pytest

from benchmarks import scaling, speed

CASE = ("infer", "depthnet", 64, 4)


def test_neighbours_are_busy_only_inside_the_block():
    with speed.busy_neighbours(2) as neighbours:
        assert [neighbour.poll() for neighbour in neighbours] == [None, None]
    assert all(neighbour.poll() is not None for neighbour in neighbours)


def test_neighbour_ends_when_its_parent_has_ended():
    with speed.busy_neighbours(1) as (neighbour,):
        neighbour.stdin.close()
        assert neighbour.wait(timeout=20) == 0


def test_contender_that_cannot_start_is_left_out(monkeypatch, capsys):
    class Broken:
        def __init__(self, name, *case):
            self.name = name

        @property
        def startup(self):
            raise RuntimeError(f"{self.name}: corrupted size")

    monkeypatch.setattr(speed, "Contender", Broken)
    assert speed.run_case(["torch"], ("infer", "depthnet", 64, 1), rounds=1) == []
    assert capsys.readouterr().out == "left out, infer depthnet 64 1: torch: corrupted size\n"


class Fake:
    """A contender with the given seconds in its rounds, whose process ends when they are over."""

    seconds = {
        "modest": [0.1, 0.2, 0.1],
        "torch": [0.4, 0.4, 0.4],
        "torch channels_last": [0.2, 0.2, 0.3],
        "torch compile": [0.1],
    }

    def __init__(self, name, *case, **environment):
        self.name, self.rounds, self._seconds = name, [], iter(self.seconds[name])
        self.startup = {"ready": 2.0, "flops": 6e9 if name == "modest" else None}

    def run_round(self):
        seconds = next(self._seconds, None)
        if seconds is None:
            raise RuntimeError(f"{self.name}: corrupted size")
        self.rounds.append({"seconds": seconds, "memory": 2**20})

    def close(self):
        pass


def test_row_has_speed_work_and_the_ratio_to_the_fastest_pytorch_mode(monkeypatch):
    monkeypatch.setattr(speed, "Contender", Fake)
    names = ["modest", "torch", "torch channels_last"]
    ours, eager, fastest = speed.run_case(names, CASE, rounds=3)
    assert (ours["network"], ours["batch"]) == ("depthnet", 4)
    assert ours["images_per_second"] == pytest.approx(4 / 0.1)
    assert ours["gflops"] == pytest.approx(6 / 0.1)
    assert eager["gflops"] == pytest.approx(6 / 0.4)  # the same work
    assert ours["ratio"] == pytest.approx(2)  # the median of 2, 1 and 3, round by round
    assert (eager["ratio"], fastest["ratio"]) == (pytest.approx(0.5), 1)
    assert (ours["memory_mib"], ours["ready_seconds"]) == (1, 2.0)


def test_contender_that_dies_in_a_round_is_left_out(monkeypatch, capsys):
    monkeypatch.setattr(speed, "Contender", Fake)
    rows = speed.run_case(["modest", "torch", "torch compile"], CASE, rounds=3)
    assert [row["contender"] for row in rows] == ["modest", "torch"]
    assert capsys.readouterr().out == "left out: torch compile: corrupted size\n"


def test_ratio_is_unknown_without_pytorch(monkeypatch, capsys, tmp_path):
    monkeypatch.setattr(speed, "Contender", Fake)
    rows = speed.run_case(["modest", "torch compile"], CASE, rounds=3)
    assert [row["ratio"] for row in rows] == [None]
    speed.print_row(rows[0], peak=60)
    speed.draw(rows, "a machine", tmp_path / "speed.png")


def test_no_row_if_all_contenders_die(monkeypatch, capsys):
    monkeypatch.setattr(speed, "Contender", Fake)
    assert speed.run_case(["modest", "torch"], CASE, rounds=4) == []


def test_point_that_dies_ends_the_series(monkeypatch, capsys):
    monkeypatch.setattr(scaling, "Contender", Fake)
    with pytest.raises(RuntimeError, match="left out"):
        scaling.measure([(64, 4, 1)], rounds=4)


def test_end_of_a_process_between_two_rounds_is_reported_with_its_reason(tmp_path, monkeypatch):
    program = tmp_path / "program"
    program.write_text("""#!/bin/sh
echo '{"ready": 1}'
read line
exec 0<&-  # from here on, nobody reads what is written to it
echo '{"seconds": 1}'
echo "corrupted size" >&2
""")
    program.chmod(0o755)
    monkeypatch.setattr(sys, "executable", str(program))
    contender = speed.Contender("torch", *CASE)
    assert contender.startup == {"ready": 1}
    contender.run_round()
    with pytest.raises(RuntimeError, match="torch: corrupted size"):
        contender.run_round()
    assert contender.rounds == [{"seconds": 1}]
