"""A fleet's past as plain values, for a machine: `costaudit.fleet/1`."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from costaudit.report.diagnosis_json import diagnosis_json

if TYPE_CHECKING:
    from costaudit.diagnosis.fleet import Fleet, Group, Member

SCHEMA = "costaudit.fleet/1"


def fleet_json(fleet: Fleet) -> dict[str, Any]:
    """All replicas, the worst first; `unit` is that of every cost and waste."""
    return {
        "schema": SCHEMA,
        "unit": "device-h" if fleet.price is None else "usd",
        "window": {"seconds": fleet.past.seconds, "until_unix_s": fleet.past.at_s},
        "questions": fleet.past.asked,
        "whole": _group(fleet.whole),
        "causes": [_group(group) for group in fleet.causes],
        "models": [_group(group) for group in fleet.models],
        "nodes": [_group(group) for group in fleet.nodes],
        "replicas": [_member(member) for member in fleet.members],
        "notes": list(fleet.notes),
    }


def _group(group: Group) -> dict[str, Any]:
    shares = group.prompt_share
    return {
        "name": group.name,
        "replicas": len(group.members),
        "cost": group.cost,
        "waste": group.waste,
        "cost_per_1m_tokens": group.per_1m_tokens,
        "prompt_tokens": sum(member.prompt_tokens for member in group.members),
        "generated_tokens": sum(member.generated_tokens for member in group.members),
        "prompt_cost_share": None if shares is None else asdict(shares),
    }


def _member(member: Member) -> dict[str, Any]:
    phases = member.phases
    return {
        "place": asdict(member.replica.place),
        "model": member.replica.model or None,
        "present_s": member.replica.present_s,
        "devices": asdict(member.devices),
        "gpus": [asdict(gpu) for gpu in member.gpus],
        "cost": member.cost,
        "waste": member.waste,
        "own_waste": member.own_waste,
        "peer_waste": member.peer_waste,
        "device_seconds": None
        if phases is None
        else {
            "busy": phases.busy_s,
            "prefill": phases.prefill_s,
            "prefill_low": phases.prefill_bounds_s.low,
            "prefill_high": phases.prefill_bounds_s.high,
            "fitted": phases.fitted,
        },
        "diagnosis": diagnosis_json(member.diagnosis),
    }
