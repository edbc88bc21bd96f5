"""What the client is held against: a server in C with an exact schedule, built once."""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess

import pytest

from costaudit.record.client import (
    bodies,
    exchange,
    http1,
    inbox,
    poller,
    pool,
    transcript,
    wire,
)


@pytest.fixture(params=["compiled", "python"])
def either_wire(request, monkeypatch):
    """Once with what was compiled, once with what stands in for it in Python."""
    if request.param == "compiled":
        if not wire.COMPILED:
            pytest.skip("the client's C was not compiled: no C compiler at installation")
        return
    monkeypatch.setattr(exchange, "Inbox", inbox.Inbox)
    monkeypatch.setattr(pool, "Poller", poller.Poller)
    monkeypatch.setattr(http1, "whole_chunks", bodies.whole_chunks)
    monkeypatch.setattr(transcript, "stamped", bodies.stamped)


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
