"""The price book: every row with source, date and flags, and one's own laid over it."""

from __future__ import annotations

import datetime as dt

import pytest

from costaudit.facts.offers import gpu_offers
from costaudit.facts.own_book import read_own_prices
from costaudit.facts.price_book import listed
from costaudit.facts.prices import spot_ratio
from costaudit.facts.provisioned import unit_prices
from costaudit.facts.spot import (
    AVAILABILITY_SHARE,
    INTERRUPTIONS_PER_H,
    spot_advice,
    spot_rows,
)
from costaudit.facts.token_prices import prices_of_model, token_prices
from costaudit.ground.errors import UsageError

AUTUMN = dt.date(2026, 9, 1)
KINDS = ("gpu", "tokens", "spot", "units")

OWN = """
[[gpu]]
device = "NVIDIA H100 80GB HBM3"
unit = "usd_per_instance_h"
gpus = 8
on_demand = 24.0
reserved_1y = 16.0
as_of = 2026-08-01
source = "contract"

[[token]]
provider = "us"
model = "ours/model"
unit = "usd_per_1k_tokens"
input = 0.0002
output = 0.0006
as_of = 2026-08-01
source = "offer"

[[provisioned]]
provider = "azure"
model = "ours/model"
unit = "usd_per_unit_month"
price = 730
term_months = 12
input_tokens_per_min = 3000
output_tokens_per_min = 600
as_of = 2026-08-01
source = "calculator"

[on_prem]
unit = "usd"
capex_usd_per_device = 30000
years = 4
interest_share = 0.08
upkeep_share = 0.1
device_w = 700
pue = 1.3
usd_per_kwh = 0.1
availability_share = 0.98
as_of = 2026-08-01
source = "quote"

[spot]
availability_share = 0.9
interruptions_per_h = 0.05
lost_h_per_interruption = 0.2
fleet_share = 0.5
as_of = 2026-08-01
source = "our own year"

[[scenario]]
name = "prices fall"
hourly_factor = 0.8
spot_factor = 0.7
token_factor = 0.6
weight = 2
"""


def book(tmp_path, text=OWN):
    path = tmp_path / "mine.toml"
    path.write_text(text, encoding="utf-8")
    return path


@pytest.mark.parametrize("kind", KINDS)
def test_every_row_has_a_source_a_date_and_a_figure(kind):
    rows = listed(kind, "", AUTUMN)
    assert len(rows) > 30
    for row in rows:
        assert row.source
        assert row.as_of
        assert row.figures


@pytest.mark.parametrize("kind", KINDS)
def test_undated_and_old_rows_are_marked(kind):
    for row in listed(kind, "", AUTUMN):
        try:
            age = (AUTUMN - dt.date.fromisoformat(row.as_of)).days
        except ValueError:
            age = 10_000
        assert ("stale" in row.flags) == (age > 180), row


def test_a_word_finds_every_kind_of_a_device():
    names = {row.name for row in listed("gpu", "H100", AUTUMN)}
    assert {"H100-SXM", "H100-PCIe"} <= names
    exact = listed("gpu", "NVIDIA H200", AUTUMN)
    assert {row.name for row in exact} == {"H200"}
    assert listed("gpu", "no such thing", AUTUMN) == ()
    with pytest.raises(UsageError, match="no price list") as caught:
        listed("gpus", "", AUTUMN)
    assert "gpu" in caught.value.hint


def test_placeholders_are_no_prices():
    flagged = [row for row in listed("gpu", "", AUTUMN) if "placeholder" in row.flags]
    assert {"digitalocean", "dataoorts"} <= {row.offer.split()[0] for row in flagged}
    copied = [o for o in gpu_offers() if "not a real spot quote" in o.note]
    assert copied
    assert all(o.spot_usd_per_device_h is None for o in copied)
    assert all(o.spot_usd_per_device_h < o.usd_per_device_h
               for o in gpu_offers() if o.spot_usd_per_device_h is not None)  # fmt: skip


def test_lists_that_disagree_say_so():
    disagreeing = [price for price in token_prices() if price.disagrees]
    assert len(disagreeing) == 6
    assert all("genai-prices" in price.note for price in disagreeing)
    assert all("two lists disagree" in price.flags(AUTUMN) for price in disagreeing)


