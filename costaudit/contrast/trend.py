"""Cost per 1M tokens over several runs, with drift marked where intervals lie apart."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

from costaudit.audit.document import TREND_SCHEMA
from costaudit.ground.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

_SAME = {
    "model": ("target", "model"),
    "device": ("device", "name"),
    "devices": ("device", "count"),
    "workload": ("workload", "probe"),
    "scale of the workload": ("workload", "scale"),
    "weights": ("target", "weights"),
}
_CHANGED = {"engine": ("target", "engine"), "version": ("target", "engine_version")}


@dataclass(frozen=True, slots=True, kw_only=True)
class Drift:
    """How far a run lies from another, at least and at most, as shares of the other's cost."""

    against: str  # the other run
    low_share: float
    high_share: float


def trend(named: Sequence[tuple[str, Mapping[str, Any]]]) -> dict[str, Any]:
    """The runs in the order in which they were recorded, from their Audit documents.

    A run drifts where its interval lies wholly above or below that of the run before, or, for
    what creeps, of the first. Runs of another model, device or workload are not judged: `apart`
    says why.

    Raises:
        UsageError: one has no cost per token: ways to pay alone, a capture, or a trend itself.
    """
    for name, document in named:
        if (document.get("bill") or {}).get("gpu_s_per_1m_tokens") is None:
            raise UsageError(
                f"{name} holds no cost per token, so it has no place in a trend",
                hint="name recordings, or audits of recordings as html or json",
            )
    ordered = sorted(named, key=lambda pair: str(_at(pair[1], "provenance", "created_utc") or ""))
    dollars = all(document["bill"]["usd_per_1m_tokens"] is not None for _, document in ordered)
    runs: list[dict[str, Any]] = []
    for place, (name, document) in enumerate(ordered):
        run = {"run": name, **_told(document, dollars=dollars), "apart": [], "changed": []}
        if place:
            before, first = ordered[place - 1][1], ordered[0][1]
            run["apart"] = _differences(_SAME, before, document)
            run["changed"] = _differences(_CHANGED, before, document) + _knobs(before, document)
            found = None if run["apart"] else _drift(runs[-1], run)
            if found is None and not _differences(_SAME, first, document):
                found = _drift(runs[0], run)
            run["drift"] = None if found is None else asdict(found)
        runs.append(run)
    return {"schema": TREND_SCHEMA, "unit": "usd" if dollars else "device_s", "runs": runs}


def _told(document: Mapping[str, Any], *, dollars: bool) -> dict[str, Any]:
    bill = document["bill"]
    name = "usd_per_1m_tokens" if dollars else "gpu_s_per_1m_tokens"
    bounds = bill.get(f"{name}_interval") or {"low": bill[name], "high": bill[name]}
    return {
        "created_utc": _at(document, "provenance", "created_utc") or "",
        "model": document["target"]["model"],
        "cost": bill[name],
        "low": bounds["low"],
        "high": bounds["high"],
        "drift": None,
    }


def _drift(before: Mapping[str, Any], run: Mapping[str, Any]) -> Drift | None:
    if before["low"] <= run["high"] and run["low"] <= before["high"]:
        return None
    return Drift(
        against=before["run"],
        low_share=run["low"] / before["high"] - 1,
        high_share=run["high"] / before["low"] - 1,
    )


def _differences(
    paths: Mapping[str, tuple[str, str]], before: Mapping[str, Any], after: Mapping[str, Any]
) -> list[str]:
    pairs = {name: (_at(before, *path), _at(after, *path)) for name, path in paths.items()}
    return [f"{name}: {old}, then {new}" for name, (old, new) in pairs.items() if old != new]


def _knobs(before: Mapping[str, Any], after: Mapping[str, Any]) -> list[str]:
    old, new = before["target"]["knobs"], after["target"]["knobs"]
    return [
        f"{name}: {_at(old, name, 'value')}, then {_at(new, name, 'value')}"
        for name in sorted({*old, *new})
        if _at(old, name, "value") != _at(new, name, "value")
    ]


def _at(document: Mapping[str, Any], section: str, key: str) -> Any:
    return (document.get(section) or {}).get(key)
