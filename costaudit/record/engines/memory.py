"""How much memory a model and its cache may take, and what is said when it is too little."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from costaudit.ground.errors import TargetError
from costaudit.record.meters.host import host_memory

if TYPE_CHECKING:
    from collections.abc import Iterator
SMALLER_CACHE = "fewer sequences or shorter contexts"
SMALLER_MODEL = "take a smaller model, --dtype bfloat16, or a machine with more memory"


def device_memory_bytes(device: Any) -> tuple[int, int]:
    """(used, total) bytes of a GPU; of the host: this process's resident set and its limit."""
    if device.type == "cuda":
        import torch

        free, total = torch.cuda.mem_get_info(device)
        return total - free, total
    import psutil

    return int(psutil.Process().memory_info().rss), host_memory().total_bytes


def free_bytes(device: Any) -> int:
    """Bytes that a model may still take on this device."""
    if device.type == "cuda":
        import torch

        return int(torch.cuda.mem_get_info(device)[0])
    return host_memory().available_bytes


def check_fits(need_bytes: float, device: Any, what: str, *, hint: str) -> None:
    """Refuse what cannot fit, before anything is allocated.

    Linux promises memory that it does not have and kills later, so this must come first.

    Raises:
        TargetError: `what` needs more than the device has free.
    """
    free = free_bytes(device)
    if need_bytes > free:
        raise TargetError(
            f"not enough memory for {what}: it needs about {need_bytes / 1e9:.1f} GB, "
            f"{free / 1e9:.1f} GB are free on {device}",
            hint=hint,
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
    return TargetError(f"the device ran out of memory for {what}", hint=SMALLER_CACHE)
