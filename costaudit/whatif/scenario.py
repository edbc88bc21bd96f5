"""A frozen description of one serving situation: everything that decides its bill."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from costaudit.target.shape import ModelShape
    from costaudit.traffic.traffic import Traffic
    from costaudit.whatif.steptime import StepTime


class Batching(StrEnum):
    """How requests share a step."""

    STATIC = "static"  # a batch is formed, padded, and runs until its longest member ends
    CONTINUOUS = "continuous"  # requests join and leave between steps


class KvLayout(StrEnum):
    """How KV memory is given out."""

    DYNAMIC = "dynamic"  # grows with the batch's longest sequence, padded to it
    STATIC = "static"  # the maximum length is reserved for each sequence
    PAGED = "paged"  # blocks on demand


class Router(StrEnum):
    """How requests are spread over replicas."""

    ROUND_ROBIN = "round-robin"
    LEAST_LOAD = "least-load"  # to the replica with the fewest unfinished requests
    PREFIX_AFFINITY = "prefix-affinity"  # requests with the same prefix to the same replica


@dataclass(frozen=True, slots=True, kw_only=True)
class Speculation:
    """Speculative decoding: a draft of some tokens, verified in one step.

    `accepted_share` is the chance that a drafted token is accepted, those before it being so;
    `draft_cost_share` what drafting one token costs, of a plain decode step of the same rows.
    """

    draft_tokens: int
    accepted_share: float
    draft_cost_share: float = 0.0

    @property
    def tokens_per_step(self) -> float:
        """Mean tokens of one step: 1 + a + … + a^k (Leviathan et al. 2023, eq. 1)."""
        return sum(self.accepted_share**i for i in range(self.draft_tokens + 1))


@dataclass(frozen=True, slots=True, kw_only=True)
class Knobs:
    """Settings of the engine. `kv_budget_tokens` is what the KV memory holds, in tokens.

    `max_num_batched_tokens` bounds the rows of a continuous step; None: no bound. With
    `chunked_prefill` a longer prompt is computed in chunks, without it waits for a step that it
    fits into whole. `kv_watermark_share` of the blocks stays free when a request is admitted
    beside others. `prefix_caching` needs the paged layout: elsewhere
    there are no blocks to share and it is without effect. `batch_wait_s` is how long a static
    batch that is not full is held open for more requests; 0 starts with what is there,
    `math.inf` waits until the batch is full or nobody is left to come.
    """

    batching: Batching
    max_num_seqs: int
    kv_layout: KvLayout
    kv_budget_tokens: int
    kv_block_tokens: int = 16
    max_num_batched_tokens: int | None = None
    prefix_caching: bool = False
    max_model_len: int = 0  # reserved per sequence by a static cache; 0: the model's own
    batch_wait_s: float = 0.0
    chunked_prefill: bool = True
    kv_watermark_share: float = 0.0
    speculation: Speculation | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Prices:
    """What a device-hour costs. None is unknown, never free.

    `reserved_usd_per_device_h` is paid for every hour of the term, used or not.
    """

    usd_per_device_h: float | None
    reserved_usd_per_device_h: float | None = None
    reserved_term: str = ""
    reserved: bool = False  # is this scenario billed at the reserved rate?


@dataclass(frozen=True, slots=True, kw_only=True)
class Scenario:
    """Hardware and model (inside the step time), engine knobs, traffic and prices.

    `device_kind` is "cpu" or "cuda", "" where unknown: low-precision kernels differ by it.
    `devices` are those of one replica; the traffic is spread over `replicas` of them by `router`.
    `int8_speedup` is what int8 was measured to do to this model's layers at the rows of decoding
    and of prefill; None where nobody measured it. `low_bit` are the other formats, on a GPU:
    (format, ((rows, times as fast), …)).
    """

    shape: ModelShape
    step_time: StepTime
    knobs: Knobs
    traffic: Traffic
    prices: Prices
    devices: int = 1
    device_kind: str = ""
    replicas: int = 1
    router: Router = Router.ROUND_ROBIN
    int8_speedup: tuple[float, float] | None = None
    low_bit: tuple[tuple[str, tuple[tuple[float, float], ...]], ...] = ()
