"""What a container may use: memory and CPU limits of control groups, version 1 and 2.

The strictest limit on the way from this process's group up to the root counts. Sources: the
kernel's admin-guide/cgroup-v1/memory.rst and cgroup-v2.rst.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

_ROOT = Path("/sys/fs/cgroup")
_MEMBERSHIP = Path("/proc/self/cgroup")
_V1_USAGE = "memory.usage_in_bytes"


@dataclass(frozen=True, slots=True, kw_only=True)
class MemoryGroup:
    """The control group whose memory limit binds, and where the kernel tells its use."""

    limit_bytes: int
    folder: Path
    unified: bool  # version 2


def memory_group(
    host_total_bytes: int, *, root: Path = _ROOT, membership: Path = _MEMBERSHIP
) -> MemoryGroup | None:
    """The group that leaves the least memory; None: no limit below the host's total is set."""
    found = []
    for folder, unified in _groups("memory", root, membership):
        limit = _number(folder / ("memory.max" if unified else "memory.limit_in_bytes"))
        if limit is not None and limit < host_total_bytes:
            found.append(MemoryGroup(limit_bytes=limit, folder=folder, unified=unified))
    return min(found, key=lambda group: group.limit_bytes - used_bytes(group), default=None)


def used_bytes(group: MemoryGroup) -> int:
    """Bytes the group holds now, apart from file cache the kernel can drop; 0 if it is gone."""
    used = _number(group.folder / ("memory.current" if group.unified else _V1_USAGE)) or 0
    droppable = "inactive_file" if group.unified else "total_inactive_file"
    return max(0, used - _stat(group.folder / "memory.stat", droppable))


def cpu_limit_cores(*, root: Path = _ROOT, membership: Path = _MEMBERSHIP) -> float | None:
    """The strictest CPU quota in cores; None: no quota is set."""
    cores = []
    for folder, unified in _groups("cpu", root, membership):
        if unified:
            words = _text(folder / "cpu.max").split()
            quota, period = (words[0], words[1]) if len(words) > 1 else ("max", "0")
        else:
            quota = _text(folder / "cpu.cfs_quota_us")
            period = _text(folder / "cpu.cfs_period_us")
        if quota.isdigit() and period.isdigit() and int(period) > 0:
            cores.append(int(quota) / int(period))
    return min(cores, default=None)


def _groups(controller: str, root: Path, membership: Path) -> Iterator[tuple[Path, bool]]:
    """Folders of this process's groups from its own up to the root, and whether they are v2."""
    for line in _text(membership).splitlines():
        _, controllers, path = line.split(":", 2)
        unified = controllers == ""
        if not unified and controller not in controllers.split(","):
            continue
        base = root if unified else root / controllers
        if not unified and not base.is_dir():
            base = root / controller
        # Inside a container the path may belong to the host: then the root is ours already.
        folder = base / path.lstrip("/")
        folder = folder if folder.is_dir() and ".." not in path else base
        while True:
            yield folder, unified
            if folder == base:
                break
            folder = folder.parent


def _text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8").strip()
    except OSError:
        return ""


def _number(path: Path) -> int | None:
    text = _text(path)
    return int(text) if text.isdigit() else None


def _stat(path: Path, key: str) -> int:
    for line in _text(path).splitlines():
        name, _, value = line.partition(" ")
        if name == key and value.isdigit():
            return int(value)
    return 0
