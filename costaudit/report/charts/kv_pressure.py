"""How far the pressure ramp went: cache and speed by requests at once, and where blocks ran out."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from costaudit.report import figures
from costaudit.report.chart import (
    ACCENT,
    INK,
    OPEN,
    WASTE,
    Chart,
    colours,
    quantity,
    tooltip,
    values,
)

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from costaudit.report.chart import Spec

_HELD, _SPARED, _FULL = "cache", "cache: blocks sufficed", "cache: blocks ran out"
_SPEED = "tokens/s"
_KINDS = {_HELD: ACCENT, _SPARED: ACCENT, _FULL: WASTE, _SPEED: INK}
_GIB = 1 << 30


def _spec(document: Mapping[str, Any]) -> Spec | None:
    kv = document["kv_cache"]
    pressure = kv.get("pressure")
    rows = _stages(kv.get("ramp") or ()) if pressure is None else _rungs(pressure["rungs"])
    if len(rows) < 2:  # noqa: PLR2004 - one rung shows no knee
        return None
    filled = "share of the cache in use, at most"
    share = quantity("cache", filled, axis={"format": "%"}, scale={"domain": [0, 1]})
    cache = quantity("cache", "GiB of cache") if pressure is None else share
    seen = {row["state"] for row in rows if row["cache"] is not None} | {_SPEED}
    named = {kind: colour for kind, colour in _KINDS.items() if kind in seen}
    measures = (("cache", cache), ("speed", _speed(rows)))
    layers = [_line(rows, field, y, named) for field, y in measures]
    layers = [layer for layer in layers if layer["data"]["values"]]
    if pressure is not None:
        layers.append(_marks(pressure))
    independent = {"scale": {"y": "independent"}}
    return {"layer": layers, "resolve": independent, "height": 240}


def _line(rows: Sequence[Mapping[str, Any]], field: str, y: Spec, named: Mapping[str, str]) -> Spec:
    """One measure of every rung that has it; rungs of other prompts are a line of their own."""
    known = [dict(row) for row in rows if row[field] is not None]
    for row in known:
        row["kind"] = _SPEED if field == "speed" else row["state"]
    told = tooltip(
        streams="at once", prompts="prompts", full="cache", fast="tokens/s", held="held up"
    )
    x = quantity(
        "at",
        "requests at once",
        axis={"grid": False},
        log=True,
        scale={"nice": False, "padding": 12},
    )
    common = {"x": x, "y": y, "detail": {"field": "prompts", "type": "nominal"}}
    stroke = {"type": "line", "strokeWidth": 1.5, "color": INK if field == "speed" else ACCENT}
    if field == "speed":
        stroke["strokeDash"] = [5, 3]
    point = {"type": "point", "filled": True, "size": 70, "opacity": 1}
    dots = {**common, "color": colours("kind", named), "tooltip": told}
    return {
        "data": values(known),
        "layer": [{"mark": stroke, "encoding": common}, {"mark": point, "encoding": dots}],
    }


def _speed(rows: Sequence[Mapping[str, Any]]) -> Spec:
    alone = all(row["cache"] is None for row in rows)
    axis = {"orient": "left" if alone else "right", "grid": alone}
    return quantity("speed", "tokens/s", axis=axis, scale={"zero": True})


def _marks(pressure: Mapping[str, Any]) -> Spec:
    """Upright lines: the audited streams, and the fewest over which blocks ran out."""
    told = {"audited": pressure["audited_streams"], "blocks ran out": pressure.get("full_streams")}
    rows = [
        {"at": at, "what": f"{name}: {figures.count(at)}"}
        for name, at in told.items()
        if at is not None and at > 0
    ]
    x = {"field": "at", "type": "quantitative"}
    return {
        "data": values(rows),
        "mark": {"type": "rule", "strokeDash": [2, 3], "strokeWidth": 1.5, "color": OPEN},
        "encoding": {"x": x, "tooltip": tooltip(what="")},
    }


def _rungs(rungs: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Of a server."""
    return [
        {
            "at": rung["streams"],
            "streams": figures.count(rung["streams"]),
            "prompts": _prompts(rung),
            "cache": rung.get("usage_peak_share"),
            "full": figures.percent(rung.get("usage_peak_share")),
            "speed": rung.get("tokens_per_s"),
            "fast": figures.significant(rung.get("tokens_per_s")),
            "held": _held_up(rung),
            "state": _FULL if rung["full"] else _SPARED,
        }
        for rung in rungs
    ]


def _prompts(rung: Mapping[str, Any]) -> str:
    tokens = rung.get("prompt_tokens")
    return "this traffic's own" if tokens is None else f"{figures.count(tokens)} tokens"


def _held_up(rung: Mapping[str, Any]) -> str:
    waited, preempted = (figures.count(rung.get(n)) for n in ("waiting_peak", "preemptions"))
    return f"{waited} waiting at most, {preempted} preempted"


def _stages(stages: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Of a model in this process: one decode step over so many sequences."""
    return [
        {
            "at": stage["seqs"],
            "streams": figures.count(stage["seqs"]),
            "prompts": f"{figures.count(stage['tokens'] / stage['seqs'])} tokens",
            "cache": stage["bytes"] / _GIB,
            "full": figures.binary_bytes(stage["bytes"]),
            "speed": (speed := stage["seqs"] / stage["s"] if stage.get("s") else None),
            "fast": figures.significant(speed),
            "held": "",
            "state": _HELD,
        }
        for stage in stages
    ]


def _says(document: Mapping[str, Any]) -> str:
    kv = document["kv_cache"]
    pressure = kv.get("pressure")
    if pressure is None:
        last = kv["ramp"][-1]
        reached = f"{figures.count(last['seqs'])} sequences at once"
        most = kv.get("max_concurrency")
        end = "memory ends there" if most is not None else "the ramp ended before memory did"
        return f"Up to {reached}, {figures.binary_bytes(last['bytes'])} of cache; {end}."
    audited = f"The audit ran {figures.count(pressure['audited_streams'])} streams"
    knee = pressure.get("knee")
    if knee is None:
        return f"{audited}; blocks ran out on no rung."
    by = "requests are preempted" if knee.get("by") == "preemption" else "requests wait"
    at = f"{figures.count(knee['streams'])} streams, prompts: {_prompts(knee)}"
    return f"{audited}; the knee, where blocks run out and {by}, lies at {at}."


CHART = Chart(title="The pressure ramp and its knee", needs=("kv_cache",), spec=_spec, says=_says)
