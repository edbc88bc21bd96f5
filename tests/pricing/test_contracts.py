"""From a recording and a log to the document's section `pricing`."""

from __future__ import annotations

import datetime as dt
import json
import sys
from pathlib import Path
from types import SimpleNamespace

import jsonschema
import pytest
from pricing_made_up import EPOCH

from costaudit.audit.contracts import (
    ContractOptions,
    plan_gains,
    price_given,
    price_recording,
)
from costaudit.audit.document import schema, unexplained_nulls
from costaudit.audit.prices import known_prices
from costaudit.audit.pricing_section import contracts_section
from costaudit.facts.own_prices import Origin, OwnGpu, OwnPrices, OwnScenario
from costaudit.ground.errors import InconclusiveError
from costaudit.pricing.given_capacity import read_capacity
from costaudit.pricing.saturate import Slo
from costaudit.traffic.demand import Demand, Rejected

pytestmark = pytest.mark.slow  # all of it together

TESTS = Path(__file__).parents[1]
TODAY = dt.date(2026, 9, 1)
GIVEN = """
device = "NVIDIA H100 80GB HBM3"
model = "Qwen/Qwen3-32B"
prefill_tokens_per_s = 20000
decode_tokens_per_s = 3000
interference = 1.1
utilization_share = 0.75
cached_share = 0.25
source = "a benchmark"
"""


def demand(days=2, **fields):
    hours = range(24 * days)
    busy = [1.0 + (8 <= n % 24 < 20) for n in hours]
    starts = tuple(EPOCH + dt.timedelta(hours=n) for n in hours)
    return Demand(
        source="made.csv",
        format="made",
        window_s=3600.0,
        starts=starts,
        requests=tuple(1800 * b for b in busy),
        prompt_tokens=tuple(1800 * 64 * b for b in busy),
        output_tokens=tuple(1800 * 16 * b for b in busy),
        cached_prompt_tokens=(None,) * len(busy),
        covered_s=(3600.0,) * len(busy),
        rejected=(Rejected(reason="negative tokens", rows=3, example="-1"),),
        first=starts[0],
        last=starts[-1],
        **fields,
    )


@pytest.fixture
def given_capacity(tmp_path):
    path = tmp_path / "capacity.toml"
    path.write_text(GIVEN, encoding="utf-8")
    return read_capacity(path)


@pytest.fixture
def sample():
    return json.loads((TESTS / "report" / "sample_audit.json").read_text(encoding="utf-8"))


def section_schema():
    whole = schema()
    return {**whole["properties"]["pricing"], "$defs": whole["$defs"]}


def test_a_capacity_measured_elsewhere_is_priced(given_capacity):
    document = price_given(demand(), given_capacity, ContractOptions(today=TODAY))
    pricing = document["pricing"]
    jsonschema.Draft202012Validator(section_schema()).validate(pricing)
    assert pricing["best"] in {option["id"] for option in pricing["options"]}
    assert pricing["demand"]["rejected"][0]["rows"] == 3
    assert pricing["capacity"]["origin"] == "a benchmark"
    assert {gone["id"] for gone in pricing["not_offered"]} == {"on-prem", "provisioned"}
    text = json.dumps(pricing, allow_nan=False)
    assert "null" not in text


def test_stale_prices_are_marked_on_price_and_option(given_capacity):
    fresh = price_given(demand(), given_capacity, ContractOptions(today=TODAY))["pricing"]
    assert any(price["stale"] for price in fresh["prices"])
    on_demand = next(o for o in fresh["options"] if o["id"] == "on-demand")
    assert on_demand["stale"] == []
    late = ContractOptions(today=dt.date(2028, 1, 1))
    aged = price_given(demand(), given_capacity, late)["pricing"]
    assert all(price["stale"] for price in aged["prices"])
    assert all(option["stale"] for option in aged["options"])


