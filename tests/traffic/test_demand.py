"""Windows, gaps, rates and hours of the week."""

from __future__ import annotations

import math
import random
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st
from logs import REQUESTS, START, azure, write_csv

from costaudit.ground.errors import UsageError
from costaudit.traffic.demand import Demand, total
from costaudit.traffic.gaps import collection_gaps
from costaudit.traffic.read import read_demand
from costaudit.traffic.reduce import CELLS_PER_OCTAVE, NUDGE

pytestmark = pytest.mark.slow  # all of it together

RATES = ("t_s", "rps", "in_tok_s", "out_tok_s", "share_of_rps_with_known_lengths")


def test_rate_windows_are_gathered_and_silence_is_a_gap(tmp_path):
    rows = [[600 * i, 2.0, 100.0, 10.0, 1.0] for i in range(18)]
    rows[7][1:] = [0, 0, 0, 1.0]  # zero: not recorded
    del rows[12:18]
    rows += [[600 * 18, 2.0, 100.0, 10.0, 1.0]]
    path = write_csv(tmp_path / "rates.csv", RATES, rows)
    fine = read_demand(path, window_s=600)
    assert fine.requests == (*(1200.0,) * 7, None, *(1200.0,) * 4, *(None,) * 6, 1200.0)
    assert fine.gaps == 7
    hourly = read_demand(path)
    assert hourly.prompt_tokens == (360_000.0, 300_000.0, None, 60_000.0)
    assert hourly.covered_s == (3600.0, 3000.0, 0.0, 600.0)
    assert hourly.rates_per_s(hourly.prompt_tokens) == (100.0, 100.0, None, None)
    assert "7 windows" in hourly.notes[0]


def test_rates_need_no_request_column_and_any_order(tmp_path):
    rows = [[600 * i, 100.0 + i, 10.0] for i in range(12)]
    random.Random(3).shuffle(rows)
    path = write_csv(
        tmp_path / "r.csv", ("time_s", "input_tokens_per_s", "output_tokens_per_s"), rows
    )
    demand = read_demand(path)
    assert demand.requests == (None, None)
    assert total(demand.prompt_tokens) == pytest.approx(600 * sum(100 + i for i in range(12)))
    assert demand.gaps == 0


def test_counts_of_several_models_at_one_time_add_up(tmp_path):
    rows = [(START + timedelta(hours=h), m, 5, 1000, 100) for h in range(30) for m in ("a", "b")]
    header = ("hour", "model", "requests", "input_tokens", "output_tokens")
    demand = read_demand(write_csv(tmp_path / "c.csv", header, rows), window_s=7200)
    assert demand.requests == (10.0, *(20.0,) * 14, 10.0)
    assert demand.starts[0] == START - timedelta(hours=1)  # windows lie on the clock's hours
    assert demand.covered_s == (3600.0, *(7200.0,) * 14, 3600.0)


def test_windows_at_the_ends_are_covered_in_part(tmp_path):
    demand = read_demand(azure(tmp_path))
    last = 289 * 37 - 7200 + 0.123456
    assert demand.covered_s == pytest.approx((3600 - 0.123456, 3600, last))
    rates = demand.rates_per_s(demand.requests)
    assert all(rate == pytest.approx(1 / 37, rel=0.02) for rate in rates)
    assert demand.coverage_share == pytest.approx((289 * 37) / 10800)
    fine = read_demand(azure(tmp_path), window_s=60)
    assert total(fine.prompt_tokens) == total(demand.prompt_tokens)


def test_a_last_request_on_the_hour_opens_a_window_of_its_own(tmp_path):
    rows = [(START + timedelta(minutes=20 * i), 5, 5) for i in range(7)]
    header = ("time", "prompt_tokens", "output_tokens")
    demand = read_demand(write_csv(tmp_path / "l.csv", header, rows))
    assert demand.requests == (3.0, 3.0, 1.0)
    assert demand.covered_s == (3600.0, 3600.0, 0.0)
    assert demand.last == START + timedelta(hours=2)
    alone = read_demand(write_csv(tmp_path / "one.csv", header, rows[:1]))
    assert (alone.requests, alone.covered_s) == ((1.0,), (0.0,))
    assert alone.rates_per_s(alone.requests) == (None,)


def demand_of(requests, covered_s, window_s=3600.0, first=START):
    starts = tuple(first + timedelta(seconds=window_s * i) for i in range(len(requests)))
    return Demand(
        source="made up", format="", window_s=window_s, starts=starts, requests=tuple(requests),
        prompt_tokens=tuple(requests), output_tokens=tuple(requests),
        cached_prompt_tokens=tuple(requests), covered_s=tuple(covered_s), first=first,
        last=starts[-1],
    )  # fmt: skip


