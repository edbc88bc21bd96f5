"""The workload's requests as written down, again and again; conversations turn by turn."""

from __future__ import annotations

from dataclasses import dataclass, field
from itertools import count
from typing import TYPE_CHECKING

from costaudit.probe.draw import DrawnRequest
from costaudit.record.probing.rungs import shot

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from costaudit.record.client.load import Shot
    from costaudit.record.probing.probing import Probing
    from costaudit.recording.rows import Answer

CYCLE_IDS = 1_000_000  # a conversation is another one in each cycle: nothing of it is cached


def drawn_requests(probing: Probing) -> tuple[DrawnRequest, ...]:
    """One cycle of the workload, fitted to the server."""
    return tuple(
        DrawnRequest(
            prompt_tokens=row.prompt_tokens,
            output_tokens=row.output_tokens,
            prefix_id=row.prefix_id,
            prefix_tokens=row.prefix_tokens,
        )
        for row in probing.recording.requests()
    )


@dataclass(slots=True, kw_only=True)
class Turns:
    """The numbers of the requests in an order in which no turn comes before the answer to its last.

    A turn whose answer is under way is passed over; the next cycle's conversations begin instead.
    `watch` is told of each answer.
    """

    drawn: Sequence[DrawnRequest]
    answered: set[int] = field(default_factory=set)
    passed_over: list[int] = field(default_factory=list)

    def watch(self, answer: Answer) -> None:
        """An answer came, good or not."""
        self.answered.add(answer.number)

    def numbers(self) -> Iterator[int]:
        """Endless: each number once."""
        fresh = count()
        while True:
            ready = next((n for n in self.passed_over if self._ready(n)), None)
            if ready is not None:
                self.passed_over.remove(ready)
                yield ready
                continue
            number = next(fresh)
            if self._ready(number):
                yield number
            else:
                self.passed_over.append(number)

    def _ready(self, number: int) -> bool:
        before = self._before(number)
        return before is None or before in self.answered

    def _before(self, number: int) -> int | None:
        """The number of the turn before, in the same cycle; None: it is a first."""
        place = number % len(self.drawn)
        own = self.drawn[place].prefix_id
        for other in range(place - 1, -1, -1):
            if self.drawn[other].prefix_id == own:
                return number - place + other
        return None


def cycled(
    probing: Probing,
    drawn: Sequence[DrawnRequest],
    *,
    turns: Turns | None = None,
    starts: Iterator[float] | None = None,
) -> Iterator[Shot]:
    """Endless: the same lengths again and again, each prompt new behind its shared prefix.

    `turns`: in which order conversations go on; else the order is that of `drawn`. `starts`: when
    each request is meant to be sent, in an open loop.
    """
    for number in turns.numbers() if turns is not None else count():
        request = drawn[number % len(drawn)]
        prompt = _prompt(probing, request, cycle=number // len(drawn))
        start_s = next(starts) if starts is not None else None
        yield shot(
            probing, number, prompt, request.prompt_tokens, request.output_tokens, start_s=start_s
        )


def turns_of(probing: Probing, drawn: Sequence[DrawnRequest]) -> Turns | None:
    """The order of a workload of conversations; None: its requests are not of any."""
    return Turns(drawn=drawn) if probing.workload.turns > 1 else None


def _prompt(probing: Probing, request: DrawnRequest, *, cycle: int) -> tuple[int, ...] | str:
    tokens, prefix = request.prompt_tokens, request.prefix_id
    if prefix is None:
        return probing.prompts.cold(tokens)
    shared = request.prefix_tokens
    if probing.workload.turns > 1:  # all of it is said again in the next turn
        prefix, shared = prefix + CYCLE_IDS * (1 + cycle), tokens
    return probing.prompts.shared(tokens, prefix_id=prefix, prefix_tokens=shared)
