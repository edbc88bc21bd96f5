"""Why requests wait: the one question that several symptoms share, answered once.

A queue has one first cause. Memory: the cache is full, or requests are pushed out of it. A cap: the
batch stays as full as it ever was, with room in the cache. A budget: the steps are as long as they
may be. Held: the server says that it holds them back for another reason. Else more load than the
server can take.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING

from costaudit.diagnosis import signs
from costaudit.measure.window import RUNNING, WAITING, WHILE_WAITING

if TYPE_CHECKING:
    from costaudit.measure.window import Levels, Window

QUEUE_READINGS = 0.2  # share of the readings with a queue; a burst empties sooner
QUEUE_TIME = 0.05  # share of requests' time; below it nobody feels the queue
KV_FULL = 0.9  # the next request's prompt does not fit
KV_ROOM = 0.7  # above it the cache, and not a cap, is the next limit
LASTING = 0.5  # of the readings; the queue behind a cap that is not known is no passing one
NEAR_CAP, NEAR_CAP_SHARE, NEAR_MOST_SHARE = (
    0.5,
    0.1,
    0.05,
)  # a slot is free for a moment between two requests
BUDGET_FULL = 0.8  # mean tokens of a step over the budget
USUAL_BUDGET = 2048.0  # the smallest of vLLM's and SGLang's defaults
STEP_ROOM = 0.1  # mean tokens of a step over the budget: the next prompt would fit in
FEW_WAITING = 3  # readings with a queue
HELD = 0.5  # of the waiting requests, by the server's reason
_KV_WAITING = "kv.usage_fraction" + WHILE_WAITING


class Why(StrEnum):
    """Why requests wait."""

    NONE = "none"  # they do not, to speak of
    MEMORY = "memory"
    CAP = "cap"
    BUDGET = "budget"
    HELD = "held"
    LOAD = "load"


@dataclass(frozen=True, slots=True, kw_only=True)
class Queue:
    """The queue of a window: its mean length, the batch meanwhile, and KV usage if known."""

    why: Why
    length: float = 0.0
    batch: float = 0.0
    kv: float | None = None

    @property
    def lost(self) -> float:
        """Share of the requests in the server that wait."""
        return self.length / (self.length + self.batch) if self.length > 0 else 0.0


def queue(w: Window) -> Queue | None:
    """The queue and its cause; None: the server does not tell whether requests wait."""
    length, batch = signs.queued_mean(w), signs.batch_mean(w)
    if length is None:
        return None
    if not _felt(w, length):
        return Queue(why=Why.NONE)
    if batch is None:
        return None
    usage = _usage(w)
    found = Queue(why=Why.LOAD, length=length, batch=batch, kv=usage)
    return Queue(why=_why(w, found), length=length, batch=batch, kv=usage)


def _felt(w: Window, length: float) -> bool:
    """Requests waited in a good part of the readings, or for a good part of their time."""
    waiting, share = w.levels(WAITING), signs.queue_share(w)
    if waiting is not None and waiting.samples >= signs.FEW_SAMPLES:
        long = share is None or share >= QUEUE_TIME or length >= 1
        return waiting.above_zero_share >= QUEUE_READINGS and long
    return length > 0 and share is not None and share >= QUEUE_READINGS


def _why(w: Window, found: Queue) -> Why:
    if signs.preemptions(w) or (found.kv is not None and found.kv >= KV_FULL):
        return Why.MEMORY
    if _held(w) >= HELD:
        return Why.HELD
    if (found.kv is None or found.kv < KV_ROOM) and _capped(w, found):
        return Why.CAP
    budget = w.knob("max_num_batched_tokens")
    tokens = w.mean("batch.iteration_tokens")
    if isinstance(budget, (int, float)) and tokens and tokens >= BUDGET_FULL * budget:
        return Why.BUDGET
    return Why.LOAD


def _capped(w: Window, found: Queue) -> bool:
    """The batch was at a limit: a known one, or the highest that was ever seen."""
    room = signs.slots(w)
    if isinstance(room.value, (int, float)) and room.origin.value in {"exported", "given"}:
        near = max(NEAR_CAP * signs.ranks(w), NEAR_CAP_SHARE * room.value)
        return while_waiting(w, found.batch) >= room.value - near
    full, running = w.levels(RUNNING + WHILE_WAITING), w.levels(RUNNING)
    if running is not None and running.samples >= signs.FEW_SAMPLES:
        if w.levels(WAITING) is None:  # when they waited is not told, only for how long
            full = running
        return full is not None and _lasts(w, found) and _at_most(w, full, running)
    if running is None or not _lasts(w, found):
        return False
    # Few readings. The cache has room by its lengths, and the steps have: the cap is what is left.
    tokens, budget = w.mean("batch.iteration_tokens"), w.knob("max_num_batched_tokens")
    most = budget if isinstance(budget, (int, float)) else USUAL_BUDGET
    return found.kv is not None and tokens is not None and tokens < STEP_ROOM * most


def _at_most(w: Window, full: Levels, running: Levels) -> bool:
    """The batch was as full as it ever was, but for a slot between two requests."""
    ranks = signs.ranks(w)
    near = max(NEAR_CAP * ranks, NEAR_MOST_SHARE * running.high)
    return signs.is_plateau(full, ranks) and full.usual >= running.high - near


def _lasts(w: Window, found: Queue) -> bool:
    """The queue is no passing one; by its length where it was not read often enough."""
    waiting = w.levels(WAITING)
    if waiting is not None and waiting.samples >= signs.FEW_SAMPLES:
        return waiting.above_zero_share >= LASTING
    return found.length >= 1


def while_waiting(w: Window, otherwise: float) -> float:
    """The usual batch while requests waited, not before or after; `otherwise`: hardly read."""
    full = w.levels(RUNNING + WHILE_WAITING)
    return full.usual if full is not None and full.samples >= FEW_WAITING else otherwise


def _held(w: Window) -> float:
    """Share of the waiting that the server puts down to another reason than capacity."""
    start = "requests.waiting_by_reason."
    told = {n: levels.mean for n, levels in w.gauges.items() if n.startswith(start)}
    whole = sum(told.values())
    other = sum(mean for name, mean in told.items() if name != f"{start}capacity")
    return other / whole if whole > 0 else 0.0


def _usage(w: Window) -> float | None:
    """KV usage while requests waited; by their lengths where it was read too seldom."""
    told = w.levels(_KV_WAITING)
    if told is not None and told.samples >= signs.FEW_SAMPLES:
        return told.mean
    needed = signs.kv_needed(w)
    if needed is not None:
        return needed
    return told.mean if told is not None else None
