"""Which rung of a pressure ramp comes next: streams first, then longer prompts, then in between."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

GROWTH = 1.5  # of streams, from one rung to the next
CLOSE_SHARE = 0.1  # the knee is known where the rungs around it are this close
HELD_SHARE = 0.75  # of the streams at once, or fewer: the server lets no more run
TOO_SLOW = "a rung did not end within the time set aside for it"
Rung = tuple[int, int | None]  # streams, and the prompt of equal requests (None: the workload's)


@dataclass(frozen=True, slots=True, kw_only=True)
class Tried:
    """One rung as it went.

    Attributes:
        streams: requests kept in flight.
        prompt: tokens of equal prompts; None: the workload's own requests.
        full: blocks ran out.
        at_once: the most requests that were seen to generate at the same time.
        whole: it ran long enough for as many answers as streams.
    """

    streams: int
    prompt: int | None
    full: bool
    at_once: int
    whole: bool


def next_rung(
    tried: Sequence[Tried], *, start: int, top: int, prompt: int, longest: int
) -> Rung | str:
    """The next (streams, prompt), or the sentence that says why there is none.

    The workload's requests over more and more streams, up to `top`; where blocks run out, the knee
    is closed in on. Where they do not, because of `top` or since the server lets no more requests
    run, prompts are doubled from `prompt` up to `longest` at the most streams that ran. A rung that
    did not end is tried with half of its streams.
    """
    own = [one for one in tried if one.prompt is None]
    full = min((one.streams for one in own if one.full), default=None)
    spared = [one for one in own if not one.full and (full is None or one.streams < full)]
    best = max((one.streams for one in spared if one.whole), default=0)
    slow = min((one.streams for one in spared if not one.whole), default=None)
    if slow is not None:
        return TOO_SLOW if best or slow == 1 else (slow // 2, None)
    if full is not None:
        return _between(best, full)
    if not own:
        return min(max(1, start), top), None
    held = next((one.at_once for one in own if one.at_once <= HELD_SHARE * one.streams), None)
    if held is None and best < top:
        return min(top, max(best + 1, round(best * GROWTH))), None
    return _longer(tried, streams=held or top, prompt=prompt, longest=longest)


def _between(best: int, full: int) -> Rung | str:
    if full - best <= max(1, CLOSE_SHARE * best):
        return "the knee is known"
    if not best:
        return max(1, round(full / GROWTH)), None
    return (best + full) // 2, None


def _longer(tried: Sequence[Tried], *, streams: int, prompt: int, longest: int) -> Rung | str:
    """Prompts twice as long each time; over where blocks run out, or at the longest."""
    last = tried[-1]
    if last.full:
        return "longer prompts filled the cache"
    if not last.whole:
        return TOO_SLOW
    before = last.prompt or prompt
    if before >= longest:
        return "the longest requests that the server takes do not fill the cache"
    return max(1, streams), min(longest, 2 * before)
