"""Finds the symptoms by their being there."""

from __future__ import annotations

import importlib
import pkgutil
from functools import cache

from costaudit.diagnosis import symptoms as shipped
from costaudit.diagnosis.symptom import Symptom
from costaudit.ground.errors import UsageError


@cache
def load() -> tuple[Symptom, ...]:
    """All symptoms by id.

    Raises:
        UsageError: a file has no SYMPTOM, or one whose id is not the file's name.
    """
    names = sorted(found.name for found in pkgutil.iter_modules(shipped.__path__))
    return tuple(sorted((_symptom(name) for name in names), key=lambda symptom: symptom.id))


def _symptom(name: str) -> Symptom:
    module = importlib.import_module(f"{shipped.__name__}.{name}")
    found = getattr(module, "SYMPTOM", None)
    if not isinstance(found, Symptom) or found.id != name.replace("_", "-"):
        raise UsageError(f"{module.__file__} has no SYMPTOM of the id {name.replace('_', '-')!r}")
    return found
