"""The document's section on the order of the steps, and on what they trade against latency."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from costaudit.audit.playbook_section import breach_section, saving_section

if TYPE_CHECKING:
    from collections.abc import Mapping

    from costaudit.audit.playbook_section import Present
    from costaudit.plan.plan import Order, Plan, Point, Saving


def order_section(plan: Plan, present: Present) -> dict[str, Any]:
    """The best order, the conventional ones priced beside it, and the Pareto front."""
    return {
        "best": list(plan.best.ids),
        "best_path": [
            _path_point(step_id, saved, cost / plan.best.cautious_path[0], present)
            for step_id, saved, cost in zip(
                plan.best.ids, plan.cumulative, plan.best.cautious_path[1:], strict=True
            )
        ],
        "best_breaks": [breach_section(breach) for breach in plan.best.breaks],
        "alternatives": [] if plan.unbound is None else [_order(plan.unbound, present)],
        "conventional": [_order(order, present) for order in plan.conventional],
        "joint": saving_section(plan.joint, present),
        "slo": dict(plan.slo),
        "today_p95": _latencies(plan.today_s),
        "today_breaks": [breach_section(breach) for breach in plan.today_breaks],
        "front": [_front_point(point, plan, present) for point in plan.front],
        "why": _why(plan),
    }


def _why(plan: Plan) -> str:
    """How the order was searched."""
    sets = (
        "all sets of the steps that apply"
        if plan.exact
        else "sets of the steps that apply (more than eight: a beam through them)"
    )
    where = ", compared over a sample of the traffic and priced over the whole" * plan.sampled
    slo = (
        "; a step after which a bound of the SLO that is kept today would be broken is not offered"
        if plan.slo
        else "; the workload declares no bound on latency"
    )
    return f"searched over {sets}{where}{slo}; costs are the cautious ends, after each step in turn"


def _path_point(step_id: str, saved: Saving, cautious: float, present: Present) -> dict[str, Any]:
    """What is left after a step: where each change brings its least, and the whole interval."""
    left, usd = saved.share, present.usd
    return {
        "id": step_id,
        "usd_per_1m": None if usd is None else cautious * usd,
        "gpu_s_per_1m_tokens": cautious * present.gpu_s,
        "usd_per_1m_interval": None
        if usd is None
        else {"low": (1 - left.high) * usd, "high": (1 - left.low) * usd},
    }


def _order(order: Order, present: Present) -> dict[str, Any]:
    shares = [cost / order.cautious_path[0] for cost in order.cautious_path]
    return {
        "name": order.name,
        "ids": list(order.ids),
        "usd_per_1m": None if present.usd is None else shares[-1] * present.usd,
        "gpu_s_per_1m_tokens": shares[-1] * present.gpu_s,
        "usd_path": [None if present.usd is None else s * present.usd for s in shares[1:]],
        "gpu_s_path": [share * present.gpu_s for share in shares[1:]],
        "breaks": [breach_section(breach) for breach in order.breaks],
    }


def _front_point(point: Point, plan: Plan, present: Present) -> dict[str, Any]:
    share = point.cost / plan.present_cost
    return {
        "ids": list(point.ids),
        "usd_per_1m": None if present.usd is None else share * present.usd,
        "gpu_s_per_1m_tokens": share * present.gpu_s,
        **_latencies(point.latency_s),
        "breaks": [breach_section(breach) for breach in point.breaks],
    }


def _latencies(latency_s: Mapping[str, float]) -> dict[str, float | None]:
    """p95 of both, None where the requests do not show it."""
    return {name: latency_s.get(name) for name in ("ttft_s", "itl_s")}
