"""Every null of the document has an entry that says why."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from costaudit.audit.document import leaves

if TYPE_CHECKING:
    from collections.abc import Mapping


def explain(document: Mapping[str, Any], reasons: Mapping[str, str]) -> list[dict[str, str]]:
    """One {what, why} per null of the document, by the reason of it or of its nearest parent.

    Raises:
        LookupError: a null that nobody explained; a fault of ours, never shown as a number.
    """
    return [
        {"what": path, "why": _reason(path, reasons)}
        for path, value in leaves(document)
        if value is None
    ]


def _reason(path: str, reasons: Mapping[str, str]) -> str:
    parts = path.split(".")
    for length in range(len(parts), 0, -1):
        found = reasons.get(".".join(parts[:length]))
        if found:
            return found
    raise LookupError(f"{path} is null and nothing says why")
