"""Whether the change can be seen on the target, and how its knobs were really set."""

from __future__ import annotations

from dataclasses import dataclass, fields, replace
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping

    from costaudit.measure.metrics import Metrics
    from costaudit.whatif.scenario import Scenario

# Settings that a server exports as numbers or truths under the name that the what-if engine uses.
TOLD = (
    "max_num_seqs",
    "max_num_batched_tokens",
    "kv_block_tokens",
    "prefix_caching",
    "chunked_prefill",
    "kv_budget_tokens",
)
POOL = "kv_budget_tokens"  # exported as the size of the cache, not as a knob
PLAIN = (bool, int)


@dataclass(frozen=True, slots=True, kw_only=True)
class Seen:
    """What the changed target shows.

    Attributes:
        set_to: settings whose exported value is another one than before.
        unchanged: what is exported and still has the old value, though a step sets it.
        notes: in words, what a reader should know.
    """

    set_to: Mapping[str, bool | int]
    unchanged: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()

    def as_set(self, changed: Scenario) -> Scenario:
        """The scenario with the settings as they really are."""
        settings: dict[str, Any] = dict(self.set_to)
        return replace(changed, knobs=replace(changed.knobs, **settings))


def look(before: Metrics, after: Metrics, today: Scenario, changed: Scenario) -> Seen:
    """Hold what the target exports against what the steps set."""
    was, is_now = _told(before), _told(after)
    both = [name for name in TOLD if name in was and name in is_now]
    set_to = {name: is_now[name] for name in both if is_now[name] != was[name]}
    wanted = {
        f.name: getattr(changed.knobs, f.name)
        for f in fields(changed.knobs)
        if getattr(changed.knobs, f.name) != getattr(today.knobs, f.name)
    }
    unchanged = tuple(name for name in wanted if name in both and name not in set_to)
    notes = [
        f"{name} is {value} on the target; the step would set {wanted[name]}: predicted as it is"
        for name, value in set_to.items()
        if name in wanted and wanted[name] != value
    ]
    notes += [
        f"{name} went from {was[name]} to {value} as well: predicted with it"
        for name, value in set_to.items()
        if name not in wanted
    ]
    if not set_to and not unchanged and _words(before) == _words(after):
        notes.append(
            "nothing that the target exports differs from the recording: that the change was made"
            " is taken on trust"
        )
    return Seen(set_to=set_to, unchanged=unchanged, notes=tuple(notes))


def _told(metrics: Metrics) -> dict[str, bool | int]:
    knobs = metrics.target.knobs
    told = {
        name: knob.value
        for name in TOLD
        if (knob := knobs.get(name)) is not None and isinstance(knob.value, PLAIN)
    }
    if metrics.kv.capacity_tokens:
        told[POOL] = metrics.kv.capacity_tokens
    return told


def _words(metrics: Metrics) -> tuple[object, ...]:
    """Everything else that it says of itself."""
    target = metrics.target
    knobs = {name: knob.value for name, knob in target.knobs.items()}
    return (target.engine, target.engine_version, target.model, target.dtype, knobs)
