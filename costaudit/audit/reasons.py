"""Why a value of the document is null, by the place of the value or of what holds it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping

NO_COMMAND = "it was not recorded from a command line, or by a costaudit that kept none"
NO_CONTRACTS = "ways to pay are compared from a traffic log; an audit of one workload has none"
NO_LATENCY = "no request of the workload shows it: answers have one token"
NO_WEIGHTS = "a server does not tell whether its weights are trained; its speed does not either"
NO_PRICE = "no price is known for this device; give one with --price"


def reasons(document: Mapping[str, Any], measured: Mapping[str, str]) -> dict[str, str]:
    """Reasons by dotted path: what the measurement said, then what follows from it."""
    no_usd = document["bill"].get("why") or NO_PRICE
    found = {
        "pricing.best": NO_CONTRACTS,
        "pricing.break_even": NO_CONTRACTS,
        "bill": no_usd,
        "order": no_usd,
        "order.today_p95": NO_LATENCY,
        **{
            f"order.front.{n}.{name}": NO_LATENCY
            for n, _ in enumerate(_front(document))
            for name in ("ttft_s", "itl_s")
        },
        "provenance.command": NO_COMMAND,
        "provenance.weights": NO_WEIGHTS,
        "target.weights": NO_WEIGHTS,
        "steptime": "no held-out probe was recorded",
        **measured,
    }
    for name, knob in document["target"]["knobs"].items():
        if knob["value"] is None:
            found[f"target.knobs.{name}"] = knob.get("why") or "the target does not tell"
    for place, part in enumerate(document["bill"]["slices"]):
        if part["gpu_s"] is None:
            found[f"bill.slices.{place}"] = part["why"]
    for place, step in enumerate(document["playbook"]):
        found |= _step_reasons(f"playbook.{place}", step, no_usd)
    return found


def _front(document: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    return list(document["order"].get("front", ()))


def _step_reasons(path: str, step: Mapping[str, Any], no_usd: str) -> dict[str, str]:
    outside = step["why_not"] or "it is in the best order"
    return {
        path: outside,
        f"{path}.why_not": "it pays here",
        f"{path}.snippet": "this engine has no setting for it; `costaudit steps` lists the others",
        f"{path}.saving.usd_per_1m_low": no_usd,
        f"{path}.saving.usd_per_1m_high": no_usd,
        f"{path}.marginal.usd_per_1m_low": no_usd,
        f"{path}.marginal.usd_per_1m_high": no_usd,
    }
