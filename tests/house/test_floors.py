"""Imports run down only, and the contract that says so has teeth."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

LINT_IMPORTS = Path(sys.executable).parent / "lint-imports"
PLANTED = {
    "ground/stats.py": "from costaudit.report import console",
    "measure/metrics.py": "from costaudit.record import engines",
    "whatif/scenario.py": "import torch",
}


def lint_imports(folder: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [LINT_IMPORTS, "--no-cache", "--no-logo"],
        cwd=folder,
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.mark.slow
def test_imports_run_down_only(checkout: Path) -> None:
    result = lint_imports(checkout)
    assert result.returncode == 0, result.stdout + result.stderr


@pytest.mark.slow
@pytest.mark.parametrize("where", PLANTED)
def test_a_planted_upward_import_is_caught(checkout: Path, tmp_path: Path, where: str) -> None:
    shutil.copytree(
        checkout / "costaudit", tmp_path / "costaudit", ignore=shutil.ignore_patterns("__pycache__")
    )
    shutil.copy(checkout / "pyproject.toml", tmp_path)
    module = tmp_path / "costaudit" / where
    module.write_text(module.read_text() + f"\n{PLANTED[where]}\n")
    result = lint_imports(tmp_path)
    assert result.returncode == 1
    assert "BROKEN" in result.stdout
    assert f"costaudit.{where[:-3].replace('/', '.')} -> " in result.stdout
