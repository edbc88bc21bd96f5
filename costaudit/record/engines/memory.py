"""How much memory a model and its cache may take, and what is said when it is too little."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from costaudit.ground.errors import TargetError

# Limits of the control group this process runs in: version 2, then version 1 (kernel docs,
# admin-guide/cgroup-v2 and cgroup-v1/memory). Inside a container its own group is the root.
_CGROUP_PAIRS = (
    ("/sys/fs/cgroup/memory.max", "/sys/fs/cgroup/memory.current"),
    (
        "/sys/fs/cgroup/memory/memory.limit_in_bytes",
        "/sys/fs/cgroup/memory/memory.usage_in_bytes",
    ),
)


def host_limit_bytes() -> int:
    """Bytes of host memory this process may use at most: the machine's, or its group's limit."""
    import psutil

    total = int(psutil.virtual_memory().total)
    return min([total, *(limit for limit, _ in _cgroup_limits())])


def host_free_bytes() -> int:
    """Bytes of host memory that can still be taken without swapping or an OOM kill."""
    import psutil

    free = int(psutil.virtual_memory().available)
    return max(0, min([free, *(limit - used for limit, used in _cgroup_limits())]))


def _cgroup_limits() -> list[tuple[int, int]]:
    """(limit, used) bytes of every group that sets one."""
    found = []
    for limit_file, used_file in _CGROUP_PAIRS:
        try:
            limit, used = Path(limit_file).read_text().strip(), Path(used_file).read_text().strip()
        except OSError:
            continue
        if limit.isdigit() and used.isdigit():  # "max" means none
            found.append((int(limit), int(used)))
    return found


def device_memory_bytes(device: Any) -> tuple[int, int]:
    """(used, total) bytes of a GPU; of the host: this process's resident set and its limit."""
    if device.type == "cuda":
        import torch

        free, total = torch.cuda.mem_get_info(device)
        return total - free, total
    import psutil

    return int(psutil.Process().memory_info().rss), host_limit_bytes()


def free_bytes(device: Any) -> int:
    """Bytes that a model may still take on this device."""
    if device.type == "cuda":
        import torch

        return int(torch.cuda.mem_get_info(device)[0])
    return host_free_bytes()


def check_fits(need_bytes: float, device: Any, what: str) -> None:
    """Refuse what cannot fit, before anything is allocated.

    Raises:
        TargetError: `what` needs more than the device has free.
    """
    free = free_bytes(device)
    if need_bytes > free:
        raise TargetError(
            f"not enough memory for {what}: it needs about {need_bytes / 1e9:.1f} GB, "
            f"{free / 1e9:.1f} GB are free on {device}",
            hint="take a smaller model, --dtype bfloat16, or a machine with more memory",
        )


@contextmanager
def memory_errors(what: str) -> Iterator[None]:
    """Turn an allocator's failure into one sentence.

    Raises:
        TargetError: the allocator of the GPU or of the CPU gave up.
    """
    import torch

    try:
        yield
    except (torch.OutOfMemoryError, MemoryError) as err:
        raise _too_little(what) from err
    except RuntimeError as err:
        if "can't allocate memory" not in str(err):  # torch's CPU allocator has no type of its own
            raise
        raise _too_little(what) from err


def _too_little(what: str) -> TargetError:
    return TargetError(
        f"the device ran out of memory for {what}", hint="fewer sequences or shorter contexts"
    )
