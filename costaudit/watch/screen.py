"""The screen of a watch: a fixed number of lines in fixed places, so nothing jumps.

Made for 80 columns and 24 lines over ssh; a larger terminal shows more events. What is not told
reads "no data", never 0.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from rich.text import Text

    from costaudit.diagnosis.diagnosis import Facts, Finding
    from costaudit.watch.frame import Frame

LEAST_WIDTH, LEAST_HEIGHT = 60, 24
NO_DATA = "no data"
_LABEL = 10
_BAR = 20
_SPARKS = "▁▂▃▄▅▆▇█"
_FLAT = 0.1  # of the cost; what moves less than a drift fills no height
_FINDINGS = 3  # in two lines each
_FIXED = 20  # lines above the events
_BOLD, _DIM, _BAD, _GOOD = "bold", "dim", "bold red", "bold green"
_STYLE = {"troubled": _BAD, "suspect": "yellow", "healthy": _GOOD}
_SLICE_MARKS = {"prefill": "█", "either": "▒", "decode": "▓", "preemption": "x", "idle": "░"}
_Line = tuple[str, str]


def screen(frame: Frame, *, width: int = 80, height: int = LEAST_HEIGHT) -> list[_Line]:
    """The lines of the screen with their styles: `height` of them, none wider than `width`."""
    width, height = max(width, LEAST_WIDTH), max(height, LEAST_HEIGHT)
    lines = [*_head(frame, width), *_figures(frame), *_findings(frame)]
    lines += [("", "")] * (_FIXED - len(lines))
    room = height - _FIXED - 1
    told = [f"  {_clock(event.at_s)} {event.text}" for event in frame.events[-room:]]
    lines += [("Events", _BOLD), *((text, "") for text in told)]
    lines += [("", "")] * (height - len(lines))
    return [(_cut(text, width), style) for text, style in lines[:height]]


def screen_text(frame: Frame, *, width: int, height: int) -> Text:
    """The screen for rich."""
    from rich.text import Text

    text = Text(no_wrap=True, overflow="crop", end="")
    lines = screen(frame, width=width, height=height)
    for place, (line, style) in enumerate(lines):
        text.append(line + ("\n" if place < len(lines) - 1 else ""), style=style)
    return text


def _head(frame: Frame, width: int) -> Iterator[_Line]:
    found, clock = frame.diagnosis, _clock(frame.at_s)
    name = "costaudit watch"
    if found is not None:
        window = found.window
        name = " ".join(filter(None, (window.engine, window.version, window.model)))
    yield f"{_cut(f'{name}  {frame.url}', width - 10):<{width - 10}}  {clock}", _BOLD
    if frame.lost:
        yield f"no reading: {frame.lost}", _BAD
    elif found is None:
        yield "waiting for the second reading", _DIM
    else:
        told = found.findings[0].title if found.findings else found.summary
        yield f"{found.state.value}: {told}", _STYLE.get(found.state.value, "")
    yield "", ""


def _figures(frame: Frame) -> Iterator[_Line]:
    facts = frame.diagnosis.facts if frame.diagnosis is not None else None
    yield _row("Cost", _cost(frame)), _BOLD
    yield _row("", _sparks(frame)), _drift_style(frame)
    yield _row("Device", _slices(frame)), ""
    yield _row("", "  ".join(f"{mark} {name}" for name, mark in _SLICE_MARKS.items())), _DIM
    yield _row("Batch", _batch(facts)), ""
    yield _row("KV cache", _kv(facts)), ""
    yield _row("Waiting", _waiting(facts)), ""
    yield _row("Prefix", _prefix(facts)), ""
    yield _row("Tokens/s", _tokens(facts)), ""
    yield _row("Latency", _latency(facts)), ""
    yield "", ""


def _findings(frame: Frame) -> Iterator[_Line]:
    findings = frame.diagnosis.findings if frame.diagnosis is not None else ()
    for rank, one in enumerate(findings[:_FINDINGS], 1):
        unsure = " (possible)" if one.confidence.value == "possible" else ""
        yield f"{rank}. {one.title}{unsure}", _BAD if one.urgent else _BOLD
        yield f"   {_fix(one)}", ""


def _fix(one: Finding) -> str:
    return f"fix: {one.fixes[0].flag}" if one.fixes else one.advice


def _cost(frame: Frame) -> str:
    if frame.device_s_per_1m is None:
        return "no token in the window"
    if frame.usd_per_1m is None:
        return f"{_number(frame.device_s_per_1m)} device-s per 1M tokens (--price makes it USD)"
    usd = frame.usd_per_1m
    cents = f"{usd:,.2f}" if usd >= 1 else _number(usd)
    return f"${cents} per 1M tokens"


def _sparks(frame: Frame) -> str:
    """The costs of the blocks, low to high, with the mark of the last drift."""
    known = [cost for cost in frame.costs if cost is not None]
    if not known:
        return ""
    low, high = min(known), max(known)
    step = max(high - low, _FLAT * abs(high)) / (len(_SPARKS) - 1) or 1.0
    line = "".join(
        " " if c is None else _SPARKS[round((c - low) / step)] for c in frame.costs[-30:]
    )
    drift = frame.drift
    mark = "" if drift is None else f"  {drift.share * 100:+.0f} % at {_clock(drift.since_s)}"
    return f"{line}{mark}"


def _drift_style(frame: Frame) -> str:
    return "yellow" if frame.drift is not None and frame.drift.share > 0 else ""


def _slices(frame: Frame) -> str:
    if not frame.slices:
        return NO_DATA
    width = 2 * _BAR
    bar, told = "", []
    for name, mark in _SLICE_MARKS.items():
        share = frame.slices.get(name, 0.0)
        bar += mark * round(share * width)
        told.append(f"{name} {_percent(share)}")
    return f"{bar[:width]:<{width}} {told[2]}, {told[-1]}"


def _batch(facts: Facts | None) -> str:
    if facts is None or facts.batch_mean is None:
        return NO_DATA
    text = _number(facts.batch_mean)
    if facts.batch_slots:
        share = facts.batch_mean / facts.batch_slots
        text = f"{_bar(share)} {text} of {facts.batch_slots:.0f} ({facts.batch_slots_origin})"
    return text if facts.busy_share is None else f"{text}, busy {_percent(facts.busy_share)}"


def _kv(facts: Facts | None) -> str:
    if facts is None or facts.kv_usage is None:
        return NO_DATA
    usage = facts.kv_usage
    text = f"{_bar(usage.last)} {_percent(usage.last)}, at most {_percent(usage.high)}"
    lost = facts.preemptions
    return text if lost is None else f"{text}, {lost:.0f} preemptions"


def _waiting(facts: Facts | None) -> str:
    if facts is None or facts.waiting is None:
        return NO_DATA
    text = f"{facts.waiting.last:.0f} now, {_number(facts.waiting.mean)} on average"
    return f"{text}; {facts.queue_reason}" if facts.queue_reason else text


def _prefix(facts: Facts | None) -> str:
    if facts is None or facts.prefix_hit_share is None:
        why = "" if facts is None else facts.why.get("prefix_hit_share", "")
        return f"{NO_DATA}: {why}" if why else NO_DATA
    return f"{_bar(facts.prefix_hit_share)} {_percent(facts.prefix_hit_share)} of prompt tokens hit"


def _tokens(facts: Facts | None) -> str:
    if facts is None:
        return NO_DATA
    told = (("prompt", facts.prompt_tokens_per_s), ("generated", facts.generated_tokens_per_s))
    return _joined([f"{_number(v)} {name}" for name, v in told if v is not None])


def _latency(facts: Facts | None) -> str:
    if facts is None:
        return NO_DATA
    told = (("TTFT", facts.ttft_s), ("between tokens", facts.itl_s), ("whole", facts.e2e_s))
    return _joined([f"{name} {_seconds(v)}" for name, v in told if v is not None])


def _joined(parts: Sequence[str]) -> str:
    return ", ".join(parts) or NO_DATA


def _row(label: str, text: str) -> str:
    return f"{label:<{_LABEL}}{text}"


def _bar(share: float) -> str:
    full = round(max(0.0, min(1.0, share)) * _BAR)
    return f"[{'#' * full}{'.' * (_BAR - full)}]"


def _number(value: float) -> str:
    return f"{value:,.0f}" if abs(value) >= 100 else f"{value:.3g}"  # noqa: PLR2004 - digits


def _percent(share: float) -> str:
    return f"{share * 100:.0f} %"


def _seconds(value: float) -> str:
    return f"{value * 1000:.3g} ms" if value < 1 else f"{value:.3g} s"


def _clock(at_s: float) -> str:
    return time.strftime("%H:%M:%S", time.localtime(at_s))


def _cut(text: str, width: int) -> str:
    return text if len(text) <= width else f"{text[: width - 1]}…"