def test_a_sliver_of_a_window_has_no_rate_unless_it_is_all_there_is():
    demand = demand_of([1.0, 360.0, None], [10.0, 3600.0, 0.0])
    assert demand.rates_per_s(demand.requests) == (None, 0.1, None)
    alone = demand_of([100.0], [1000.0])
    assert alone.rates_per_s(alone.requests) == (0.1,)
    instant = demand_of([1.0], [0.0])
    assert instant.rates_per_s(instant.requests) == (None,)


def test_hours_of_the_week_follow_the_zone_and_its_summer_time():
    monday = datetime(2024, 3, 25, tzinfo=UTC)  # summer time begins on the Sunday after
    values = [float(i % 24) for i in range(24 * 14)]
    demand = demand_of(values, [3600.0] * len(values), first=monday)
    utc = demand.by_hour_of_week(demand.requests)
    assert utc[5] == pytest.approx(5 / 3600)
    berlin = demand.by_hour_of_week(demand.requests, zone="Europe/Berlin")
    # Monday 9:00 in Berlin was 8:00 UTC in the first week and 7:00 in the second.
    assert berlin[9] == pytest.approx((8 + 7) / 2 / 3600)


def test_a_hole_in_a_busy_log_is_a_gap_and_a_quiet_night_is_not(tmp_path):
    def day(d, hours):
        return [(START.replace(hour=0) + timedelta(days=d, hours=h, minutes=m), 10, 10)
                for h in hours for m in range(0, 60, 4)]  # fmt: skip

    rows = [row for d in range(5) for row in day(d, range(8, 20))]
    lost = [row for row in rows if not (row[0].day == 8 and 10 <= row[0].hour < 13)]
    demand = read_demand(
        write_csv(tmp_path / "l.csv", ("time", "prompt_tokens", "output_tokens"), lost)
    )
    missing = [start for start, n in zip(demand.starts, demand.requests, strict=True) if n is None]
    assert [(start.day, start.hour) for start in missing] == [(8, 10), (8, 11), (8, 12)]
    night = [n for start, n in zip(demand.starts, demand.requests, strict=True) if start.hour < 8]
    assert set(night) == {0.0}


def test_the_silence_of_a_service_seldom_used_is_no_gap():
    rng = random.Random(5)
    counts = [1 if rng.random() < 0.2 else 0 for _ in range(336)]
    assert len(collection_gaps(counts, window_s=3600)) < 20


def test_weekends_that_are_always_empty_are_zero_and_a_lost_week_is_not():
    week = [0 if day > 4 else 50 for day in range(7) for _ in range(24)]
    assert collection_gaps(week * 2, window_s=3600) == frozenset()
    lost = week + [0] * 168 + week
    found = collection_gaps(lost, window_s=3600)
    assert found == frozenset(i for i in range(168, 336) if week[i - 168])


@given(st.lists(st.integers(0, 5), max_size=200), st.sampled_from([60.0, 3600.0, 86400.0]))
def test_only_empty_windows_are_gaps(counts, window_s):
    assert all(counts[i] == 0 for i in collection_gaps(counts, window_s=window_s))


def test_no_whole_number_lies_so_near_an_edge_that_engines_could_differ():
    for edge in range(24 * CELLS_PER_OCTAVE):
        exact = 2 ** (edge / CELLS_PER_OCTAVE)
        for tokens in (math.floor(exact), math.ceil(exact)):
            off = abs(math.log2(tokens) * CELLS_PER_OCTAVE - edge) if tokens else 1
            assert off < NUDGE / 100 or off > NUDGE * 2


def test_lengths_are_in_quarter_octaves_with_exact_means(tmp_path):
    demand = read_demand(azure(tmp_path))
    prompts = sum(cell.requests * cell.prompt_tokens for cell in demand.lengths)
    assert prompts == pytest.approx(sum(p for _, p, _ in REQUESTS))
    low = min(p for _, p, _ in REQUESTS)
    assert demand.lengths[0].prompt_tokens / low < 2 ** (1 / CELLS_PER_OCTAVE)


def test_a_broken_year_does_not_make_a_million_windows(tmp_path):
    rows = [(START, 1, 1), (START + timedelta(days=10_000), 1, 1)]
    path = write_csv(tmp_path / "l.csv", ("time", "prompt_tokens", "output_tokens"), rows)
    with pytest.raises(UsageError, match="spans 14,400,001 windows"):
        read_demand(path, window_s=60)


def test_one_window_alone_must_say_when_it_ends(tmp_path):
    path = write_csv(tmp_path / "r.csv", RATES[:4], [(0, 1, 2, 3)])
    with pytest.raises(UsageError, match="one window only"):
        read_demand(path)
