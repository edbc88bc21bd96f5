"""Actions → what to type on this engine, with values that fit this window."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from costaudit.diagnosis import signs
from costaudit.diagnosis.diagnosis import Fix
from costaudit.facts.server_flags import server_flag
from costaudit.measure.window import RUNNING, WHILE_WAITING

if TYPE_CHECKING:
    from collections.abc import Iterable

    from costaudit.measure.window import Window

_HOLE = re.compile(r"\{([a-z_]+)\}")
_LEAST_CHUNK = 128  # tokens; below, a step's own overhead rules
_USUAL_BUDGET = 2048  # vLLM's default for small GPUs
_ROUND = 64  # contexts and chunks are given in such steps


def fixes(window: Window, actions: Iterable[str]) -> tuple[Fix, ...]:
    """The changes that this engine's version knows, in the order of the actions."""
    found = []
    for action in actions:
        flag = server_flag(window.engine, action, version=window.version)
        if flag is not None:
            text = _HOLE.sub(lambda hole: _value(window, hole[1]), flag.flag)
            if action != "shorter-context" or _is_too_long(window):
                found.append(Fix(action=action, flag=text, verify=flag.verify))
    return tuple(found)


def _is_too_long(w: Window) -> bool:
    """The context that is allowed may be longer than the cache; what fits need not be shortened."""
    room, limit = _number(w.knob("kv_tokens_total")), signs.context_limit(w)
    return room is None or limit is None or limit > room


def _value(w: Window, hole: str) -> str:
    """What stands in a hole; a word in capitals where the window does not tell."""
    budget = _number(w.knob("max_num_batched_tokens")) or _USUAL_BUDGET
    room, ranks = _number(signs.slots(w).value), _number(w.knob("tensor_parallel")) or 2.0
    each = None if room is None else room / signs.ranks(w)
    adapters = w.levels("lora.max")
    told = {
        "more": "TWICE_AS_MANY" if each is None else _whole(2 * each),
        "fitting": _fitting(w),
        "context": _context(w),
        "chunk": _whole(max(_LEAST_CHUNK, budget / 4 // _ROUND * _ROUND)),
        "budget": _whole(2 * budget),
        "half_ranks": _whole(max(1.0, ranks // 2)),
        "more_adapters": "MORE" if adapters is None else _whole(2 * adapters.last),
    }
    return told.get(hole, hole.upper())


def _fitting(w: Window) -> str:
    """What the cache held while others waited for it."""
    full = w.levels(RUNNING + WHILE_WAITING)
    held = full.mean if full is not None else signs.batch_mean(w)
    return _whole(max(1.0, held / signs.ranks(w))) if held else "FEWER"


def _context(w: Window) -> str:
    room, limit = _number(w.knob("kv_tokens_total")), signs.context_limit(w)
    if room is None:
        return "WHAT_FITS"
    fits = min(room, limit) if limit is not None else room
    return _whole(max(float(_ROUND), fits // _ROUND * _ROUND))


def _number(value: object) -> float | None:
    return float(value) if isinstance(value, (int, float)) and value > 0 else None


def _whole(value: float) -> str:
    return f"{value:.0f}"
