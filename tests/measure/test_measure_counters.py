"""MBU by the best tier that was recorded, for every way in which tiers can be there or not."""

from __future__ import annotations

import datetime as dt
import sys
from pathlib import Path
from typing import Any

import jsonschema
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

sys.path.insert(0, str(Path(__file__).parents[1] / "audit"))
from synthetic_run import DECODES, PREFILLS, SHAPE, TRUTH, write_run

from costaudit.audit.build import AuditOptions, build_audit
from costaudit.audit.document import schema, unexplained_nulls
from costaudit.audit.provenance import provenance_section
from costaudit.audit.sections import measured_sections
from costaudit.measure.counters import counters_of, formula_bytes
from costaudit.measure.derive import derive
from costaudit.measure.phases import Precision
from costaudit.measure.reading import Reading
from costaudit.recording.recording import Recording
from costaudit.recording.rows import Fact, Phase
from costaudit.target import work
from costaudit.target.load import decode_load, prefill_load

pytestmark = pytest.mark.slow  # all of it together

PRECISION = Precision(param_bytes=TRUTH.param_bytes, kv_element_bytes=TRUTH.kv_element_bytes)
PREFILL, DECODE = "step-2", f"step-{len(PREFILLS) + 3}"  # 1024 tokens; 16 sequences of 1024
LOADS = {
    "prefill": prefill_load(new_tokens=1024),
    "decode": decode_load(seqs=16, context_tokens=1024),
}
STEPS = 100


def span(phase: str, *, times: float = 1.25, tier: str = "T1", **reading: Any) -> Fact:
    """A span whose counter saw `times` the bytes of the formula."""
    moved = STEPS * formula_bytes(SHAPE, PRECISION, LOADS[phase])
    values = {
        "seconds": 1.25,
        "bandwidth_share": 0.5,
        "bandwidth_tier": tier,
        "dram_bytes": times * moved,
        "sm_share": 0.875,
        "tensor_share": 0.25,
        "energy_j": 350.0,
        "throttled_share": {"sw_power_cap": 0.25, "sw_thermal": 0.0},
        "memory_accessed_share": 0.4,
        "why": "",
    } | reading
    probe = PREFILL if phase == "prefill" else DECODE
    value = {"probe": probe, "steps": STEPS, "device_s": 1.2, "reading": values}
    return Fact(subject="span", name=phase, value=value)


NOTHING = {"bandwidth_share": None, "dram_bytes": None, "sm_share": None, "tensor_share": None}


def refused(phase: str, why: str = "GPM: Insufficient Permissions (NVML 4)") -> Fact:
    return span(phase, tier="T2", why=why, **NOTHING)


def recorded(folder: Path, *facts: Fact) -> Path:
    path = write_run(folder / "gpu.costaudit", device="cuda")
    with Recording.resume(path) as recording:
        recording.add(*facts)
    return path


def phases(folder: Path, *facts: Fact) -> dict[str, Any]:
    """The document's phases, with the doubts about each beside it."""
    with Recording.read(recorded(folder, *facts)) as recording:
        metrics = derive(recording).metrics
    found = measured_sections(metrics)["phases"]
    for name, seen in (("prefill", metrics.prefill), ("decode", metrics.decode)):
        found[name]["doubts"] = seen.doubts
    return found


