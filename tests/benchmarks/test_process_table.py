"""What `/proc` says of a process, its child and its session."""

import os
import signal
import subprocess
import sys

from benchmarks.jobs import processes

FAMILY = """
import subprocess, sys
child = subprocess.Popen(["sleep", "60"])
print(child.pid, flush=True)
child.wait()
"""


def test_processes_are_found_by_session_and_by_parent():
    command = [sys.executable, "-c", FAMILY]
    with subprocess.Popen(command, stdout=subprocess.PIPE, start_new_session=True) as leader:
        try:
            child = int(leader.stdout.readline())
            assert sorted(processes.in_session(leader.pid)) == sorted([leader.pid, child])
            assert processes.below(leader.pid) == [child]
            assert {leader.pid, child} <= set(processes.below(os.getpid()))
            leader.kill()
            os.waitid(os.P_PID, leader.pid, os.WEXITED | os.WNOWAIT)  # it stays as a zombie
            assert processes.stats()[leader.pid].state == "Z"
            assert processes.in_session(leader.pid) == [child]
        finally:
            os.killpg(leader.pid, signal.SIGKILL)
