"""Which format a log has, and which of its columns holds what."""

from __future__ import annotations

import importlib
import pkgutil
from functools import cache
from typing import TYPE_CHECKING

from costaudit.ground.errors import UsageError, did_you_mean
from costaudit.traffic import formats
from costaudit.traffic.formats.usual import FORMAT as USUAL
from costaudit.traffic.layout import EXTRA_PROMPT, FIELDS, RATES, Format, Head, Layout, plain

if TYPE_CHECKING:
    from collections.abc import Mapping

ALIASES = {
    "timestamp": "time", "input_tokens": "prompt_tokens", "completion_tokens": "output_tokens",
    "cached_tokens": "cached_prompt_tokens", "hash_ids": "block_hashes", "id": "request_id",
}  # fmt: skip
SUM_OF = {"prompt_tokens": "output_tokens", "output_tokens": "prompt_tokens"}


@cache
def known_formats() -> tuple[Format, ...]:
    """Every format that has a file, the usual names last."""
    modules = sorted(module.name for module in pkgutil.iter_modules(formats.__path__))
    found = (importlib.import_module(f"{formats.__name__}.{name}").FORMAT for name in modules)
    return (*(form for form in found if form is not USUAL), USUAL)


def lay_out(head: Head, mapping: Mapping[str, str] | None = None, *, source: str) -> Layout:
    """The layout of a log with this head; what `mapping` says (field → column) rules.

    Raises:
        UsageError: `mapping` names no field or no column, or a field that is needed has none.
    """
    chosen = _checked(mapping or {}, head, source)
    present = {plain(column): column for column in reversed(head.columns)}
    form = max(known_formats(), key=lambda f: _fit(f, present))
    columns = {
        field: column
        for field, names in {**USUAL.columns, **form.columns}.items()
        if (column := _first(names, present)) and field != EXTRA_PROMPT
    } | chosen
    if not (set(RATES) & set(chosen) or "prompt_tokens" not in chosen):
        columns = {field: column for field, column in columns.items() if field not in RATES}
    layout = Layout(format=form, columns=columns, extra_prompt=_extra(columns, present, chosen))
    _complain(layout, head, source)
    return layout


def _fit(form: Format, present: Mapping[str, str]) -> int:
    if all(_first(names, present) for names in form.signature):
        return len(form.signature)
    return -1


def _first(names: tuple[str, ...], present: Mapping[str, str]) -> str | None:
    return next((present[plain(name)] for name in names if plain(name) in present), None)


def _extra(
    columns: Mapping[str, str], present: Mapping[str, str], chosen: Mapping[str, str]
) -> tuple[str, ...]:
    """Anthropic's cached input: only beside a column called input_tokens, and if not mapped."""
    prompt = columns.get("prompt_tokens", "")
    if "prompt_tokens" in chosen or not plain(prompt).endswith("inputtokens"):
        return ()
    return tuple(
        present[plain(name)] for name in USUAL.columns[EXTRA_PROMPT] if plain(name) in present
    )


def _checked(mapping: Mapping[str, str], head: Head, source: str) -> dict[str, str]:
    chosen = {}
    for name, column in mapping.items():
        field = ALIASES.get(name, name)
        if field not in FIELDS:
            raise UsageError(f"--map {name}=…: no such field", hint=did_you_mean(name, FIELDS))
        if column not in head.columns:
            raise UsageError(
                f"--map {name}={column}: {source} has no column {column!r}",
                hint=did_you_mean(column, head.columns),
            )
        chosen[field] = column
    return chosen


def _complain(layout: Layout, head: Head, source: str) -> None:
    """Say which --map would do where a field that is needed was not found."""
    have = set(layout.columns)
    needed = ["time"]
    if layout.kind == "rates":
        needed += [f for f in ("prompt_tokens_per_s", "output_tokens_per_s") if f not in have]
    else:
        needed += [
            field
            for field, other in SUM_OF.items()
            if field not in have and not {"total_tokens", other} <= have
        ]
    missing = [field for field in needed if field not in have]
    if missing:
        flags = ",".join(f"{field}=COLUMN" for field in missing)
        columns = ", ".join(head.columns[:40]) or "none"
        raise UsageError(
            f"{source}: no column is known to hold {' and '.join(missing)}",
            hint=f"say which one does with --map {flags}; its columns: {columns}",
        )
