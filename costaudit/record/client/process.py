"""What this process has cost so far."""

from __future__ import annotations

import os
import time
from pathlib import Path

_START_FIELD = 19  # of /proc/PID/stat behind the name, `starttime`; see proc_pid_stat(5)
_BYTES_PER_UNIT = 1024  # /proc/PID/status counts in KiB


def age_s() -> float:
    """Seconds since the process was started, its interpreter's start included; to 10 ms."""
    fields = Path("/proc/self/stat").read_text(encoding="utf-8").rpartition(")")[2].split()
    started_s = int(fields[_START_FIELD]) / os.sysconf("SC_CLK_TCK")
    return time.clock_gettime(time.CLOCK_BOOTTIME) - started_s


def peak_rss_bytes() -> int:
    """The most memory that was ever resident; `ru_maxrss` would count the parent's, too."""
    for line in Path("/proc/self/status").read_text(encoding="utf-8").splitlines():
        if line.startswith("VmHWM:"):
            return int(line.split()[1]) * _BYTES_PER_UNIT
    return 0
