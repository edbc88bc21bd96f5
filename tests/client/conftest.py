"""What the client is held against: a server in C with an exact schedule, built once."""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess

import pytest


@pytest.fixture(scope="session")
def truth_server(checkout, parts):
    """Path of the built truth server; one for each state of its source."""
    compiler = shutil.which("gcc") or shutil.which("cc")
    if compiler is None:
        pytest.skip("no C compiler here")
    source = checkout / "bench" / "fidelity" / "truth_server.c"
    digest = hashlib.sha256(source.read_bytes()).hexdigest()[:16]
    built = parts / f"truth_server-{digest}"
    if not built.exists():
        fresh = built.with_suffix(f".{os.getpid()}")
        subprocess.run([compiler, "-O2", "-o", fresh, source], check=True)
        fresh.rename(built)
    return built
