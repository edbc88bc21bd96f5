"""DRAM bytes of single steps by Nsight Compute's counters, in a process of their own.

Caches are not flushed and clocks not pinned, as in a served model (ncu does both unless told not
to). Its CSV has a row per kernel and metric; numbers may have separators of thousands.
"""

from __future__ import annotations

import csv
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

METRIC = "dram__bytes.sum"
TARGET = Path(__file__).with_name("ncu_target.py")
_UNITS = {"byte": 1, "kbyte": 1e3, "mbyte": 1e6, "gbyte": 1e9, "tbyte": 1e12}
_REFUSED = "ERR_NVGPUCTRPERM"
_FLAGS = (
    "--metrics", METRIC, "--csv", "--print-units", "base", "--nvtx",
    "--profile-from-start", "off",  # the target says from where on
    "--cache-control", "none", "--clock-control", "none",
)  # fmt: skip


class NcuError(Exception):
    """Nsight Compute counted nothing; the text says why."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Counted:
    """Bytes of all kernels of a range, and how many these were."""

    bytes: float
    kernels: int


def counted(model: Path, phase: str, tokens: int, context: int, *, seconds: float) -> Counted:
    """Bytes of one step of a phase, of the model in this directory.

    Raises:
        NcuError: there is no ncu, it may not count, or it counted nothing.
    """
    ncu = shutil.which("ncu")
    if ncu is None:
        raise NcuError("there is no ncu (Nsight Compute) on the PATH")
    log = model / f"ncu-{phase}.csv"
    command = [
        ncu, *_FLAGS, "--nvtx-include", f"costaudit@{phase}/", "--log-file", str(log),
        sys.executable, str(TARGET), str(model), phase, str(tokens), str(context),
    ]  # fmt: skip
    try:
        done = subprocess.run(  # noqa: S603 - our own command line
            command, capture_output=True, text=True, check=False, timeout=seconds
        )
    except subprocess.TimeoutExpired:
        raise NcuError(f"ncu took more than {seconds:.0f} s") from None
    told = log.read_text(encoding="utf-8", errors="replace") if log.is_file() else ""
    if _REFUSED in told + done.stdout + done.stderr:
        raise NcuError(
            f"{_REFUSED}: this user may not read the counters; root, or the driver's"
            " NVreg_RestrictProfilingToAdminUsers=0, may"
        )
    if done.returncode:
        last = (done.stderr or told or done.stdout).strip().splitlines()[-1:]
        raise NcuError(f"ncu ended with {done.returncode}: {' '.join(last)[:200]}")
    return read_csv(told)


def read_csv(text: str) -> Counted:
    """The sum of METRIC over the kernels of ncu's CSV, whatever lines stand around it.

    Raises:
        NcuError: it has no header, or no such metric.
    """
    lines = [line for line in text.splitlines() if line.startswith('"')]
    if not lines or '"Metric Name"' not in lines[0]:
        raise NcuError("ncu's output holds no table of metrics: no kernel ran inside the range")
    total, kernels, untold = 0.0, 0, 0
    for row in csv.DictReader(lines):
        if row.get("Metric Name") != METRIC:
            continue
        value = _number(row.get("Metric Value") or "", row.get("Metric Unit") or "")
        total, kernels, untold = total + (value or 0.0), kernels + 1, untold + (value is None)
    if not kernels or untold:
        raise NcuError(f"{untold or 'all'} of {kernels} kernels have no {METRIC} on this device")
    return Counted(bytes=total, kernels=kernels)


def _number(value: str, unit: str) -> float | None:
    """Bytes; None for what is no number, such as n/a."""
    try:
        return float(value.replace(",", "")) * _UNITS[unit.strip().lower()]
    except (KeyError, ValueError):
        return None
