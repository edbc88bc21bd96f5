"""What a GPU's counters say, in every renderer; a CPU's report has no word of it."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import jsonschema
import pytest

sys.path.insert(0, str(Path(__file__).parent))
from sample_documents import sample

from costaudit.audit.document import schema
from costaudit.report.console import console_text
from costaudit.report.counter_rows import counter_facts
from costaudit.report.fact_rows import device_facts
from costaudit.report.page import html_page, markdown

HEADING = "own counters"


@pytest.fixture
def document() -> dict[str, Any]:
    document = sample()
    phases = document["phases"]
    phases["decode"] |= {
        "mbu": 0.5,
        "mbu_tier": "T1",
        "bandwidth_tier": "T1: bytes by formula times what GPM saw of them (1.25) in decode-8x1024",
        "mbu_measured": 0.5,
        "mbu_analytic": 0.4,
        "counters": {
            "probe": "decode-8x1024",
            "steps": 100,
            "seconds": 1.25,
            "tier": "T1",
            "dram_share": 0.55,
            "dram_bytes": 3e12,
            "traffic_over_formula": 1.25,
            "sm_share": 0.875,
            "tensor_share": 0.25,
            "energy_j_per_token": 0.4375,
            "throttled_share": {"sw_power_cap": 0.25, "sw_thermal": 0.0},
            "memory_accessed_share": 0.9,
            "why": "",
        },
    }
    phases["prefill"] |= {
        "mbu_tier": "T2",
        "counters": {
            "probe": "prefill-1x1024",
            "steps": 9,
            "seconds": 6.0,
            "tier": "T2",
            "throttled_share": {"sw_thermal": 0.0},
            "why": "no <GPM> here; DCGM's value changed 0 times",
        },
    }
    jsonschema.Draft202012Validator(schema()).validate(document)
    return document


def test_each_figure_stands_with_its_tier(document: dict[str, Any]) -> None:
    rows = {fact.label: (fact.text, fact.note) for fact in counter_facts(document["phases"])}
    plain = json.loads(json.dumps(rows, ensure_ascii=False).replace("\N{NO-BREAK SPACE}", " "))
    assert plain["Decode MBU"][0] == "50 %"
    assert plain["Decode MBU"][1].endswith("; by formula alone 40 %")
    assert plain["Decode DRAM traffic"] == [
        "55 % of the theoretical bandwidth",
        "T1 over 1.25 s of decode-8x1024, 1.25 times the formula's bytes",
    ]
    assert plain["Decode energy"] == ["0.438 J per token", "T3 over 1.25 s of decode-8x1024"]
    assert plain["Decode throttled"][0] == "sw_power_cap 25 %"
    assert "not bandwidth" in plain["Decode memory accessed"][1]
    assert "no better tier: no <GPM> here" in plain["Prefill MBU"][1]
    assert plain["Prefill throttled"][0] == "never"
    assert "Prefill DRAM traffic" not in plain


def test_every_renderer_shows_them(document: dict[str, Any]) -> None:
    console, page, text = console_text(document), html_page(document), markdown(document)
    for rendered in (console, page, text):
        for words in ("Decode DRAM traffic", "Decode energy", "Prefill throttled"):
            assert words in rendered
    assert HEADING in page
    assert HEADING in text
    assert "no &lt;GPM&gt; here" in page
    assert max(map(len, console.splitlines())) <= 80


def test_without_counters_nothing_is_said_of_them() -> None:
    document = sample()
    assert counter_facts(document["phases"]) == []
    for rendered in (console_text(document), html_page(document), markdown(document)):
        assert HEADING not in rendered
        assert "DRAM traffic" not in rendered


def test_the_allocator_and_the_clocks_of_the_run_stand_with_the_device(
    document: dict[str, Any],
) -> None:
    document["device"] |= {
        "allocator": {
            "allocated_peak_bytes": 3 * 2**30,
            "reserved_peak_bytes": 4 * 2**30,
            "fragmented_peak_share": 0.125,
        },
        "throttled_share": {"sw_power_cap": 0.5, "sw_thermal": 0.0},
    }
    jsonschema.Draft202012Validator(schema()).validate(document)
    told = {fact.label: f"{fact.text}; {fact.note}" for fact in device_facts(document["device"])}
    plain = {label: text.replace("\N{NO-BREAK SPACE}", " ") for label, text in told.items()}
    assert plain["Tensors held at most"] == (
        "3 GiB; 4 GiB taken from the driver; 12 % of it in pieces between tensors"
    )
    assert plain["Clocks held down"] == "sw_power_cap 50 %; of the recording, by reason"
    for rendered in (html_page(document), markdown(document)):
        assert "Clocks held down" in rendered
