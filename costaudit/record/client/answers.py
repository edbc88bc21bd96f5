"""From finished exchanges to records of them, and to the end of the rung."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from costaudit.record.client.faults import clean, of_answer, secrets_of
from costaudit.record.client.health import Watch
from costaudit.record.client.load import RungEnd
from costaudit.record.client.transcript import count_tokens, pack
from costaudit.recording.rows import Answer

if TYPE_CHECKING:
    from collections.abc import Callable

    from costaudit.record.client.address import Site
    from costaudit.record.client.exchange import Exchange
    from costaudit.record.client.load import Endpoint
    from costaudit.record.dialects.dialect import Dialect

_OK = 200
_REASON_CHARS = 64  # of a finish reason: a word


class Desk:
    """Where the exchanges of one rung end up; keeps its counts."""

    def __init__(
        self,
        *,
        task: str,
        endpoint: Endpoint,
        dialect: Dialect,
        site: Site,
        on_answer: Callable[[Answer], None],
    ) -> None:
        self._task = task
        self._dialect = dialect
        self._place = site.place
        self._secrets = secrets_of(endpoint.headers)
        self._on_answer = on_answer
        self._watch = Watch()
        self._began_ns = time.time_ns()
        self._taken = self._failed = 0
        self._open_loop = False

    def begin(self) -> int:
        """The clock of the rung starts now (ns of the real-time clock)."""
        self._watch.begin()
        self._began_ns = time.time_ns()
        return self._began_ns

    def take(self, exchange: Exchange) -> None:
        """An exchange is over: make its record and hand it on."""
        exchange.digest()
        answer = self._answer(exchange)
        self._taken += 1
        self._failed += not answer.ok
        self._open_loop = self._open_loop or exchange.shot.start_s is not None
        self._watch.note(exchange, answer)
        self._on_answer(answer)

    def close(self, *, stopped: str, connections: int, user_stamps: bool = False) -> RungEnd:
        """The rung is over."""
        health = self._watch.health(
            connections=connections, open_loop=self._open_loop, user_stamps=user_stamps
        )
        return RungEnd(
            began_unix_s=self._began_ns * 1e-9,
            wall_s=health.wall_s,
            sent=self._taken,
            failed=self._failed,
            health=health,
            stopped=clean(stopped, self._secrets),
        )

    def _answer(self, exchange: Exchange) -> Answer:
        said, shot, began_ns = exchange.transcript, exchange.shot, self._began_ns
        problem = of_answer(exchange, self._dialect, self._place)
        total, tokens = count_tokens(said.event_tokens, said.output_tokens)
        event_us, event_tokens = pack(said.event_us, tokens)
        known = said.prompt_tokens
        return Answer(
            task=self._task,
            number=shot.number,
            intended_s=(exchange.intended_ns - began_ns) * 1e-9,
            sent_s=(exchange.sent_ns - began_ns) * 1e-9,
            end_s=(exchange.end_ns - began_ns) * 1e-9,
            prompt_tokens=shot.prompt_tokens if known is None else known,
            asked_tokens=shot.output_tokens,
            output_tokens=total,
            cached_tokens=said.cached_tokens,
            finish_reason=said.finish_reason[:_REASON_CHARS],
            status=0 if exchange.head is None else exchange.head.status,
            error=clean(problem, self._secrets) if problem else "",
            truncated=_truncated(exchange),
            shared_events=said.shared,
            lag_s=None if exchange.lag_ns is None else exchange.lag_ns * 1e-9,
            event_us=event_us,
            event_tokens=event_tokens,
        )


def _truncated(exchange: Exchange) -> bool:
    """A stream that began and ended before its own end."""
    head, said = exchange.head, exchange.transcript
    if head is None or head.status != _OK or exchange.misfit(head) or said.error:
        return False
    return not said.whole(ended=exchange.framer.done and not exchange.cut)
