from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

sys.path.insert(0, str(Path(__file__).parents[1] / "fakes"))
from nvml_library import build

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture(scope="session")
def fake_driver(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of an NVML library that says what it is told to."""
    return build(tmp_path_factory.mktemp("fake_nvml"))


@pytest.fixture(scope="module")
def small_peaks() -> Iterator[None]:
    """Peaks are measured for real, on data that take milliseconds."""
    patch = pytest.MonkeyPatch()
    patch.setattr("costaudit.record.peaks._GEMM_SIZE", {"cpu": 128})
    patch.setattr("costaudit.record.peaks._COPY_BYTES", {"cpu": 1 << 20})
    yield
    patch.undo()
