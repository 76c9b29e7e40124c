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
