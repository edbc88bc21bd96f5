"""Virtual environments made from a lock file."""

from __future__ import annotations

import shutil
import subprocess
import sys
from functools import cache
from pathlib import Path

from parts.cache import NotInstalledError, Step

LOCKS = Path(__file__).parent / "locks"
LOCKED_FOR = (3, 11)  # the Python that the locks were resolved with
PIP = ("-m", "pip", "--disable-pip-version-check", "--no-input", "--no-color")


def lock(name: str) -> Path:
    """The lock file of a part."""
    return LOCKS / f"{name}.txt"


def pin(name: str, package: str) -> str:
    """The line of the lock of `name` that pins `package`."""
    return next(line for line in lock(name).read_text().split() if line.startswith(f"{package}=="))


def make_venv(folder: Path, step: Step, name: str, *options: str) -> None:
    """A virtual environment in `folder` with exactly what the lock of `name` says."""
    step.run(python(), "-m", "venv", folder)
    interpreter = folder / "bin/python"
    quiet = ("--no-deps", "--progress-bar", "off")
    step.run(interpreter, *PIP, "install", *quiet, *options, "-r", lock(name))


def must_import(folder: Path, step: Step, modules: str) -> None:
    """Import `modules` of a finished environment; of torch's builds, that for the CPU is wanted."""
    cpu = "assert not torch.version.cuda, 'error: pip took the CUDA build of torch'"
    step.run(folder / "bin/python", "-c", f"import {modules}; {cpu}")


def key(name: str) -> tuple[str, ...]:
    """What makes a virtual environment stale: its lock and the Python under it."""
    return (lock(name).read_text(), version())


@cache
def python() -> str:
    """A Python that the locks fit; raises NotInstalledError where there is none."""
    wanted = ".".join(map(str, LOCKED_FOR))
    found = (
        sys.executable if sys.version_info[:2] == LOCKED_FOR else shutil.which(f"python{wanted}")
    )
    if not found:
        raise NotInstalledError(f"its lock is for Python {wanted}, which is not on the PATH")
    return found


@cache
def version() -> str:
    """The full version of `python()`; empty where there is none."""
    try:
        found = python()
    except NotInstalledError:
        return ""
    if found == sys.executable:
        return sys.version
    asked = [found, "-c", "import sys; print(sys.version)"]
    return subprocess.run(asked, capture_output=True, text=True, check=True).stdout.strip()
