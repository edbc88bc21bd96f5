"""Audit documents for tests: a hand-made, synthetic sample and variations of it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

FOLDER = Path(__file__).parent
PRICE_WHY = "no price of this device is known; give one with --price"


def sample() -> dict[str, Any]:
    return json.loads((FOLDER / "sample_audit.json").read_text(encoding="utf-8"))


def without_dollars(document: Any, why: str = PRICE_WHY) -> Any:
    """The same audit where nobody knows a price."""
    bill = document["bill"]
    bill["usd_per_1m_tokens_interval"] = None
    paths = ["bill.usd_per_gpu_h", "bill.usd_per_1m_tokens_interval"]
    for name in ("usd_per_1m_tokens", "usd_per_1m_input", "usd_per_1m_output"):
        bill[name] = None
        paths.append(f"bill.{name}")
    bill["usd_per_gpu_h"] = None
    for entry in bill["slices"]:
        entry["usd_per_1m"] = None
    for step in document["playbook"]:
        for saving in (step["saving"], step["marginal"], document["order"]["joint"]):
            if saving:
                saving |= {"usd_per_1m_low": None, "usd_per_1m_high": None}
        for order in ("commit_first", "engineering_first"):
            step.get("stranded", {}).get(order, {}).update(usd_per_1m=None)
    for order in (*document["order"]["alternatives"], *document["order"]["conventional"]):
        order |= {"usd_per_1m": None, "usd_path": []}
    for point in (*document["order"]["front"], *document["order"]["best_path"]):
        point |= {"usd_per_1m": None}
    for point in document["order"]["best_path"]:
        point |= {"usd_per_1m_interval": None}
    document["pricing"]["prices"] = []
    paths += ["bill.slices", "playbook", "order"]
    document["unknown"] += [{"what": path, "why": why} for path in paths]
    return document


def refused() -> dict[str, Any]:
    """An audit whose step-time model is too far off for a claim in dollars."""
    document = without_dollars(sample(), "the held-out error is above 15 %")
    document["steptime"] |= {
        "error_p50_share": 0.21,
        "refused": True,
        "why": "the median error on probes it has not seen is 21 %, above 15 %",
    }
    return document


def random_weights() -> dict[str, Any]:
    document = sample()
    document["target"]["weights"] = "random"
    return document


def hostile() -> dict[str, Any]:
    """Names that try to be markup."""
    document = sample()
    evil = '<script>alert("1")</script>|`x`\n# [l](javascript:1) & {{ 7*7 }} [bold]'
    document["target"]["model"] = evil
    document["workload"]["stands_for"] = evil
    document["target"]["knobs"][evil.replace(".", "")] = {"value": evil, "origin": "exported"}
    document["playbook"][0] |= {"title": evil, "snippet": {"engine": evil, "text": evil + "```"}}
    document["playbook"][5]["why_not"] = evil
    document["bill"]["slices"][0]["source"] = evil
    return document


def nothing_known() -> dict[str, Any]:
    """As little as an audit may hold."""
    document = without_dollars(sample())
    for phase in document["phases"].values():
        for name in list(phase):
            if name.endswith("_s") and isinstance(phase[name], dict):
                phase[name] = {"p50": None, "p95": None, "p99": None}
            elif name in {"roofline", "bandwidth_tier"}:
                del phase[name]
            elif name != "device_s":
                phase[name] = None
    for name, value in document["kv_cache"].items():
        document["kv_cache"][name] = None if isinstance(value, (int, float)) else type(value)()
    document["steptime"] = {"terms": {}, "error_p50_share": None, "error_p90_share": None}
    for entry in document["bill"]["slices"]:
        entry |= {"gpu_s": None, "share": None, "band": None}
    document["bill"] |= {"unexplained_share": None, "gpu_s_per_1m_tokens": None}
    del document["bill"]["gpu_s"]
    document["bill"]["gpu_s_per_1m_tokens_interval"] = None
    for name in ("peak_flops", "peak_bandwidth_bytes_per_s"):
        document["device"][name] = {"value": None, "origin": "unknown", "why": "not measured"}
    document["playbook"] = []
    document["order"] = {"best": [], "alternatives": [], "conventional": []}
    for name in ("instruments", "provenance", "notes"):
        del document[name]
    document["unknown"] = [{"what": name, "why": "nothing ran"} for name in document]
    return document


VARIANTS = {
    "sample": sample,
    "no price": lambda: without_dollars(sample()),
    "refused": refused,
    "random weights": random_weights,
    "hostile": hostile,
    "nothing known": nothing_known,
}
