"""A fleet's past: each replica diagnosed and priced, the worst first; by model, node and cause.

Without a price everything is in device-hours. Waste is a lower bound, the larger of two, so that
nothing is counted twice:

    own        time without a request in the batch, plus what preempted requests made it compute
               again
    by peers   what was paid above the price per token of the best quarter of the replicas that
               serve the same model on the same device
"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from costaudit.diagnosis import signs
from costaudit.diagnosis.devices import Beside, Devices, devices_beside
from costaudit.diagnosis.diagnose import diagnose
from costaudit.diagnosis.diagnosis import Price, State
from costaudit.diagnosis.past import window_of_replica
from costaudit.diagnosis.recompute import recomputed_s
from costaudit.ground.stats import percentile
from costaudit.measure.phase_seconds import (
    PhaseSeconds,
    phase_seconds,
    step_costs,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from costaudit.diagnosis.diagnosis import Diagnosis, Finding
    from costaudit.record.history.past import Gpu, Past, Replica
    from costaudit.record.servers.found import Given

HOUR_S = 3600.0
IDLE = "idle"
PEERS = 4  # below so many replicas there is no best quarter
BEST = 0.25


@dataclass(frozen=True, slots=True, kw_only=True)
class Member:
    """One replica. `cost` and `waste` are USD, or device-hours without a price.

    Attributes:
        devices: how many it has, and how that is known. gpus: those joined to it.
        own_waste, peer_waste: None where it cannot be told.
        tokens: prompt and generated.
        phases: its busy seconds by phase.
    """

    replica: Replica
    diagnosis: Diagnosis
    devices: Devices
    gpus: tuple[Gpu, ...]
    cost: float
    prompt_tokens: float
    generated_tokens: float
    phases: PhaseSeconds | None = None
    own_waste: float | None = None
    peer_waste: float | None = None

    @property
    def tokens(self) -> float:
        """Prompt and generated."""
        return self.prompt_tokens + self.generated_tokens

    @property
    def waste(self) -> float | None:
        """The larger of the lower bounds."""
        known = [one for one in (self.own_waste, self.peer_waste) if one is not None]
        return max(known) if known else None

    @property
    def finding(self) -> Finding | None:
        """What is worst in it."""
        return self.diagnosis.findings[0] if self.diagnosis.findings else None


@dataclass(frozen=True, slots=True, kw_only=True)
class PromptShare:
    """Prefill's share of the busy device seconds, with its bounds; `by_requests` as OpenCost's."""

    share: float
    low: float
    high: float
    fitted: bool
    by_requests: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Group:
    """Members that share a model, a node or a cause."""

    name: str
    members: tuple[Member, ...]

    @property
    def cost(self) -> float:
        """Of all members."""
        return sum(member.cost for member in self.members)

    @property
    def waste(self) -> float | None:
        """Of those that tell; None: none does."""
        known = [member.waste for member in self.members if member.waste is not None]
        return sum(known) if known else None

    @property
    def per_1m_tokens(self) -> float | None:
        """Cost per million tokens; None where there were none."""
        tokens = sum(member.tokens for member in self.members)
        return self.cost * 1e6 / tokens if tokens else None

    @property
    def prompt_share(self) -> PromptShare | None:
        """Prompts' share of the cost of those that tell; None: none does."""
        known = [member.phases for member in self.members if member.phases is not None]
        busy = sum(phases.busy_s for phases in known)
        asked = sum(p.request_prefill_s + p.request_gaps_s for p in known)
        if not busy or not asked:
            return None
        return PromptShare(
            share=sum(phases.prefill_s for phases in known) / busy,
            low=sum(phases.prefill_bounds_s.low for phases in known) / busy,
            high=sum(phases.prefill_bounds_s.high for phases in known) / busy,
            fitted=all(phases.fitted for phases in known),
            by_requests=sum(phases.request_prefill_s for phases in known) / asked,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Fleet:
    """All members, the worst first. `price` None: costs are device-hours."""

    past: Past
    price: Price | None
    members: tuple[Member, ...]
    models: tuple[Group, ...]
    nodes: tuple[Group, ...]
    causes: tuple[Group, ...]
    notes: tuple[str, ...] = field(default=())

    @property
    def whole(self) -> Group:
        """The fleet as one group."""
        return Group(name="", members=self.members)


def fleet_of(
    past: Past, *, usd_per_device_h: float | None, devices: int | None, given: Given
) -> Fleet:
    """Diagnose and price every replica of a past; `devices`: of each replica, where given."""
    beside = devices_beside(past, devices)
    alone = [_member(one, beside[one.place], usd_per_device_h, given) for one in past.replicas]
    members = _compared(_phased(alone))
    members.sort(key=lambda m: (-(m.waste or 0.0), -m.cost, m.replica.place.name))
    price = None if usd_per_device_h is None else Price(usd_per_device_h=usd_per_device_h)
    return Fleet(
        past=past,
        price=price,
        members=tuple(members),
        models=_groups(members, lambda m: m.replica.model or m.replica.engine),
        nodes=_groups(members, lambda m: m.replica.place.host),
        causes=_groups(members, _cause),
        notes=past.notes,
    )


def _member(one: Replica, beside: Beside, usd: float | None, given: Given) -> Member:
    window, count = window_of_replica(one, given), beside.devices.count
    price = None if usd is None else Price(usd_per_device_h=usd * count)
    return Member(
        replica=one,
        diagnosis=diagnose(window, price),
        devices=beside.devices,
        gpus=beside.gpus,
        cost=(1.0 if usd is None else usd) * count * one.present_s / HOUR_S,
        prompt_tokens=signs.prompted(window) or 0.0,
        generated_tokens=signs.generated(window) or 0.0,
    )


def _phased(members: Sequence[Member]) -> list[Member]:
    """The members with their phases, and what they themselves waste."""
    alike: dict[tuple[str, str], list[Member]] = defaultdict(list)
    for member in members:
        alike[_kind(member)].append(member)
    costs = {kind: step_costs([m.diagnosis.window for m in some]) for kind, some in alike.items()}
    found = []
    for member in members:
        phases = phase_seconds(member.diagnosis.window, costs[_kind(member)])
        wasted = _own_waste(member, phases)
        found.append(replace(member, phases=phases, own_waste=wasted))
    return found


def _own_waste(member: Member, phases: PhaseSeconds | None) -> float | None:
    """Cost of the time without a request, and of what was computed again."""
    busy_share, seconds = member.diagnosis.facts.busy_share, member.replica.present_s
    if busy_share is None or seconds <= 0:
        return None
    again_s = 0.0
    if phases is not None:
        again_s = min(phases.busy_s, recomputed_s(member.diagnosis.window, phases.prefill_s))
    return member.cost * min(1.0, 1 - busy_share + again_s / seconds)


def _compared(members: Sequence[Member]) -> list[Member]:
    """The members with what they cost above their best peers."""
    paid: dict[tuple[str, str], list[float]] = defaultdict(list)
    for member in members:
        if member.tokens > 0:
            paid[_kind(member)].append(member.cost / member.tokens)
    best = {kind: percentile(some, BEST) for kind, some in paid.items() if len(some) >= PEERS}
    return [
        replace(member, peer_waste=max(0.0, member.cost - best[_kind(member)] * member.tokens))
        if _kind(member) in best
        else member
        for member in members
    ]


def _kind(member: Member) -> tuple[str, str]:
    """Those of one kind serve the same model by the same engine on the same device."""
    device = member.gpus[0].name if member.gpus else ""
    return f"{member.replica.engine} {member.replica.model}", device


def _cause(member: Member) -> str:
    """What is worst in it; "idle" where it had no request, "" where nothing shows."""
    if member.finding is not None:
        return member.finding.id
    return IDLE if member.diagnosis.state is State.IDLE else ""


def _groups(members: Iterable[Member], name: Callable[[Member], str]) -> tuple[Group, ...]:
    """By name, the most wasteful first; members without one are left out."""
    found: dict[str, list[Member]] = defaultdict(list)
    for member in members:
        found[name(member)].append(member)
    groups = [Group(name=key, members=tuple(some)) for key, some in found.items() if key]
    return tuple(sorted(groups, key=lambda g: (-(g.waste or 0.0), -g.cost, g.name)))
