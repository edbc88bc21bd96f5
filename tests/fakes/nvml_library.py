"""Compiles our own libnvidia-ml, for the unmodified pynvml to find by LD_LIBRARY_PATH."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import pytest

SOURCE = Path(__file__).with_name("nvml.c")


def build(folder: Path) -> Path:
    """The folder with the library in it; without a compiler the test is skipped."""
    compiler = shutil.which("gcc")
    if compiler is None:
        pytest.skip("gcc is not installed: the fake NVML cannot be built")
    library = folder / "libnvidia-ml.so.1"
    flags = ("-shared", "-fPIC", "-Wall", "-Werror")
    subprocess.run([compiler, *flags, "-o", library, SOURCE], check=True)
    return folder


def environment(folder: Path, **fake: str) -> dict[str, str]:
    """This process's environment with the library in it, and the fake's own variables."""
    environ = {k: v for k, v in os.environ.items() if not k.startswith("FAKE_NVML")}
    return {
        **environ,
        "LD_LIBRARY_PATH": str(folder),
        **{f"FAKE_NVML_{name}": value for name, value in fake.items()},
    }
