"""axe-core from the npm registry: the accessibility rules that the page is held to, tests only."""

from __future__ import annotations

import base64
import hashlib
import shutil
import tarfile
from typing import TYPE_CHECKING

from parts.cache import NotInstalledError, Part, Step, installed

if TYPE_CHECKING:
    from pathlib import Path

VERSION = "4.14.1"
INTEGRITY = (  # sha512 of the package, as the registry tells it
    "FHfa+lmNjQZfJz1q8wKqIDwC6DExcHt/pkjNQb09a3NPjCKg2rhu5qb2S4r76ASyFNNtuFooJpZe37OgudVGtQ=="
)


def build(folder: Path, step: Step) -> None:
    """The package is unpacked as far as its one script; nothing of it is run here."""
    if not shutil.which("npm"):
        raise NotInstalledError("there is no npm here to fetch axe-core")
    step.run("npm", "pack", f"axe-core@{VERSION}", cwd=folder)
    package = folder / f"axe-core-{VERSION}.tgz"
    digest = base64.b64encode(hashlib.sha512(package.read_bytes()).digest()).decode()
    if digest != INTEGRITY:
        raise NotInstalledError("the registry's axe-core is another than the one known here")
    with tarfile.open(package) as archive:
        script = archive.extractfile("package/axe.min.js")
        if script is None:
            raise NotInstalledError("the package holds no axe.min.js")
        (folder / "axe.min.js").write_bytes(script.read())
    package.unlink()


PART = Part(name="axe-core", key=(VERSION, INTEGRITY), build=build, optional=True)


def axe_source() -> str:
    """The script that adds `axe` to a page; raises NotInstalledError where it cannot be had."""
    return (installed(PART) / "axe.min.js").read_text(encoding="utf-8")
