"""The rows of a recording, as they pass between the machine and the file."""

from __future__ import annotations

import json
from dataclasses import astuple, dataclass
from enum import StrEnum


class Phase(StrEnum):
    """What a step was doing."""

    PREFILL = "prefill"
    DECODE = "decode"


class State(StrEnum):
    """What became of an instrument."""

    OK = "ok"
    ABSENT = "absent"  # not on this machine
    REFUSED = "refused"  # there, but we may not use it
    LOST = "lost"  # worked, then stopped in mid-run
    OFF = "off"  # not asked for


class Role(StrEnum):
    """What a sample is for."""

    FIT = "fit"  # fitted
    HELD_OUT = "held-out"  # judges the fit
    REPLAY = "replay"  # a span of the real workload
    LADDER = "ladder"  # one prompt alone, then several together
    ATTACHED = "attached"  # seen in the user's own program
    CAPTURE = "capture"  # a range in the capture of another profiler; loads may be untold (0)


@dataclass(frozen=True, slots=True, kw_only=True)
class Sample:
    """One timed span of equal steps.

    `seconds` is device time per step by `clock`; `wall_s` is elapsed time per step. `t_s` is
    seconds since the recording began. Loads are per step; see `target.load.StepLoad`.
    For replay, ladder and attached spans `seconds`, `wall_s` and the load are of the whole span,
    padding and finished rows included, and `steps` counts the steps in it.
    """

    task: str
    role: Role
    phase: Phase
    round: int
    t_s: float
    seconds: float
    wall_s: float
    clock: str
    steps: int
    prefill_tokens: float = 0
    prefill_pairs: float = 0
    prefill_seqs: float = 0
    decode_seqs: float = 0
    decode_context_tokens: float = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class RequestRow:
    """One request of the replayed workload. Times in device seconds from its batch's start."""

    task: str
    batch: int
    prompt_tokens: int
    output_tokens: int
    prefix_id: int | None
    prefix_tokens: int
    ttft_s: float | None
    e2e_s: float | None


@dataclass(slots=True, kw_only=True)  # not frozen: to make one would take nearly thrice as long
class Answer:
    """One request to a server and what came back, as it was seen.

    All `_s` are seconds since the rung (`task`) began: `intended_s` when the schedule wanted it
    sent (in a closed loop: when its stream was free), `sent_s` when it was. An output event is a
    piece of the stream that carries output of the model; `event_us` holds when each arrived, as
    little-endian uint32 microseconds since `sent_s`, and `event_tokens` how many tokens each
    carried (little-endian uint16; empty: one each). Both are empty where nothing came.

    Attributes:
        number: of the shot, from 0.
        prompt_tokens: as the server counts them, else as the sender knows them.
        asked_tokens: output tokens asked for.
        output_tokens: by usage or token ids, never by counting events; None: unknown.
        cached_tokens: of the prompt, served from the prefix cache; None: not told.
        status: HTTP status; 0 where none came.
        error: what failed, in a sentence; "" where nothing did.
        truncated: the stream ended without its terminator.
        shared_events: output events that shared a read, hence a stamp, with an earlier one.
        lag_s: largest user stamp minus kernel stamp over its reads; None without kernel stamps.
    """

    task: str
    number: int
    intended_s: float
    sent_s: float
    end_s: float
    prompt_tokens: int | None
    asked_tokens: int
    output_tokens: int | None
    cached_tokens: int | None
    finish_reason: str
    status: int
    error: str
    truncated: bool
    shared_events: int
    lag_s: float | None
    event_us: bytes
    event_tokens: bytes

    @property
    def ok(self) -> bool:
        """A whole answer without an error."""
        return not self.error and not self.truncated


@dataclass(frozen=True, slots=True, kw_only=True)
class Gauge:
    """One reading of a meter at `t_s`."""

    t_s: float
    meter: str
    name: str
    value: float
    unit: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Fact:
    """A value about a subject ("device", "model", "kv", "workload", …) with unit and origin.

    `value` is anything JSON holds; None is unknown and then `why` says why.
    """

    subject: str
    name: str
    value: object
    unit: str = ""
    origin: str = "observed"
    why: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Instrument:
    """A meter's state, the tier it reached (hardware readings come in tiers) and the reason."""

    meter: str
    state: State
    tier: str = ""
    why: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Task:
    """One planned piece of recording; a resumed run skips those that are done."""

    id: str
    kind: str
    spec: dict[str, object]
    done: bool = False


Row = Sample | RequestRow | Answer | Gauge | Fact | Instrument
TABLES: dict[type, str] = {
    Sample: "sample",
    RequestRow: "request",
    Answer: "answer",
    Gauge: "gauge",
    Fact: "fact",
    Instrument: "instrument",
}


def to_columns(row: Row) -> tuple[object, ...]:
    """The row as SQLite takes it."""
    if isinstance(row, Fact):
        return (row.subject, row.name, json.dumps(row.value), row.unit, row.origin, row.why)
    return tuple(str(v) if isinstance(v, (Role, Phase, State)) else v for v in astuple(row))
