"""`costaudit profile` of a paced server, as a user runs it, and the one sentence of an error."""

from __future__ import annotations

import os
import subprocess
import sys

SECONDS = 6


def command(url, path, *flags, seconds=SECONDS):
    own = ("--seconds", str(seconds), "-o", str(path), "--price", "1")
    return [sys.executable, "-m", "costaudit", "profile", url, *own, *flags]


def profile(url, path, *flags, seconds=SECONDS, **environ):
    return subprocess.run(
        command(url, path, *flags, seconds=seconds),
        check=False,
        capture_output=True,
        text=True,
        env={**os.environ, **environ},
        timeout=90,
    )


def sentence_of(done):
    """The one sentence of an error; a traceback or a second sentence fails."""
    said = [line for line in done.stderr.splitlines() if line.startswith("costaudit: ")]
    assert len(said) == 1, done.stderr
    assert "Traceback" not in done.stderr
    assert "fault of costaudit" not in done.stderr
    assert "hint: " in done.stderr
    return said[0]