@pytest.fixture(scope="module")
def without(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    return phases(tmp_path_factory.mktemp("without"))


def test_without_spans_the_formula_stands(without: dict[str, Any]) -> None:
    for phase in without.values():
        assert phase["mbu_tier"] == "T2"
        assert not {"counters", "mbu_measured", "mbu_analytic"} & phase.keys()
        assert phase["doubts"] == ()


@pytest.mark.parametrize(("tier", "source"), [("T1", "GPM"), ("T1'", "DCGM")])
def test_a_counter_outranks_the_formula_and_both_are_kept(
    tier: str, source: str, tmp_path: Path, without: dict[str, Any]
) -> None:
    facts = (span("prefill", times=1.5, tier=tier), span("decode", times=1.25, tier=tier))
    found = phases(tmp_path, *facts)
    for phase, times in (("prefill", 1.5), ("decode", 1.25)):
        seen, formula = found[phase], without[phase]["mbu"]
        assert seen["mbu_tier"] == seen["counters"]["tier"] == tier
        assert source in seen["bandwidth_tier"]
        assert seen["mbu_analytic"] == formula
        assert seen["counters"]["traffic_over_formula"] == pytest.approx(times)
        assert seen["mbu"] == seen["mbu_measured"] == pytest.approx(formula * times)
        assert seen["mfu"] == without[phase]["mfu"]
        assert seen["doubts"] == ()


def test_refused_counters_leave_the_formula_with_their_reason(
    tmp_path: Path, without: dict[str, Any]
) -> None:
    for phase, seen in phases(tmp_path, refused("prefill"), refused("decode")).items():
        assert (seen["mbu_tier"], seen["counters"]["tier"]) == ("T2", "T2")
        assert seen["mbu"] == seen["mbu_analytic"] == without[phase]["mbu"]
        assert "mbu_measured" not in seen
        assert "Insufficient Permissions" in seen["counters"]["why"]
        assert "dram_share" not in seen["counters"]


def test_a_counter_lost_in_mid_run_speaks_for_the_phase_it_saw(tmp_path: Path) -> None:
    found = phases(tmp_path, span("decode"), refused("prefill", "GPM: GPU is lost (NVML 15)"))
    assert {phase: seen["mbu_tier"] for phase, seen in found.items()} == {
        "prefill": "T2",
        "decode": "T1",
    }


def test_energy_throttling_and_accessed_memory_are_no_bandwidth(tmp_path: Path) -> None:
    found = phases(tmp_path, refused("decode"), span("prefill"))
    seen = found["decode"]["counters"]
    assert seen["energy_j_per_token"] == pytest.approx(350.0 / (STEPS * 16))
    assert seen["throttled_share"] == {"sw_power_cap": 0.25, "sw_thermal": 0.0}
    assert seen["memory_accessed_share"] == 0.4
    prefill = found["prefill"]["counters"]
    assert prefill["energy_j_per_token"] == pytest.approx(350.0 / (STEPS * 1024))
    assert found["decode"]["mbu_tier"] == "T2"


@pytest.mark.parametrize(
    ("phase", "times", "doubted"),
    [
        ("decode", 0.5, True),
        ("decode", 0.9, False),
        ("decode", 1.6, True),
        ("prefill", 1.6, False),  # activations, which no weight and no cache holds
        ("prefill", 0.5, True),
        ("prefill", 5.0, True),
    ],
)
def test_counter_and_formula_far_apart_become_a_note(
    phase: str, times: float, doubted: bool, tmp_path: Path
) -> None:
    found = phases(tmp_path, span(phase, times=times))[phase]["doubts"]
    assert bool(found) == doubted
    if doubted:
        assert found[0].startswith(f"{phase.capitalize()}: the DRAM counter (T1) saw {times:.2f} ")


@pytest.mark.parametrize("times", [0.0, 1000.0])
def test_a_counter_beyond_belief_does_not_replace_the_formula(
    times: float, tmp_path: Path, without: dict[str, Any]
) -> None:
    seen = phases(tmp_path, span("decode", times=times))["decode"]
    assert (seen["mbu"], seen["mbu_tier"]) == (without["decode"]["mbu"], "T2")
    assert "the formula's stands instead" in seen["doubts"][-1]


def test_a_span_of_an_unknown_probe_tells_what_it_can(tmp_path: Path) -> None:
    fact = span("decode")
    fact.value["probe"] = "decode-of-another-design"
    seen = phases(tmp_path, fact)["decode"]
    assert seen["mbu_tier"] == "T2"
    assert seen["counters"]["dram_share"] == 0.5
    assert not {"traffic_over_formula", "energy_j_per_token"} & seen["counters"].keys()


def test_a_reading_of_an_older_recording_is_read(tmp_path: Path) -> None:
    fact = span("decode")
    del fact.value["reading"]["memory_accessed_share"]
    seen = phases(tmp_path, fact)["decode"]
    assert seen["mbu_tier"] == "T1"
    assert "memory_accessed_share" not in seen["counters"]


def test_the_audit_holds_it_all_and_says_what_does_not_fit(tmp_path: Path) -> None:
    path = recorded(tmp_path, span("decode", times=1.6, tier="T1'"), refused("prefill"))
    document = build_audit(path, options=AuditOptions(today=dt.date(2026, 3, 1)))
    jsonschema.Draft202012Validator(schema()).validate(document)
    assert unexplained_nulls(document) == []
    assert document["phases"]["decode"]["mbu_tier"] == "T1'"
    (note,) = [note for note in document["notes"] if "DRAM counter" in note]
    assert note.startswith("Decode: the DRAM counter (T1') saw 1.60 times")


def test_provenance_names_the_tier_of_each_figure(tmp_path: Path) -> None:
    with Recording.read(recorded(tmp_path, span("decode", tier="T1'"))) as recording:
        metrics = derive(recording).metrics
        tiers = provenance_section(recording, metrics.target, metrics)["tiers"]
    assert set(tiers) == {
        "phases.prefill.mbu",
        "phases.decode.mbu",
        "phases.decode.counters.dram_share",
        "phases.decode.counters.energy_j_per_token",
        "phases.decode.counters.memory_accessed_share",
    }
    assert tiers["phases.prefill.mbu"].startswith("T2: ")
    assert tiers["phases.decode.mbu"].startswith("T1': ")
    assert "not bandwidth" in tiers["phases.decode.counters.memory_accessed_share"]


def test_a_step_moves_the_weights_once_and_each_cache_once() -> None:
    weights = work.weight_bytes(SHAPE, 256, 4)
    token = work.kv_bytes_per_token(SHAPE, 4)
    behind = prefill_load(new_tokens=128, cached_tokens=512, seqs=2)
    assert formula_bytes(SHAPE, PRECISION, behind) == pytest.approx(weights + 2 * 640 * token)
    decode = decode_load(seqs=16, context_tokens=1024)
    weights = work.weight_bytes(SHAPE, 16, 4)
    assert formula_bytes(SHAPE, PRECISION, decode) == pytest.approx(weights + 16 * 1025 * token)
    assert (16, 1024) in DECODES


anything = st.recursive(
    st.none() | st.booleans() | st.floats() | st.integers() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner),
    max_leaves=5,
)
names = (
    "bandwidth_share",
    "bandwidth_tier",
    "dram_bytes",
    "energy_j",
    "throttled_share",
    "seconds",
)


@settings(suppress_health_check=[HealthCheck.too_slow])
@given(
    value=anything
    | st.fixed_dictionaries(
        {
            "probe": st.just(DECODE) | anything,
            "steps": st.just(3) | anything,
            "reading": st.fixed_dictionaries({}, optional=dict.fromkeys(names, anything))
            | anything,
        }
    )
)
def test_a_damaged_span_gives_shares_or_nothing(value: Any) -> None:
    fact = Fact(subject="span", name="decode", value=value)
    reading = Reading(facts={"span": {"decode": fact}})
    seen = counters_of(reading, Phase.DECODE, [], SHAPE, PRECISION)
    if seen is not None:
        assert seen.tier in {"T1", "T1'", "T2"}
        shares = [seen.dram_share, *seen.throttled_share.values()]
        assert all(0 <= share <= 1 for share in shares if share is not None)
        assert seen.traffic_over_formula is None
