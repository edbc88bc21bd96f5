"""Finds the claims by their being there."""

from __future__ import annotations

import importlib
import pkgutil
from typing import TYPE_CHECKING

from costaudit.folklore import claims as shipped
from costaudit.folklore.claim import Claim, Untold
from costaudit.ground.errors import InconclusiveError

if TYPE_CHECKING:
    from costaudit.folklore.claim import Finding, Known


def load_claims() -> tuple[Claim, ...]:
    """All claims, by id; a module there without a CLAIM of its name is a fault of this package.

    Raises:
        TypeError: a module's CLAIM is none, or its id is not the module's name.
    """
    found = []
    for name in sorted(module.name for module in pkgutil.iter_modules(shipped.__path__)):
        claim = getattr(importlib.import_module(f"{shipped.__name__}.{name}"), "CLAIM", None)
        if not isinstance(claim, Claim) or claim.id != name.replace("_", "-"):
            raise TypeError(f"costaudit/folklore/claims/{name}.py: CLAIM is no claim of this name")
        found.append(claim)
    return tuple(found)


def findings(known: Known) -> tuple[tuple[Claim, Finding], ...]:
    """Every claim with what this target says to it."""
    return tuple((claim, _look(claim, known)) for claim in load_claims())


def _look(claim: Claim, known: Known) -> Finding:
    try:
        return claim.look(known)
    except InconclusiveError as err:  # what it supposes cannot run here
        return Untold(because=err.message)
