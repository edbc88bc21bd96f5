"""What one replica serves, and what its seconds cost per token.

Work is linear in the tokens: at P prompt and D output tokens per second, a share c of the prompt
tokens out of the prefix cache, the work is

    w = θ·[(1 − c)·P/μp + D/μd]    replicas,

with μp and μd the tokens per second of prefill alone and of decode alone under the SLO, and θ how
much longer the two take together. A fleet that keeps its promise is busy to the share u at most,
so the need is w/u. The dual of that constraint prices the tokens: a prefilled token costs
a·θ/(3600·μp) at `a` dollars per replica-hour, a decoded one a·θ/(3600·μd), and the rest of the
bill is idle. These three close on the bill, which request-seconds do not: 64 sequences that decode
side by side are one second of the device, not 64.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from costaudit.ground.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Sequence

SECONDS_PER_H = 3600.0
TOKENS_PER_UNIT = 1e6


@dataclass(frozen=True, slots=True, kw_only=True)
class Capacity:
    """One replica under its SLO.

    Attributes:
        prefill_tokens_per_s: μp, prompt tokens that are computed, none of them decoded for.
        decode_tokens_per_s: μd, output tokens with no prompt beside them.
        interference: θ, seconds of both together over the sum of each alone; below 1 where
            prompts ride along in steps that decode would have paid for anyway.
        utilization_share: u, the most work a replica takes on average and still meets the SLO.
        cached_share: c, of prompt tokens served from the prefix cache of this replica's size.
        devices: devices of one replica.
        binding: what ends the capacity: "latency", "memory", "sequences" or "throughput".
        kv_tokens: KV memory of one replica in tokens; None where it is not known.
        origin: where these figures come from.
    """

    prefill_tokens_per_s: float
    decode_tokens_per_s: float
    interference: float = 1.0
    utilization_share: float
    cached_share: float = 0.0
    devices: int = 1
    binding: str = "throughput"
    kv_tokens: int | None = None
    origin: str
    notes: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        """Refuse what no replica can be."""
        positive = {
            "prefill_tokens_per_s": self.prefill_tokens_per_s,
            "decode_tokens_per_s": self.decode_tokens_per_s,
            "interference": self.interference,
            "utilization_share": self.utilization_share,
        }
        for name, value in positive.items():
            if not value > 0:
                raise UsageError(f"a capacity with {name} = {value} serves nothing")
        if self.utilization_share > 1 or not 0 <= self.cached_share <= 1:
            raise UsageError("utilization_share and cached_share of a capacity are shares, 0 to 1")

    def work(self, prompt_tokens_per_s: float, output_tokens_per_s: float) -> float:
        """Replicas kept busy by these rates; prompt tokens counted before the cache."""
        prefill = (1 - self.cached_share) * prompt_tokens_per_s / self.prefill_tokens_per_s
        return self.interference * (prefill + output_tokens_per_s / self.decode_tokens_per_s)


@dataclass(frozen=True, slots=True, kw_only=True)
class UnitCosts:
    """Shadow prices of one replica-hour; they and the idle close on the bill.

    `loaded_*` are the same over the utilization: the figures to put beside an API's price list.
    `usd_per_1m_kv_token_h` is what memory costs where it, not time, is what a replica runs out of:
    the replica-hour over the tokens it can hold.
    """

    usd_per_1m_prefill: float  # computed prompt tokens; a cached one costs memory alone
    usd_per_1m_decode: float
    idle_usd: float  # of the whole window
    utilization_share: float
    bill_usd: float
    loaded_usd_per_1m_prefill: float | None  # None: nothing was served
    loaded_usd_per_1m_decode: float | None
    usd_per_1m_kv_token_h: float | None


def unit_costs(
    capacity: Capacity,
    *,
    usd_per_replica_h: float,
    paid_replica_h: float,
    computed_prompt_tokens: float,
    output_tokens: float,
) -> UnitCosts:
    """What the tokens and the idle of a window cost; they sum to its bill.

    Args:
        capacity: of one replica.
        usd_per_replica_h: a, as paid on average over the window.
        paid_replica_h: replica-hours paid for.
        computed_prompt_tokens: prompt tokens that no cache answered.
        output_tokens: all of them.
    """
    per_h = capacity.interference / SECONDS_PER_H * usd_per_replica_h
    prefill_usd = per_h / capacity.prefill_tokens_per_s  # per token
    decode_usd = per_h / capacity.decode_tokens_per_s
    bill_usd = usd_per_replica_h * paid_replica_h
    used_usd = prefill_usd * computed_prompt_tokens + decode_usd * output_tokens
    used_share = used_usd / bill_usd if bill_usd else 0.0
    kv = capacity.kv_tokens
    return UnitCosts(
        usd_per_1m_prefill=prefill_usd * TOKENS_PER_UNIT,
        usd_per_1m_decode=decode_usd * TOKENS_PER_UNIT,
        idle_usd=bill_usd - used_usd,
        utilization_share=used_share,
        bill_usd=bill_usd,
        loaded_usd_per_1m_prefill=_loaded(prefill_usd, used_share),
        loaded_usd_per_1m_decode=_loaded(decode_usd, used_share),
        usd_per_1m_kv_token_h=usd_per_replica_h * TOKENS_PER_UNIT / kv if kv else None,
    )


def _loaded(usd_per_token: float, used_share: float) -> float | None:
    return usd_per_token * TOKENS_PER_UNIT / used_share if used_share > 0 else None


def whole_servers(replicas: Sequence[int], replicas_per_server: int) -> tuple[int, ...]:
    """Replicas rounded up to whole servers, since nobody rents an eighth of one.

    Raises:
        UsageError: a server of no replica.
    """
    if replicas_per_server < 1:
        raise UsageError(f"{replicas_per_server} replicas per server: at least one must fit")
    return tuple(-(-n // replicas_per_server) * replicas_per_server for n in replicas)