def test_models_are_found_by_their_hub_id_and_never_by_a_likeness():
    found = prices_of_model("meta-llama/Llama-3.3-70B-Instruct")
    assert {p.provider for p in found} == {"deepinfra", "nebius", "groq", "togetherai"}
    assert [p.output_usd_per_1m for p in found] == sorted(p.output_usd_per_1m for p in found)
    assert prices_of_model("meta-llama/Llama-3.3-7B-Instruct") == ()
    assert [p.provider for p in prices_of_model("groq/qwen/qwen3-32b")] == ["groq"]
    assert prices_of_model("") == ()


def test_spot_is_known_where_it_is_listed():
    ratio = spot_ratio("NVIDIA H100 80GB HBM3", AUTUMN)
    assert ratio is not None
    assert 0 < ratio.low_share <= ratio.share <= ratio.high_share < 1
    assert ratio.providers >= 2
    assert spot_ratio("NVIDIA H300", AUTUMN) is None


def test_the_advisor_tells_how_far_savings_range():
    advice = spot_advice("NVIDIA H100 80GB HBM3")
    assert advice is not None
    assert advice.low_saving_share == pytest.approx(-0.62)  # ca-central-1: dearer than on demand
    assert advice.stale(AUTUMN)
    dearer = [row for row in spot_rows() if "dearer than on demand" in row.flags(AUTUMN)]
    assert dearer
    assert spot_advice("NVIDIA H300") is None
    # The defaults lie inside the ranges that the traces showed.
    assert 0.17 <= AVAILABILITY_SHARE <= 0.91
    assert 0.1 <= INTERRUPTIONS_PER_H <= 1.4


def test_the_longer_term_of_a_model_unit_is_cheaper():
    units = {
        (u.region, u.term): u.usd_per_unit_h
        for u in unit_prices()
        if u.model == "anthropic.claude-v2"
    }
    month, half_year = (
        units["us-east-1", "1-month-commitment"],
        units["us-east-1", "6-month-commitment"],
    )
    assert half_year / month == pytest.approx(0.56, abs=0.01)


def test_an_own_book_is_read_per_device_and_per_million(tmp_path):
    own = read_own_prices(book(tmp_path))
    gpu = own.gpu("nvidia h100 80gb hbm3")
    assert gpu is not None
    assert (gpu.on_demand_usd, gpu.reserved_1y_usd, gpu.spot_usd) == (3.0, 2.0, None)
    assert own.gpu("NVIDIA H200") is None
    assert own.tokens[0].input_usd == pytest.approx(0.2)
    assert own.units[0].usd_per_unit_h == pytest.approx(1.0)
    assert own.on_prem is not None
    assert own.spot is not None
    assert own.spot.fleet_share == 0.5
    assert [(s.name, s.token_factor, s.weight) for s in own.scenarios] == [("prices fall", 0.6, 2)]
    assert gpu.origin.as_of == "2026-08-01"
    assert not gpu.origin.stale(AUTUMN)
    assert gpu.origin.stale(dt.date(2027, 9, 1))


@pytest.mark.parametrize(
    ("before", "after", "says"),
    [
        ('unit = "usd_per_instance_h"\n', "", "has no unit"),
        ('unit = "usd_per_instance_h"', 'unit = "usd_per_gpu"', "the unit 'usd_per_gpu'"),
        ('unit = "usd_per_1k_tokens"\n', "", "has no unit"),
        ('unit = "usd"\n', "", "has no unit"),
        ("gpus = 8\n", "", "gpus must be a number"),
        ("on_demand = 24.0", "on_demand = -1", "outside"),
        ("on_demand = 24.0", "on_demand = 0", "is no price"),
        ("on_demand = 24.0", "on_demand = nan", "outside"),
        ("on_demand = 24.0", 'on_demand = "24"', "must be a number"),
        ("on_demand = 24.0", "on_demnd = 24.0", "unknown key"),
        ("as_of = 2026-08-01", 'as_of = "last year"', "must be a date"),
        ('source = "contract"\n', "", "source"),
        ("[[gpu]]", "[gpu]", "[[gpu]]"),
        ("[spot]", "[[spot]]", "[spot]"),
        ("[[token]]", "[[tokens]]", "unknown key"),
        ("fleet_share = 0.5", "fleet_share = 5", "outside"),
        ("weight = 2", "", "weight must be a number"),
        ("spot_factor = 0.7", "spot_factor = 0", "is no price"),
    ],
)
def test_a_price_that_is_none_is_refused(tmp_path, before, after, says):
    assert before in OWN
    with pytest.raises(UsageError) as caught:
        read_own_prices(book(tmp_path, OWN.replace(before, after, 1)))
    assert says in f"{caught.value.message} {caught.value.hint}"
    assert "mine.toml" in caught.value.message
