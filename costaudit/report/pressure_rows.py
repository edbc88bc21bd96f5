"""KV pressure in words: the stages of the ramp, and of a server what they mean for its traffic."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from costaudit.report import figures
from costaudit.report.fact_rows import Fact, Grid

if TYPE_CHECKING:
    from collections.abc import Mapping

_BY = {"preemption": "preempted", "waiting": "made to wait"}


def ramp_grid(kv: Mapping[str, Any]) -> Grid | None:
    """The stages of the pressure ramp; None where there was none."""
    if (pressure := kv.get("pressure")) is not None:
        return _rungs(pressure["rungs"])
    stages = kv.get("ramp")
    if not stages:
        return None
    return Grid(
        columns=("sequences", "tokens", "memory"),
        rows=tuple(
            (
                figures.count(stage["seqs"]),
                figures.count(stage["tokens"]),
                figures.binary_bytes(stage["bytes"]),
            )
            for stage in stages
        ),
    )


def _rungs(rungs: list[Mapping[str, Any]]) -> Grid | None:
    if not rungs:
        return None
    columns = (
        "streams",
        "prompts",
        "at once",
        "peak use",
        "waiting",
        "preempted",
        "again",
        "waste",
    )
    return Grid(columns=(*columns, "tokens/s"), rows=tuple(_rung(rung) for rung in rungs))


def _rung(rung: Mapping[str, Any]) -> tuple[str, ...]:
    prompts = rung.get("prompt_tokens")
    return (
        figures.count(rung["streams"]),
        "own" if prompts is None else figures.count(prompts),
        figures.count(rung.get("at_once")),
        figures.percent(rung.get("usage_peak_share")),
        figures.count(rung.get("waiting_peak")),
        figures.count(rung.get("preemptions")),
        _again(rung),
        figures.percent(rung.get("waste_share")),
        figures.significant(rung.get("tokens_per_s")),
    )


def pressure_facts(kv: Mapping[str, Any]) -> list[Fact]:
    """What the ramp says of the audited traffic; nothing where none was asked for."""
    pressure = kv.get("pressure")
    if pressure is None:
        return []
    facts = [*_room(pressure), *_knee(pressure.get("knee"))]
    return [*facts, Fact(label="The pressure ramp ended", text=pressure["ended"])]


def _room(pressure: Mapping[str, Any]) -> list[Fact]:
    spared, full = pressure.get("spared_streams"), pressure.get("full_streams")
    now = figures.count(pressure["audited_streams"])
    room = pressure.get("headroom_factor", {})
    facts = []
    if spared is not None:
        text = f"{figures.count(spared)} streams" + ("" if full else " or more")
        note = f"the audit ran {now}: {figures.significant(room['low'])} times as many"
        facts.append(
            Fact(label="This traffic runs without want of blocks over", text=text, note=note)
        )
    if full is not None:
        note = f"{figures.significant(room['high'])} times the audited {now}"
        text = f"{figures.count(full)} streams"
        facts.append(Fact(label="Blocks run out over", text=text, note=note))
    return facts


def _knee(knee: Mapping[str, Any] | None) -> list[Fact]:
    """The gentlest rung over which blocks ran out."""
    if knee is None:
        return []
    prompts = knee.get("prompt_tokens")
    what = "this traffic" if prompts is None else f"prompts of {figures.count(prompts)} tokens"
    facts = [
        Fact(
            label="There requests are",
            text=_BY.get(knee.get("by", ""), "held up"),
            note=f"{figures.count(knee['streams'])} streams of {what}",
        )
    ]
    if knee.get("preemptions"):
        facts.append(
            Fact(
                label="Preemptions there",
                text=f"{figures.count(knee['preemptions'])} in {knee['requests']} requests",
                note=f"computed again: {_again(knee)} tokens, {knee.get('recomputed_how', '')}",
            )
        )
    if knee.get("waiting_by_reason"):
        text = ", ".join(
            f"{figures.count(n)} for {r}" for r, n in knee["waiting_by_reason"].items()
        )
        facts.append(Fact(label="Most that waited there, by reason", text=text))
    return facts


def _again(rung: Mapping[str, Any]) -> str:
    """Tokens computed again, between two ends."""
    again = rung.get("recomputed_tokens")
    if again is None:
        return figures.UNKNOWN
    low, high = figures.count(again["low"]), figures.count(again["high"])
    return high if low == high else f"{low} to {high}"
