"""Worker processes: each has one copy of the function, which keeps what it has found."""

from call_counter import CallCounter
from modest.data import workers


def test_worker_keeps_its_function(tmp_path):
    assert sorted(workers.each(CallCounter(str(tmp_path)), range(7), 2)) == list(range(7))
    calls = [path.name.split() for path in tmp_path.iterdir()]
    assert len(calls) == 7 and len({process for process, _ in calls}) <= 2
    assert max(int(before) for _, before in calls) >= 3
