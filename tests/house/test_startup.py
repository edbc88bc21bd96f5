"""The command line answers at once: nothing heavy is loaded before it is needed."""

from __future__ import annotations

import json
import subprocess
import sys
import time
import tomllib
from collections.abc import Callable
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from pathlib import Path

HELP_MAX_S = 0.15
DOCTOR_MAX_S = 1.0
TRIES = 7  # the quickest of them: neighbours slow a start down, nothing speeds it up
Figure = Callable[[str, str], None]
LOADED = """
import json, sys
from costaudit.cli.main import main
sys.argv = ["costaudit", *sys.argv[1:]]
try:
    main()
finally:
    print(json.dumps(sorted({name.partition(".")[0] for name in sys.modules})), file=sys.stderr)
"""


@pytest.mark.parametrize("arguments", [["--help"], ["profile", "--help"], ["gate", "--help"]])
def test_help_loads_nothing_heavy(checkout: Path, arguments: list[str]) -> None:
    settings = tomllib.loads((checkout / "pyproject.toml").read_text())
    tidy = settings["tool"]["ruff"]["lint"]["flake8-tidy-imports"]
    done = subprocess.run(
        [sys.executable, "-c", LOADED, *arguments],
        cwd=checkout,
        capture_output=True,
        text=True,
        check=True,
    )
    loaded = set(json.loads(done.stderr.splitlines()[-1]))
    assert "costaudit" in loaded
    assert loaded & {*tidy["banned-module-level-imports"], "pydantic"} == set()


@pytest.mark.slow
@pytest.mark.parametrize(("command", "limit_s"), [("--help", HELP_MAX_S), ("doctor", DOCTOR_MAX_S)])
def test_the_command_is_quick(
    checkout: Path, command: str, limit_s: float, record_property: Figure
) -> None:
    took = []
    for _ in range(TRIES):
        started = time.monotonic()
        subprocess.run(
            [sys.executable, "-m", "costaudit", command],
            cwd=checkout,
            stdout=subprocess.DEVNULL,
            check=True,
        )
        took.append(time.monotonic() - started)
    record_property(
        f"costaudit {command}", f"{min(took) * 1e3:.0f} ms, promised {limit_s * 1e3:.0f} ms"
    )
    assert min(took) <= limit_s
