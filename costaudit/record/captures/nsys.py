"""Running costaudit itself under Nsight Systems, and marking what is to be captured."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from contextlib import contextmanager
from typing import TYPE_CHECKING

from costaudit.ground.errors import TargetError, UsageError

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

MARK = "COSTAUDIT_NSYS"  # set for the run that is captured
_FLAGS = (
    "-t", "cuda,nvtx",
    "--cuda-graph-trace=node",  # else a whole replay is one operation
    "--capture-range=cudaProfilerApi",  # without loading and warming up
    "--capture-range-end=stop",  # the default kills the run at the end of the range
    "--export=sqlite",
    "--force-overwrite=true",
)  # fmt: skip


def under_nsys(arguments: Sequence[str], out: Path) -> tuple[int, Path]:
    """Run `costaudit` with `arguments` under nsys; its exit code, and the export beside `out`.

    Raises:
        UsageError: there is no nsys on the PATH.
        TargetError: the run ended well, but nsys left no export.
    """
    nsys = shutil.which("nsys")
    if nsys is None:
        raise UsageError(
            "--nsys needs Nsight Systems, and there is no nsys on the PATH",
            hint="install it (developer.nvidia.com/nsight-systems), or capture elsewhere and read "
            "the export with costaudit import",
        )
    report = out.with_suffix(".nsys-rep")
    export = out.with_suffix(".sqlite")
    run = (sys.executable, "-m", "costaudit", *arguments)
    command = (nsys, "profile", *_FLAGS, "-o", str(report), *run)
    export.unlink(missing_ok=True)  # nothing older may be taken for this run's
    code = subprocess.run(command, env=os.environ | {MARK: "1"}, check=False).returncode  # noqa: S603 - our own
    if code == 0 and not export.is_file():
        raise TargetError(
            f"nsys left no export at {export}: it captured nothing",
            hint="only work on a CUDA device between cudaProfilerStart and Stop is captured",
        )
    return code, export


@contextmanager
def captured() -> Iterator[None]:
    """The part of a run that Nsight Systems is to capture; nothing where it does not listen."""
    if MARK not in os.environ:
        yield
        return
    import torch

    if not torch.cuda.is_available():
        yield
        return
    torch.cuda.profiler.start()  # type: ignore[no-untyped-call]
    try:
        yield
    finally:
        torch.cuda.synchronize()
        torch.cuda.profiler.stop()  # type: ignore[no-untyped-call]
