"""Runs the command it is given, and kills all of it once standard input closes.

The pipe behind standard input closes with the process that holds its other end, however that
process died, so no server outlives its test. As a subreaper the keeper inherits grandchildren
whose own parent is gone, so none escapes. The first line on standard output is the command's pid;
the command itself writes to standard error.
"""

# ruff: noqa: T201  -- a script prints
from __future__ import annotations

import ctypes
import os
import select
import subprocess
import sys

import psutil

PR_SET_CHILD_SUBREAPER = 36  # <linux/prctl.h>


def main() -> int:
    """Exit status: the command's."""
    ctypes.CDLL(None).prctl(PR_SET_CHILD_SUBREAPER, 1)
    child = subprocess.Popen(sys.argv[1:], stdin=subprocess.DEVNULL, stdout=sys.stderr)
    print(child.pid, flush=True)
    ended = os.pidfd_open(child.pid)
    select.select([sys.stdin, ended], [], [])
    status = child.poll() or 0  # asked before the reaping below takes the answer
    while alive := psutil.Process().children(recursive=True):
        for process in alive:
            process.kill()
        psutil.wait_procs(alive, timeout=1)
    return status


if __name__ == "__main__":
    sys.exit(main())
