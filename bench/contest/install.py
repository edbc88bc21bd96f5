"""Load tools kept between runs, each in a virtual environment of its own."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from parts.cache import (
    STAMP,
    NotInstalledError,
    Part,
    Step,
    cache_folder,
    install,
    installed,
    locked,
)

if TYPE_CHECKING:
    from contest.peer import Peer

__all__ = ["NotInstalledError", "Part", "Step", "folder_of", "installed", "make_venv", "ready"]

# torch 2.13.0 where a tool insists on torch: later wheels bring gigabytes of CUDA along.
BOUNDS = "torch==2.13.0\n"


def folder_of(peer: Peer) -> Path:
    """Where this version of a tool lives, installed or not."""
    if peer.part is not None:
        return peer.part.folder
    return cache_folder() / "peers" / f"{peer.name}-{peer.version}"


def is_ready(peer: Peer) -> bool:
    """Whether nothing has to be installed."""
    needed = peer.part is not None or peer.install is not None
    return not needed or (folder_of(peer) / STAMP).exists()


def ready(peer: Peer) -> Path:
    """The folder of a tool, installed where it is not yet.

    Raises:
        NotInstalledError: it cannot be had here; the message says why.
    """
    if peer.part is not None:
        return installed(peer.part)
    folder = folder_of(peer)
    if peer.install is None or is_ready(peer):
        return folder
    folder.parent.mkdir(exist_ok=True)
    with locked(folder.with_name(folder.name + ".lock")):
        if not is_ready(peer):  # else another process was quicker
            install(Part(name=peer.name, key=(), build=peer.install), folder)
    return folder


def make_venv(
    folder: Path, step: Step, *packages: str, least_python: tuple[int, int] = (3, 11)
) -> None:
    """A virtual environment with `packages` and whatever they ask for."""
    bounds = folder.with_name(f"{folder.name}.bounds")
    bounds.write_text(BOUNDS)
    step.run(python(least_python), "-m", "venv", folder)
    quiet = ("--disable-pip-version-check", "--no-input", "--progress-bar", "off")
    pip = (folder / "bin/python", "-m", "pip", "install", *quiet)
    step.run(*pip, *packages, PIP_CONSTRAINT=str(bounds))


def python(least: tuple[int, int]) -> str:
    """A Python of at least this version.

    Raises:
        NotInstalledError: none is on the PATH or below pyenv's root.
    """
    if sys.version_info[:2] >= least:
        return sys.executable
    root = Path(os.environ.get("PYENV_ROOT") or Path.home() / ".pyenv") / "versions"
    names = [f"3.{minor}" for minor in range(least[1], least[1] + 3)]
    for name in names:
        known = [shutil.which(f"python{name}"), *sorted(root.glob(f"{name}.*/bin/python"))]
        for candidate in filter(None, known):
            if _is_python(str(candidate), least):
                return str(candidate)
    raise NotInstalledError(f"it needs Python {'.'.join(map(str, least))} or newer; none is here")


def _is_python(program: str, least: tuple[int, int]) -> bool:
    """Whether it starts (pyenv's shims need not) and is new enough."""
    code = f"import sys; sys.exit(sys.version_info[:2] < {least!r})"
    done = subprocess.run([program, "-c", code], capture_output=True, check=False)  # noqa: S603
    return done.returncode == 0
