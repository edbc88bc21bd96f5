"""What the client is asked to do, and what it says of itself afterwards."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import msgspec

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from costaudit.record.dialects.dialect import Call


@dataclass(frozen=True, slots=True, kw_only=True)
class Endpoint:
    """Where requests go. `headers` may hold secrets: they are sent, never shown or stored."""

    base_url: str  # scheme, host, port and any path before the dialect's own; no trailing slash
    headers: Mapping[str, str] = field(default_factory=dict, repr=False)
    verify_tls: bool = True


class Shot(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """One request to send.

    `start_s` is its intended start since the rung began (open loop); None: as soon as one of the
    `concurrency` streams is free (closed loop). `prompt_tokens` is what the sender knows of the
    prompt's length; the server's own count replaces it.
    """

    number: int
    call: Call
    output_tokens: int
    prompt_tokens: int | None = None
    start_s: float | None = None


def nothing_to_do() -> bool:
    """Idle moments are for resting."""
    return False


@dataclass(frozen=True, slots=True, kw_only=True)
class Rung:
    """A load to put on a server once.

    Attributes:
        shots: taken one by one as they are needed, never more than `requests` of them.
        concurrency: connections, and the most requests in flight. In an open loop too: a shot
            that finds none free waits, and its latency counts from its intended start.
        requests: the most requests to send.
        timeout_s: of one request, from its sending to its end.
        window_s: no new request is sent after this long; None: until the shots are out.
        idle: called in idle moments; False: there is nothing to be done in them. Of a source of
            shots that can be made ahead, see `ahead`.
    """

    shots: Iterable[Shot]
    concurrency: int
    requests: int
    timeout_s: float = 600.0
    window_s: float | None = None
    idle: Callable[[], bool] = nothing_to_do


@dataclass(frozen=True, slots=True, kw_only=True)
class Health:
    """How well the client did its own part; the measurements are no better than this.

    Attributes:
        stamps: "kernel" (SO_TIMESTAMPNS), or "user" where the transport hides the socket.
        cpu_s, wall_s: of this process over the rung; the CPU share is their quotient.
        lag_p50_s, lag_p99_s, lag_max_s: user stamp minus kernel stamp of the same read: what a
            client without kernel stamps would have been off by. None without kernel stamps.
        late_p99_s: actual minus intended start.
        shared_events: output events that shared a read with an earlier one, hence its stamp.
        events: all output events.
        connections: TCP connections opened.
        bottleneck: the client, not the server, set the pace or spoilt the stamps.
        set_pace: it set the pace, so that rates are the client's too, not latencies alone.
        why: one sentence if it was.
    """

    stamps: str
    cpu_s: float
    wall_s: float
    lag_p50_s: float | None
    lag_p99_s: float | None
    lag_max_s: float | None
    late_p99_s: float
    shared_events: int
    events: int
    connections: int
    bottleneck: bool
    why: str
    set_pace: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class RungEnd:
    """How a rung went as a whole; the answers themselves were handed over one by one."""

    began_unix_s: float
    wall_s: float
    sent: int
    failed: int
    health: Health
    stopped: str = ""  # why it ended before its shots were out; "" where it did not
