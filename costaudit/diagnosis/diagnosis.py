"""What a diagnosis holds: the state, the findings in order, and the facts of the window."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

    from costaudit.diagnosis.symptom import Confidence, Evidence
    from costaudit.measure.window import Levels, Window


class State(StrEnum):
    """What there is to say of the server as a whole."""

    TROUBLED = "troubled"  # at least one finding that is a fault
    SUSPECT = "suspect"  # no more than a possible cause, which its metrics cannot decide
    UNDERUSED = "underused"  # nothing is wrong with it: its clients ask for little
    HEALTHY = "healthy"  # it worked, and what can be seen is fine
    IDLE = "idle"  # no request was there in the window
    UNKNOWN = "cannot tell"  # its metrics do not say whether it works


@dataclass(frozen=True, slots=True, kw_only=True)
class Fix:
    """One change in the engine's own words; `flag` is "" where no flag of it is known."""

    action: str
    flag: str
    verify: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """A symptom that shows, with what to do; the fields are those of `symptom`."""

    id: str
    title: str
    cause: str
    confidence: Confidence
    cost_share: float
    urgent: bool
    fault: bool
    evidence: tuple[Evidence, ...]
    fixes: tuple[Fix, ...]
    advice: str
    steps: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Price:
    """USD per device-hour and the devices behind the server."""

    usd_per_device_h: float
    devices: int = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class Facts:
    """The figures of the window; None where the server does not tell, with the reason in `why`.

    Attributes:
        batch_mean: requests in the batch, while there were any; batch_slots: the most there may
            be, by `batch_slots_origin`; batch_share: the one over the other.
        busy_share: share of the readings with requests in the batch.
        kv_usage: KV cache in use (shares). preemptions: in the window; per finished request.
        waiting: requests in the queue; waiting_mean: by Little's law where gauges were read too
            seldom. waiting_by_reason: mean number, by the server's reason.
        queue_reason: why they wait, in one sentence; "" where none did.
        prefix_hit_share: of the tokens asked of the cache.
        phase_shares: "queue", "prefill", "decode": shares of the finished requests' time.
        *_tokens_per_s, requests_per_s: rates over the window.
        ttft_s, itl_s, e2e_s: means over the window.
        usd_per_1m_tokens: of prompt and generated tokens; usd_per_1m_generated: of the latter.
        gpu: means by NVML (or the server) of the GPUs beside it: mean shares, sums of bytes.
        gpus: the same of each by its UUID, where there are several.
    """

    batch_mean: float | None = None
    batch_slots: float | None = None
    batch_slots_origin: str = ""
    batch_share: float | None = None
    busy_share: float | None = None
    kv_usage: Levels | None = None
    preemptions: float | None = None
    preemptions_per_request: float | None = None
    waiting: Levels | None = None
    waiting_mean: float | None = None
    waiting_by_reason: Mapping[str, float] = field(default_factory=dict)
    queue_reason: str = ""
    prefix_hit_share: float | None = None
    phase_shares: Mapping[str, float] = field(default_factory=dict)
    prompt_tokens_per_s: float | None = None
    generated_tokens_per_s: float | None = None
    requests_per_s: float | None = None
    ttft_s: float | None = None
    itl_s: float | None = None
    e2e_s: float | None = None
    usd_per_1m_tokens: float | None = None
    usd_per_1m_generated: float | None = None
    gpu: Mapping[str, float] = field(default_factory=dict)
    gpus: Mapping[str, Mapping[str, float]] = field(default_factory=dict)
    why: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Diagnosis:
    """What a window shows.

    Attributes:
        state, summary: the answer in one word and in one sentence.
        findings: the worst first; without a surer fault also those that are no more than possible,
            where much would be lost to them.
        possible: the others that the metrics cannot tell from a harmless state; worth a look.
        absent, cannot_tell: the other symptoms by id, with the reason.
        facts: figures. price: what dollars were made with; None: no price, no dollars.
    """

    window: Window
    state: State
    summary: str
    findings: tuple[Finding, ...]
    possible: tuple[Finding, ...]
    absent: Mapping[str, str]
    cannot_tell: Mapping[str, str]
    facts: Facts
    price: Price | None = None
