"""Short ways to say what was seen, and where."""

from __future__ import annotations

from typing import TYPE_CHECKING

from costaudit.playbook.step import CannotTell, Evidence, unknown_knob

if TYPE_CHECKING:
    from costaudit.playbook.step import Situation

REPLAYED = "simulation of the replayed requests"
FITTED = "fitted step time, over the replayed requests"
LENGTHS = "requests: lengths"
SETTINGS = "settings of the target"
PRESSED = "pressure ramp, measured"
SERVER = "server"  # kind of a target that is met over the network


def share(what: str, value: float, where: str = REPLAYED) -> Evidence:
    """A share, 0 to 1."""
    return Evidence(what=what, value=min(max(value, 0.0), 1.0), unit="share", where=where)


def count(what: str, value: float, where: str = REPLAYED) -> Evidence:
    """A number of things."""
    return Evidence(what=what, value=value, unit="count", where=where)


def tokens(what: str, value: float, where: str = LENGTHS) -> Evidence:
    """A number of tokens."""
    return Evidence(what=what, value=value, unit="tokens", where=where)


def seconds(what: str, value: float, where: str = REPLAYED) -> Evidence:
    """A time."""
    return Evidence(what=what, value=value, unit="s", where=where)


def term_share(situation: Situation, *terms: str) -> float | None:
    """Share of the busy time in these terms of the step time; None where not told apart."""
    outcome = situation.outcome
    if not outcome.busy_s or any(term not in outcome.busy_terms_s for term in terms):
        return None
    return sum(outcome.busy_terms_s[term] for term in terms) / outcome.busy_s


def pressed(situation: Situation) -> tuple[Evidence, ...]:
    """Where blocks ran out as more streams came, and where not; nothing without a ramp."""
    ramp = situation.metrics.kv.pressure
    if ramp is None:
        return ()
    told = {
        "streams over which no block ran out": ramp.spared_streams,
        "streams over which blocks ran out": ramp.full_streams,
    }
    return tuple(count(what, n, PRESSED) for what, n in told.items() if n is not None)


def unknown_roof(situation: Situation) -> CannotTell | None:
    """The answer of a step that needs bytes and FLOPs where shape or peaks are not known."""
    if not situation.scenario.step_time.free:
        return None
    return CannotTell(
        because="the model's shape or the device's peaks are unknown, so bytes and FLOPs are:"
        " --model-config and --gpu would tell"
    )


def unknown_pool(situation: Situation) -> CannotTell | None:
    """The answer of a step that needs the size of the KV memory where nobody knows it."""
    metrics, why = situation.metrics, None
    if metrics.kv.capacity_tokens is None:  # else the entry only says where it came from
        why = metrics.unknown.get("kv_cache.capacity_tokens")
    if situation.scenario.knobs.kv_budget_tokens > 0 and why is None:
        return None
    return CannotTell(
        because="how many tokens the KV memory holds is unknown: " + (why or "it was not measured")
    )


def untold_knob(situation: Situation, name: str) -> CannotTell | None:
    """The answer where a server has this knob, or may have it, and does not say how it is set."""
    if blind := unknown_knob(situation, name):
        return blind
    target = situation.metrics.target
    if target.kind != SERVER or name in target.knobs:
        return None
    return CannotTell(because=f"the server does not say how {name} is set")


def knob(situation: Situation, name: str) -> float | str | None:
    """What a setting of the target is known to be; None where it is not."""
    found = situation.metrics.target.knobs.get(name)
    return None if found is None else found.value


def is_on(situation: Situation, name: str) -> bool:
    """Whether a setting is known to be on: true, or any word but a denial."""
    value = knob(situation, name)
    return value is not None and str(value).lower() not in {"", "0", "false", "none", "off"}
