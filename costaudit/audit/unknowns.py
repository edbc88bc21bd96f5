"""Every null of the document has an entry that says why."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

EXEMPT = ("unknown",)  # the list itself


def nulls(document: Any, path: str = "") -> Iterator[str]:
    """Dotted paths of all null leaves; list items are numbered, `playbook.0.rank`."""
    match document:
        case None:
            yield path
        case dict():
            for key, value in document.items():
                if path or key not in EXEMPT:
                    yield from nulls(value, f"{path}.{key}" if path else key)
        case list() | tuple():
            for index, value in enumerate(document):
                yield from nulls(value, f"{path}.{index}")


def explain(document: Mapping[str, Any], reasons: Mapping[str, str]) -> list[dict[str, str]]:
    """One {what, why} per null of the document, by the reason of it or of its nearest parent.

    Raises:
        LookupError: a null that nobody explained; a fault of ours, never shown as a number.
    """
    return [{"what": path, "why": _reason(path, reasons)} for path in nulls(document)]


def _reason(path: str, reasons: Mapping[str, str]) -> str:
    parts = path.split(".")
    for length in range(len(parts), 0, -1):
        found = reasons.get(".".join(parts[:length]))
        if found:
            return found
    raise LookupError(f"{path} is null and nothing says why")
