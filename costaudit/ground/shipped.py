"""Finds the files that ship beside the code: probes and report templates."""

from __future__ import annotations

from pathlib import Path

_PACKAGE = Path(__file__).resolve().parents[1]
_CHECKOUT = {"probes": "probes", "templates": "reports/templates"}


def shipped(kind: str) -> Path:
    """Folder of the shipped `kind` ("probes" or "templates"): wheel first, checkout second.

    Raises:
        FileNotFoundError: the installation is incomplete.
    """
    for folder in (_PACKAGE / "_shipped" / kind, _PACKAGE.parent / _CHECKOUT[kind]):
        if folder.is_dir():
            return folder
    raise FileNotFoundError(f"{kind} did not ship with this installation of costaudit")
