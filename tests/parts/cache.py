"""Where real parts are kept between runs: each installed once, whole or not at all."""

from __future__ import annotations

import fcntl
import hashlib
import os
import shutil
import subprocess
import time
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

STAMP = "installed"  # written last: a folder without it was interrupted and is made anew
WANTED = ("PATH", "LANG", "LC_ALL", "TMPDIR", "HOME", "http_proxy", "https_proxy", "no_proxy")
WANTED_PREFIXES = ("PIP_", "SSL_CERT_", "REQUESTS_CA_", "CC", "CXX")


class NotInstalledError(Exception):
    """A part is not there and cannot be had here; the message gives the reason and the log."""

    optional = False  # whether the tests of it may skip even in CI


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """The hands of a build: it runs commands and writes down what they say."""

    log: Path

    def run(self, *command: str | Path, cwd: Path | None = None, **environ: str) -> None:
        """Run `command`; raises NotInstalledError with its last complaint where it fails."""
        with self.log.open("a") as out:
            print("$", *command, file=out, flush=True)
            try:
                done = subprocess.run(
                    command,
                    cwd=cwd,
                    env=install_environ() | environ,
                    stdin=subprocess.DEVNULL,
                    stdout=out,
                    stderr=subprocess.STDOUT,
                    check=False,
                )
            except OSError as error:
                raise NotInstalledError(f"{command[0]}: {error.strerror}") from error
        if done.returncode:
            raise NotInstalledError(complaint(self.log.read_text(errors="replace")))


@dataclass(frozen=True, slots=True, kw_only=True)
class Part:
    """Something real that tests need and the checkout does not hold."""

    name: str
    key: tuple[str, ...]  # whatever makes an older install stale
    build: Callable[[Path, Step], None]  # fills an empty folder
    optional: bool = False  # where it cannot be had, its tests skip even in CI

    @property
    def folder(self) -> Path:
        """Where this version of the part lives, installed or not."""
        digest = hashlib.sha256("\0".join(self.key).encode()).hexdigest()[:12]
        return cache_folder() / f"{self.name}-{digest}"


def cache_folder() -> Path:
    """The folder outside the checkout that holds every part; made where it is missing."""
    home = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    folder = Path(os.environ.get("COSTAUDIT_TEST_CACHE") or home / "costaudit-tests").absolute()
    (folder / "logs").mkdir(parents=True, exist_ok=True)
    return folder


def installed(part: Part) -> Path:
    """The part's folder, installing it first where needed; raises NotInstalledError."""
    folder = part.folder
    if (folder / STAMP).exists():
        return folder
    with locked(folder.with_name(folder.name + ".lock")):
        if not (folder / STAMP).exists():  # else another process was quicker
            install(part, folder)
    return folder


def install(part: Part, folder: Path) -> None:
    """Fill `folder` from nothing and stamp it."""
    log = cache_folder() / "logs" / f"{folder.name}.install.log"
    log.write_text("")
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir()
    started = time.monotonic()
    try:
        part.build(folder, Step(log=log))
    except NotInstalledError as error:
        failed = NotInstalledError(f"{part.name} cannot be installed: {error} (log: {log})")
        failed.optional = part.optional
        raise failed from error
    seconds, size = time.monotonic() - started, tree_bytes(folder)
    (folder / STAMP).write_text(f"installed in {seconds:.0f} s, {size / 1e6:.0f} MB")


def tree_bytes(folder: Path) -> int:
    """What all files below `folder` hold, hard links counted as often as they are found."""
    files = (Path(where, name) for where, _, names in os.walk(folder) for name in names)
    return sum(file.lstat().st_size for file in files)


@contextmanager
def locked(path: Path) -> Iterator[None]:
    """Hold `path` alone among all processes; a killed holder lets go."""
    with path.open("w") as handle:
        fcntl.flock(handle, fcntl.LOCK_EX)
        yield


def install_environ() -> dict[str, str]:
    """What an installer may know of the caller's environment: no key and no token."""
    return {
        name: value
        for name, value in os.environ.items()
        if name in WANTED or name.lower() in WANTED or name.startswith(WANTED_PREFIXES)
    }


def complaint(log: str) -> str:
    """The line of a failed command's output that most likely says why."""
    lines = [line.strip() for line in log.splitlines() if line.strip()]
    errors = [line for line in lines if "error" in line.lower() and not line.startswith("$")]
    return (errors or lines)[-1][:300]
