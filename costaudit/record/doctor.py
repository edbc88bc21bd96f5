"""What can be measured on this machine, what not, and what would help; nothing heavy is imported.

Packages are looked up, not loaded: torch alone would take longer than the second this may last.
"""

from __future__ import annotations

import os
import re
import shutil
import time
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from importlib.util import find_spec
from pathlib import Path

from costaudit.record.client.wire import COMPILED
from costaudit.record.meters.dcgm import DEFAULT_URL, URL_VARIABLE
from costaudit.record.meters.dcgm import METER as DCGM
from costaudit.record.meters.host import cpu_model, host_memory, usable_cores
from costaudit.record.meters.nvml import NvmlMeter, open_nvml
from costaudit.recording.rows import Instrument, State

_MIN_DISK_BYTES = 64 << 20  # a recording takes a few MB; below this something is about to fail
_MIN_MEMORY_BYTES = 2 << 30  # torch and the demo model take about 1 GB
_TIMER_READS = 2000
_BUSY_S = 0.05
_QUIET_SHARE = 0.9  # of wall time that a busy thread should get
_LOCAL_HELP = "to audit a model in this process: pip install 'costaudit[local]'"


@dataclass(frozen=True, slots=True, kw_only=True)
class Check:
    """One thing that was looked at: `would_help` is empty where nothing is missing."""

    what: str
    state: State
    detail: str
    would_help: str = ""


def examine(place: Path | None = None) -> tuple[Check, ...]:
    """Look at everything a recording uses; `place` is where it would be written (default: here)."""
    return (
        *_gpu(),
        _nvtx(),
        _nsys(),
        _package("torch"),
        _cuda(),
        _package("transformers"),
        _cpu(),
        _timer(),
        _client(),
        _memory(),
        _disk(place or Path()),
    )


_GPU_HELP = {
    "nvml": "an NVIDIA GPU with its driver; in a container, start it with --gpus all",
    "nvml.gpm": "Hopper or newer, and the right to its counters: as root on the host, since "
    "CAP_SYS_ADMIN in a container is not always enough; without it, bytes by formula stand in",
    "nvml.energy": "a Volta or newer GPU outside MIG",
    "nvml.throttle": "a newer driver, which counts throttled time",
    "dcgm": "where GPM is missing: dcgm-exporter with --collect-interval 1000 beside the GPU, "
    f"at {DEFAULT_URL} or where {URL_VARIABLE} says",
}
_GPU_WHAT = {
    "nvml": "NVML",
    "nvml.gpm": "DRAM bandwidth by GPM (T1)",
    "dcgm": "DRAM activity by DCGM (T1')",
    "analytic": "bandwidth by formula (T2)",
    "nvml.energy": "energy counter (T3)",
    "nvml.memory-accessed": "utilization.memory (T4)",
    "nvml.memory": "GPU memory",
    "nvml.clocks": "GPU clocks",
    "nvml.throttle": "throttling",
}


def _gpu() -> list[Check]:
    opened = open_nvml(0)
    if isinstance(opened, Instrument):
        dcgm = Check(
            what=_GPU_WHAT[DCGM],
            state=State.OFF,
            detail="not asked: an exporter's page is searched for a GPU that NVML names",
            would_help=_GPU_HELP["nvml"],
        )
        return [_of_instrument(opened), dcgm]
    with opened as meter:
        rows = [_of_instrument(row) for row in meter.instruments() if row.meter != "nvml"]
        return [_device(meter), *rows]


def _device(meter: NvmlMeter) -> Check:
    facts = {fact.name: fact.value for fact in meter.facts()}
    detail = f"{facts['name']}, driver {facts['driver']}, {facts['count']} GPU(s)"
    return Check(what=_GPU_WHAT["nvml"], state=State.OK, detail=detail)


def _of_instrument(row: Instrument) -> Check:
    fine = row.state is State.OK
    return Check(
        what=_GPU_WHAT.get(row.meter, row.meter),
        state=row.state,
        detail=row.why or "works",
        would_help="" if fine else _GPU_HELP.get(row.meter, ""),
    )


def _client() -> Check:
    """What takes up a server's events."""
    if COMPILED:
        return Check(what="client", state=State.OK, detail="its receiving is compiled")
    return Check(
        what="client",
        state=State.ABSENT,
        detail="it receives in Python, which costs more CPU time per token",
        would_help="a C compiler and Python's headers, then install costaudit again",
    )


def _found(name: str) -> str | None:
    """Version of an importable package; None: it is not installed."""
    try:
        return version(name) if find_spec(name) is not None else None
    except (PackageNotFoundError, ValueError):
        return None


def _package(name: str) -> Check:
    found = _found(name)
    if found is None:
        return Check(what=name, state=State.ABSENT, detail="not installed", would_help=_LOCAL_HELP)
    return Check(what=name, state=State.OK, detail=found)


