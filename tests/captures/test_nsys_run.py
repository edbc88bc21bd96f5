"""`costaudit profile --nsys`, with a program called nsys that keeps what it was told."""

from __future__ import annotations

import os
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest
from nsight_files import NsightFile

from costaudit.recording.recording import Recording

if TYPE_CHECKING:
    from pathlib import Path

FAKE = """#!/bin/sh
printf '%s\\n' "$@" "mark $COSTAUDIT_NSYS" > "$KEPT"
[ -z "$EXPORT" ] || cp "$EXPORT" run.sqlite
exit "${CODE:-0}"
"""


def profile(folder: Path, *words: str, **environment: str) -> subprocess.CompletedProcess[str]:
    """`costaudit profile` in `folder`, where a fake nsys may be."""
    return subprocess.run(
        [sys.executable, "-m", "costaudit", "profile", *words],
        cwd=folder,
        env=os.environ | {"PATH": f"{folder}", "KEPT": str(folder / "kept")} | environment,
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Somewhere with an nsys and an export for it to leave."""
    fake = tmp_path / "nsys"
    fake.write_text(FAKE.replace("cp ", "/bin/cp "))
    fake.chmod(0o755)
    made = NsightFile(tmp_path / "made.sqlite")
    made.range(0, 100, "decode")
    made.call(10, 20, 1)
    made.kernel(1000, 1100, 1)
    made.close()
    return tmp_path


def test_the_run_is_captured_with_the_right_flags_and_imported(folder: Path) -> None:
    words = ("demo", "--nsys", "-o", "run.costaudit")
    done = profile(folder, *words, EXPORT=str(folder / "made.sqlite"))
    assert done.returncode == 0, done.stderr
    told = (folder / "kept").read_text().splitlines()
    assert told[:8] == [
        "profile", "-t", "cuda,nvtx", "--cuda-graph-trace=node", "--capture-range=cudaProfilerApi",
        "--capture-range-end=stop", "--export=sqlite", "--force-overwrite=true",
    ]  # fmt: skip
    assert told[8:10] == ["-o", "run.nsys-rep"]
    assert told[11:] == ["-m", "costaudit", "profile", "demo", "-o", "run.costaudit", "mark 1"]
    with Recording.read(folder / "run.nsys.costaudit") as recording:
        assert recording.meta()["source"] == "run.sqlite"


def test_what_is_wrong_is_said_in_a_sentence(folder: Path) -> None:
    done = profile(folder, "demo", "--nsys", "-o", "run.costaudit")
    assert (done.returncode, "captured nothing" in done.stderr) == (4, True)
    assert profile(folder, "demo", "--nsys", "-o", "run.costaudit", CODE="3").returncode == 3
    served = profile(folder, "http://127.0.0.1:9", "--nsys")
    assert (served.returncode, "under nsys" in served.stderr) == (2, True)
    (folder / "nsys").unlink()
    absent = profile(folder, "demo", "--nsys")
    assert (absent.returncode, "no nsys on the PATH" in absent.stderr) == (2, True)
