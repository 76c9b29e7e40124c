"""The neighbours that keep a machine busy while the contenders run."""

from benchmarks import speed


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