def _nvtx() -> Check:
    found = _found("nvtx")
    if found is None:
        return Check(
            what="NVTX",
            state=State.ABSENT,
            detail="not installed",
            would_help="to see prefill and decode in Nsight Systems: pip install nvtx",
        )
    if os.environ.get("NVTX_DISABLE"):
        return Check(
            what="NVTX",
            state=State.OFF,
            detail=f"nvtx {found}, but NVTX_DISABLE is set",
            would_help="unset NVTX_DISABLE",
        )
    tool = os.environ.get("NVTX_INJECTION64_PATH")
    if tool is None:
        return Check(
            what="NVTX",
            state=State.OFF,
            detail=f"nvtx {found}; no tool listens, so nobody sees the ranges",
            would_help="run costaudit under nsys profile -t cuda,nvtx to see the phases",
        )
    if not Path(tool).is_file():
        return Check(
            what="NVTX",
            state=State.ABSENT,
            detail=f"nvtx {found}, but NVTX_INJECTION64_PATH names no file: {tool}",
            would_help="correct or unset NVTX_INJECTION64_PATH",
        )
    return Check(what="NVTX", state=State.OK, detail=f"nvtx {found}, {tool} listens")


def _nsys() -> Check:
    path = shutil.which("nsys")
    if path is None:
        return Check(
            what="nsys",
            state=State.ABSENT,
            detail="not on the PATH",
            would_help="Nsight Systems, for kernels on a timeline; costaudit works without it",
        )
    return Check(what="nsys", state=State.OK, detail=path)


def _cuda() -> Check:
    """What torch was built for, as its own version file says, without importing torch."""
    spec = find_spec("torch")
    if spec is None or spec.origin is None:
        return Check(
            what="CUDA in torch",
            state=State.ABSENT,
            detail="torch is not installed",
            would_help="torch built for CUDA, on a machine with an NVIDIA GPU",
        )
    try:
        text = (Path(spec.origin).parent / "version.py").read_text(encoding="utf-8")
    except OSError:
        text = ""
    built = re.search(r"^cuda\b[^=]*=\s*['\"]([\d.]+)['\"]", text, re.MULTILINE)
    if built is None:
        return Check(
            what="CUDA in torch",
            state=State.ABSENT,
            detail="this torch is built for the CPU: in-process models are timed on the CPU",
            would_help="torch built for CUDA, on a machine with an NVIDIA GPU",
        )
    return Check(what="CUDA in torch", state=State.OK, detail=f"built for CUDA {built[1]}")


def _cpu() -> Check:
    name = cpu_model() or "unnamed CPU"
    return Check(what="CPU", state=State.OK, detail=f"{name}, {usable_cores():g} cores usable")


def _timer() -> Check:
    """Thread CPU time times a model on a CPU: how much a read costs, how quiet the machine is."""
    began_s = time.perf_counter()
    for _ in range(_TIMER_READS):
        time.thread_time()
    read_s = (time.perf_counter() - began_s) / _TIMER_READS
    step_s = time.clock_getres(time.CLOCK_THREAD_CPUTIME_ID)
    wall_s, cpu_s = time.perf_counter(), time.thread_time()
    while time.perf_counter() - wall_s < _BUSY_S:
        pass
    got_share = (time.thread_time() - cpu_s) / (time.perf_counter() - wall_s)
    quiet = got_share >= _QUIET_SHARE
    detail = (
        f"thread CPU time: {step_s * 1e9:.0f} ns steps, {read_s * 1e9:.0f} ns a read; "
        f"a busy thread got {min(got_share, 1.0):.2f} of a core"
    )
    helps = "" if quiet else "a quieter machine: other work or the hypervisor takes its time"
    return Check(what="timers", state=State.OK, detail=detail, would_help=helps)


def _memory() -> Check:
    memory = host_memory()
    gib = 1 << 30
    detail = (
        f"{memory.available_bytes / gib:.1f} of {memory.total_bytes / gib:.1f} GiB available "
        f"(limited by the {memory.limited_by})"
    )
    enough = memory.available_bytes >= _MIN_MEMORY_BYTES
    helps = "" if enough else "2 GiB for the demo; for a model its weights and the KV cache"
    return Check(
        what="memory",
        state=State.OK if enough else State.REFUSED,
        detail=detail,
        would_help=helps,
    )


def _disk(place: Path) -> Check:
    """Whether a recording could be written: no file is left behind."""
    folder = place if place.is_dir() else place.parent
    help_out = "name another place with -o"
    if not folder.is_dir():
        return Check(
            what="disk", state=State.ABSENT, detail=f"{folder} is no folder", would_help=help_out
        )
    if not os.access(folder, os.W_OK | os.X_OK):
        return Check(
            what="disk",
            state=State.REFUSED,
            detail=f"{folder.resolve()} cannot be written",
            would_help=help_out,
        )
    free = shutil.disk_usage(folder).free
    return Check(
        what="disk",
        state=State.OK if free >= _MIN_DISK_BYTES else State.REFUSED,
        detail=f"{folder.resolve()} can be written, {free / (1 << 30):.1f} GiB free",
        would_help="" if free >= _MIN_DISK_BYTES else help_out,
    )
