"""A wheel, an editable install and a bare checkout all find what ships beside the code."""

from __future__ import annotations

import importlib.metadata
import json
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

SHIPPED = {"probes": "probes", "reports/templates": "templates"}
PIP = (sys.executable, "-m", "pip", "--disable-pip-version-check", "--no-input", "-q")
FIND = """
import json, sys
sys.path[:0] = sys.argv[1:]
import costaudit
from costaudit.ground.shipped import shipped
found = {kind: sorted(p.name for p in shipped(kind).iterdir()) for kind in ("probes", "templates")}
print(json.dumps({"package": costaudit.__file__, **found}))
"""


def run(*command: str, cwd: str | Path = "/") -> str:
    done = subprocess.run(command, cwd=cwd, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def data_files(checkout: Path) -> set[str]:
    """Every file that is no Python source, as its path inside a wheel."""
    found = {
        f"costaudit/{path.relative_to(checkout / 'costaudit').as_posix()}"
        for path in (checkout / "costaudit").rglob("*")
        if path.is_file() and path.suffix not in {".py", ".pyc"}
    }
    for folder, kind in SHIPPED.items():
        found |= {
            f"costaudit/_shipped/{kind}/{path.relative_to(checkout / folder).as_posix()}"
            for path in (checkout / folder).rglob("*")
            if path.is_file()
        }
    return found


def names(checkout: Path) -> dict[str, list[str]]:
    return {
        kind: sorted(path.name for path in (checkout / folder).iterdir())
        for folder, kind in SHIPPED.items()
    }


@pytest.fixture(scope="module")
def wheel(checkout: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    pytest.importorskip("hatchling", reason="hatchling builds the wheel: pip install '.[dev]'")
    folder = tmp_path_factory.mktemp("wheel")
    run(*PIP, "wheel", "--no-deps", "--no-build-isolation", "-w", str(folder), str(checkout))
    return next(folder.glob("costaudit-*.whl"))


@pytest.mark.slow
def test_the_wheel_holds_every_data_file(checkout: Path, wheel: Path) -> None:
    held = set(zipfile.ZipFile(wheel).namelist())
    wanted = data_files(checkout)
    assert {"costaudit/recording/schema.sql", "costaudit/py.typed"} <= wanted
    assert wanted - held == set()
    assert any(name.endswith("licenses/LICENSE") for name in held)
    assert not [name for name in held if name.startswith(("tests/", "bench/"))]


@pytest.mark.slow
def test_a_wheel_works_from_any_directory(checkout: Path, wheel: Path, tmp_path: Path) -> None:
    run(*PIP, "install", "--no-deps", "--target", str(tmp_path), str(wheel))
    found = json.loads(
        run(
            sys.executable,
            "-c",
            f"import sys; sys.path.insert(0, sys.argv[1]){FIND}",
            str(tmp_path),
        )
    )
    assert Path(found.pop("package")).is_relative_to(tmp_path)
    assert found == names(checkout)


def test_this_install_works_from_any_directory(checkout: Path) -> None:
    if not list(importlib.metadata.distributions(name="costaudit")):
        pytest.skip("costaudit is not installed here: pip install -e .")
    found = json.loads(run(sys.executable, "-I", "-c", FIND))
    assert Path(found.pop("package")) == checkout / "costaudit/__init__.py"
    assert found == names(checkout)


def test_an_uninstalled_checkout_runs(checkout: Path) -> None:
    out = run(sys.executable, "-m", "costaudit", "--help", cwd=checkout)
    assert "profile" in out
    assert "gate" in out
