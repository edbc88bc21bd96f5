"""What every room's tests share: where the checkout is, what this machine has, what is kept."""

from __future__ import annotations

import ctypes
import os
from pathlib import Path

import pytest
from hypothesis import settings
from parts.cache import cache_folder

pytest_plugins = ["parts.fixtures"]  # real servers, for tests marked `servers`

# A busy machine is no failure; in CI a verdict on a change must repeat.
settings.register_profile("house", deadline=None, derandomize=bool(os.environ.get("CI")))
settings.load_profile("house")
os.environ.setdefault("HF_HUB_OFFLINE", "1")  # a test never downloads a model
os.environ.setdefault("OMP_NUM_THREADS", "1")  # tiny models: threads cost more than they bring
os.environ.pop("COSTAUDIT_API_KEY", None)  # nor carries somebody's key


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Skip what needs a GPU where there is none, and say so."""
    wanting = [item for item in items if item.get_closest_marker("gpu")]
    reason = no_gpu() if wanting else ""
    for item in wanting:
        if reason:
            item.add_marker(pytest.mark.skip(reason=reason))


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Print what tests measured: `record_property(what, figure)` in a test."""
    reports = [r for kind in ("passed", "failed") for r in terminalreporter.getreports(kind)]
    figures = [figure for r in reports if r.when == "call" for figure in r.user_properties]
    if figures:
        terminalreporter.section("measured")
    for what, figure in figures:
        terminalreporter.line(f"{what}: {figure}")


def no_gpu() -> str:
    """Why no NVIDIA GPU can be used here; empty where one can. Asks the driver, not torch."""
    try:
        cuda = ctypes.CDLL("libcuda.so.1")
    except OSError:
        return "no NVIDIA GPU here: libcuda.so.1 is not installed"
    count = ctypes.c_int(0)
    if cuda.cuInit(0) or cuda.cuDeviceGetCount(ctypes.byref(count)) or not count.value:
        return "no NVIDIA GPU here: the driver counts none"
    return ""


@pytest.fixture(scope="session")
def checkout() -> Path:
    """The root of the checkout."""
    return Path(__file__).resolve().parents[1]


@pytest.fixture(scope="session")
def parts() -> Path:
    """Folder outside the checkout for heavy real parts: made once, kept between runs."""
    return cache_folder()
