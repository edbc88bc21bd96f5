"""What the README quotes is what the tool says today."""

from __future__ import annotations

import re
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture(scope="module")
def readme(checkout: Path) -> str:
    return (checkout / "README.md").read_text()


@pytest.mark.slow
def test_generated_blocks_are_fresh(checkout: Path) -> None:
    check = subprocess.run(
        [sys.executable, checkout / "docs/generate.py", "--check"],
        cwd=checkout,
        env={"PATH": "/usr/bin:/bin", "PYTHONPATH": str(checkout)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert check.returncode == 0, check.stderr


@pytest.mark.parametrize("block", ["help", "exit-codes", "opening", "server-opening"])
def test_each_block_stands_in_the_readme_once(readme: str, block: str) -> None:
    filled = re.findall(rf"<!-- generated: {block} -->\n(.*?)<!-- end -->", readme, re.DOTALL)
    assert len(filled) == 1
    assert len(filled[0].splitlines()) > 3


def test_the_readme_names_the_commands_that_ci_runs(checkout: Path, readme: str) -> None:
    targets = set(re.findall(r"^([a-z-]+):", (checkout / "Makefile").read_text(), re.MULTILINE))
    named = set(re.findall(r"(?:^|`)(?:\$ )?make ([a-z-]+)", readme, re.MULTILINE))
    assert {"audit", "test"} <= named <= targets
    assert "exec make test" in (checkout / ".ci/run").read_text()


def test_every_file_that_the_readme_links_exists(checkout: Path, readme: str) -> None:
    links = re.findall(r"\]\((?!https?:|#|mailto:)([^)#]+)", readme)
    assert [link for link in links if not (checkout / link).exists()] == []


def test_every_benchmark_is_explained(checkout: Path) -> None:
    told = (checkout / "bench/README.md").read_text()
    scripts = [path.name for path in (checkout / "bench").glob("*.py")]
    assert [script for script in scripts if f"`{script}`" not in told] == []
