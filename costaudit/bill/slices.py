"""The slices of a bill, in their order."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from costaudit.ground.stats import Interval


class SliceId(StrEnum):
    """Where a GPU-second went; disjoint, in the order of the waterfall."""

    PREFILL_IDEAL = "prefill_ideal"
    DECODE_WEIGHTS_IDEAL = "decode_weights_ideal"
    DECODE_KV_IDEAL = "decode_kv_ideal"
    KERNEL_INEFFICIENCY = "kernel_inefficiency"
    STEP_OVERHEAD = "step_overhead"
    PADDING = "padding"
    DUPLICATE_PREFILL = "duplicate_prefill"
    PREEMPTION = "preemption"
    QUEUE_IDLE = "queue_idle"
    DEMAND_IDLE = "demand_idle"
    UNEXPLAINED = "unexplained"


WASTES = (
    SliceId.KERNEL_INEFFICIENCY,
    SliceId.STEP_OVERHEAD,
    SliceId.PADDING,
    SliceId.DUPLICATE_PREFILL,
    SliceId.PREEMPTION,
    SliceId.QUEUE_IDLE,
    SliceId.DEMAND_IDLE,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Slice:
    """One slice. `gpu_s` None: cannot be told apart, see `why`, and `inside` holds it.

    Only `unexplained` may be negative: the model then claims more than was paid.
    `band_gpu_s` is the interaction band: the least and the most this waste costs over all
    orders of removal; `source` names the observed quantities behind it.
    """

    id: SliceId
    gpu_s: float | None
    band_gpu_s: Interval | None
    source: str
    why: str = ""
    inside: SliceId | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Bill:
    """A closed bill: the known slices sum to `gpu_s` to 1e-9 of it.

    `gpu_s` is what the fastest rounds took, of a server its mean; the dollars have an interval.
    Dollar fields are None without a price; then the device-seconds stand alone.
    `input` and `output` split the bill by the time of prefill and decode, idle in proportion.
    """

    gpu_s: float
    slices: tuple[Slice, ...]
    prompt_tokens: int
    output_tokens: int
    prefill_share: float
    usd_per_gpu_h: float | None
    usd_per_1m_tokens: Interval | None
    usd_per_1m_input: float | None
    usd_per_1m_output: float | None
    gpu_s_per_1m_tokens: float

    @property
    def usd_per_1m_whole(self) -> float | None:
        """Dollars per million tokens of the whole that the slices sum to."""
        if self.usd_per_gpu_h is None:
            return None
        return self.gpu_s_per_1m_tokens * self.usd_per_gpu_h / 3600.0
