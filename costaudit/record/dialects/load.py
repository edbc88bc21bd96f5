"""Finds the dialects by their being there: each file with a DIALECT is one."""

from __future__ import annotations

import importlib
import pkgutil
from functools import cache
from typing import TYPE_CHECKING

from costaudit.ground.errors import UsageError, did_you_mean
from costaudit.record import dialects as here

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from costaudit.record.dialects.dialect import Dialect

_NO_DIALECTS = {"dialect", "load"}


@cache
def dialects() -> Mapping[str, Callable[..., Dialect]]:
    """How each dialect is made, by its name; without arguments it speaks its plainest form."""
    names = [found.name for found in pkgutil.iter_modules(here.__path__) if not found.ispkg]
    return {
        name: importlib.import_module(f"{here.__name__}.{name}").DIALECT
        for name in sorted(names)
        if name not in _NO_DIALECTS
    }


def dialect(name: str) -> Dialect:
    """The plainest form of the dialect of this name.

    Raises:
        UsageError: there is none.
    """
    known = dialects()
    if name not in known:
        raise UsageError(f"there is no dialect {name!r}", hint=did_you_mean(name, known))
    return known[name]()