def test_a_recording_is_tried_out_and_its_document_filled(tmp_path, sample):
    sys.path.insert(0, str(TESTS / "audit"))
    from synthetic_run import write_run

    run = write_run(tmp_path / "run.costaudit")
    options = ContractOptions(
        usd_per_device_h=0.05,
        reserved_usd_per_device_h=0.02,
        slo=Slo(ttft_s=30.0, tpot_s=1.0),
        budget_usd_per_month=1e6,
        today=TODAY,
    )
    document = price_recording(sample, run, demand(), options)
    jsonschema.Draft202012Validator(schema()).validate(document)
    assert unexplained_nulls(document) == []
    pricing = document["pricing"]
    assert pricing["capacity"]["origin"].startswith("simulated")
    assert pricing["capacity"]["prefill_tokens_per_s"] > 0
    assert pricing["options"][0]["usd_per_month"]["over_budget_share"] == 0.0
    assert sample["pricing"]["options"] != pricing["options"]  # the input is left as it was
    assert pricing["stranded"][0]["gain"]["source"].startswith("low end of the playbook")


def test_the_users_price_scenarios_are_drawn(given_capacity):
    def mean(*scenarios):
        options = ContractOptions(
            today=TODAY, usd_per_device_h=4.0, own=OwnPrices(scenarios=scenarios)
        )
        found = price_given(demand(), given_capacity, options)["pricing"]["options"]
        return next(o for o in found if o["id"] == "on-demand")["usd_per_month"]["mean"]

    halved = OwnScenario(
        name="halved", hourly_factor=0.5, spot_factor=0.5, token_factor=0.5, weight=1.0
    )
    assert mean(halved) == pytest.approx(0.5 * mean())


def test_an_own_book_stands_between_the_given_price_and_the_list():
    device = SimpleNamespace(kind="cuda", name="NVIDIA H200")
    gpu = OwnGpu(
        device="NVIDIA H200",
        on_demand_usd=2.5,
        spot_usd=None,
        reserved_1y_usd=1.5,
        reserved_3y_usd=None,
        origin=Origin(source="contract", as_of="2026-08-01"),
    )
    asked = {"given_usd": None, "reserved_usd": None, "today": TODAY}
    listed = known_prices(device, **asked)
    own = known_prices(device, **asked, own=OwnPrices(gpus=(gpu,)))
    given = known_prices(device, **{**asked, "given_usd": 9.0}, own=OwnPrices(gpus=(gpu,)))
    assert [price.id for price in listed] == ["on-demand"]
    assert [(p.id, p.usd_per_device_h) for p in own] == [("on-demand", 2.5), ("reserved", 1.5)]
    assert all("contract" in price.source for price in own)
    assert given[0].usd_per_device_h == 9.0


def test_refused_step_times_make_no_claim_in_dollars(tmp_path, sample):
    sample["steptime"] |= {"refused": True, "why": "it is too far off"}
    with pytest.raises(InconclusiveError, match="too far off"):
        price_recording(sample, tmp_path / "none", demand(), ContractOptions(today=TODAY))


def test_the_gain_still_to_come_is_the_playbooks_without_its_contract(sample):
    sample["order"]["best"] = ["a", "b", "c"]
    steps = (("a", "batching", 0.3), ("b", "memory", 0.2), ("c", "contract", 0.4))
    sample["playbook"] = [
        {"id": name, "category": category, "marginal": {"low_share": share}}
        for name, category, share in steps
    ]
    (gain,) = plan_gains(sample)
    assert gain.factor == pytest.approx(2.0)
    sample["order"]["best"] = []
    assert plan_gains(sample) == ()


def test_no_key_of_the_section_is_unknown_to_the_schema(given_capacity):
    pricing = price_given(demand(), given_capacity, ContractOptions(today=TODAY))["pricing"]
    assert set(pricing) <= set(schema()["properties"]["pricing"]["properties"])
    assert contracts_section.__doc__
