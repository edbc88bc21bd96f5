from __future__ import annotations

import csv
import datetime as dt
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

import costaudit.facts.prices as prices_module
from costaudit.facts.gpus import gpu_specs
from costaudit.facts.prices import (
    STALE_AFTER_DAYS,
    price_of_cpu_core,
    price_of_gpu,
    reserved_ratio,
)

AUTUMN = dt.date(2026, 9, 1)
DATA = Path(prices_module.__file__).parent / "data"


def _rows(name: str) -> list[dict[str, str]]:
    with (DATA / name).open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def test_price_is_a_real_row_of_the_table_per_device() -> None:
    price = price_of_gpu("NVIDIA H200", AUTUMN)
    assert price is not None
    row = next(r for r in _rows("gpu_prices.csv") if r["instance"] == price.instance)
    assert price.usd_per_device_h == pytest.approx(float(row["on_demand_usd_h"]) / int(row["gpus"]))
    assert (price.provider, price.source) == (row["provider"], row["source"])
    assert not price.stale


def test_each_provider_counts_once() -> None:
    # AWS 7.912, Azure's middle 13.25 over five regions, Crusoe 4.29: the middle one is AWS.
    price = price_of_gpu("NVIDIA H200", AUTUMN)
    assert price is not None
    assert price.providers == 3
    assert price.provider == "aws"
    assert (price.low_usd_per_device_h, price.high_usd_per_device_h) == (4.29, 13.25)


def test_old_or_undated_prices_are_stale() -> None:
    taken = dt.date(2026, 7, 20)  # the AWS row that the test above finds
    edge = taken + dt.timedelta(days=STALE_AFTER_DAYS)
    on_edge = price_of_gpu("NVIDIA A10G", edge)
    beyond = price_of_gpu("NVIDIA A10G", edge + dt.timedelta(days=1))
    assert on_edge is not None
    assert beyond is not None
    assert (on_edge.stale, beyond.stale) == (False, True)
    undated = price_of_gpu("NVIDIA GeForce RTX 5090", AUTUMN)
    assert undated is not None
    assert undated.stale
    assert "not known" in undated.as_of


def test_outliers_and_fixtures_are_no_quotes() -> None:
    price = price_of_gpu("NVIDIA H100 80GB HBM3", dt.date(2030, 1, 1))
    assert price is not None
    assert price.stale
    assert price.low_usd_per_device_h > 2  # digitalocean and jarvislabs rows are fixtures of tests
    assert "fixture" not in price.note


def test_unknown_device_has_no_price() -> None:
    assert price_of_gpu("NVIDIA H300", AUTUMN) is None
    assert price_of_gpu("NVIDIA H200 NVL", AUTUMN) is None  # listed, but nobody's offer is of it
    assert price_of_gpu("", AUTUMN) is None


def test_cpu_core_price_has_source_and_date() -> None:
    price = price_of_cpu_core(dt.date(2026, 3, 1))
    assert price is not None
    assert price.instance == "c7a.medium"
    assert price.usd_per_device_h == 0.05132
    assert price.low_usd_per_device_h == pytest.approx(0.08925 / 2)
    assert price.high_usd_per_device_h == 0.05389
    assert "karpenter" in price.source
    assert not price.stale


def test_reserved_ratio_comes_from_rows_that_carry_both_prices() -> None:
    one = reserved_ratio("NVIDIA A100-SXM4-40GB", 1, AUTUMN)
    three = reserved_ratio("NVIDIA A100-SXM4-40GB", 3, AUTUMN)
    assert one is not None
    assert three is not None
    assert one.share == pytest.approx(0.63, abs=0.01)  # committed-use discount of 37 %
    assert three.share == pytest.approx(0.35, abs=0.01)  # 65 %
    assert one.stale
    assert one.source


def test_reserved_ratio_is_unknown_where_no_list_has_it() -> None:
    assert reserved_ratio("NVIDIA H200", 1, AUTUMN) is None
    assert reserved_ratio("NVIDIA A100-SXM4-40GB", 2, AUTUMN) is None


@given(
    name=st.sampled_from([spec.name for spec in gpu_specs()]),
    today=st.dates(dt.date(2024, 1, 1), dt.date(2031, 1, 1)),
)
def test_a_price_always_lies_within_its_spread(name: str, today: dt.date) -> None:
    price = price_of_gpu(name, today)
    if price is not None:
        assert 0 < price.low_usd_per_device_h <= price.usd_per_device_h
        assert price.usd_per_device_h <= price.high_usd_per_device_h


def test_every_price_label_is_listed() -> None:
    labels = {row["gpu"] for row in _rows("gpu_prices.csv")}
    assert {label for spec in gpu_specs() for label in spec.priced_as} <= labels
