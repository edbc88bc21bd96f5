"""Compiles the client's C as costaudit is installed; where that cannot be, Python does its work."""

from __future__ import annotations

import os
import shutil
import subprocess
import sysconfig
from pathlib import Path
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface

CLIENT = Path("costaudit/record/client")
BUILT = CLIENT / "_native.abi3.so"
OPTIONS = ["-std=gnu11", "-O2", "-fPIC", "-shared", "-Wall", "-Wextra", "-Wno-unused-parameter"]


class CompileClient(BuildHookInterface[Any]):
    """Its one product is `BUILT`, for every Python from 3.11 on (the limited API)."""

    PLUGIN_NAME = "custom"

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:  # noqa: ARG002
        """Compile, and make the wheel one of this platform where that went well."""
        root = Path(self.root)
        if self.target_name != "wheel":
            return
        if why := _compile(root):
            (root / BUILT).unlink(missing_ok=True)  # of an older source
            self.app.display_warning(f"the client is not compiled, Python does its work: {why}")
            return
        platform = sysconfig.get_platform().replace("-", "_").replace(".", "_")
        build_data |= {"pure_python": False, "tag": f"cp311-abi3-{platform}"}
        build_data["artifacts"].append(f"/{BUILT}")


def _compile(root: Path) -> str:
    """Why it could not be; empty where it was."""
    asked = [os.environ.get("CC", ""), "cc", "gcc", "clang"]
    compiler = next(filter(None, map(shutil.which, filter(None, asked))), None)
    if compiler is None:
        return "no C compiler on the PATH"
    sources = sorted((root / CLIENT / "native").glob("*.c"))
    include = f"-I{sysconfig.get_paths()['include']}"
    fresh = root / BUILT.with_suffix(f".{os.getpid()}")
    done = subprocess.run(  # noqa: S603 - the compiler of whoever installs
        [compiler, *OPTIONS, include, *sources, "-o", fresh],
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        fresh.unlink(missing_ok=True)
        return next((line for line in done.stderr.splitlines() if "error" in line), "it failed")
    fresh.replace(root / BUILT)  # whoever has loaded the old one keeps it
    return ""
