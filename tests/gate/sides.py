"""Budget lines and made-up recordings for the tests of relative lines."""

from __future__ import annotations

import importlib.util
from pathlib import Path

from costaudit.gate.budget import Margin, Severity

TESTS = Path(__file__).parents[1]


def loaded(path):
    """A helper module of another room's tests."""
    spec = importlib.util.spec_from_file_location(path.stem, path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


observed = loaded(TESTS / "contrast" / "made_up_sides.py").observed


def line(metric="usd_per_1m_tokens", *, margin=0.1, severity=Severity.ERROR, place=1):
    """A relative line."""
    return Margin(
        metric=metric,
        margin=margin,
        severity=severity,
        owner="team",
        reason="we said so",
        line=place,
    )
