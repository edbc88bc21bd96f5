"""The published traces are read as their authors describe them, with only the path given."""

from __future__ import annotations

import csv
from collections import Counter
from pathlib import Path

import pytest

from costaudit.traffic import prefix
from costaudit.traffic.demand import total
from costaudit.traffic.open_log import open_log
from costaudit.traffic.read import read_demand
from costaudit.traffic.sample import read_traffic

pytestmark = pytest.mark.slow  # all of it together

TRACES = Path(__file__).resolve().parents[2] / "bench" / "data" / "traces"


def read(name, **options):
    return read_demand(str(TRACES / name), **options)


def test_azure_code_of_2023():
    demand = read("AzureLLMInferenceTrace_code.csv", window_s=60)
    assert demand.format == "Azure LLM inference trace"
    assert total(demand.requests) == 8819
    assert round(total(demand.prompt_tokens) / 8819) == 2048
    assert round(total(demand.output_tokens) / 8819) == 28
    assert demand.days * 86400 == pytest.approx(3436, abs=1)
    assert f"{demand.first:%Y-%m-%d %H:%M:%S.%f}" == "2023-11-16 18:17:03.979960"
    with (TRACES / "AzureLLMInferenceTrace_code.csv").open(newline="") as file:
        minutes = Counter(row["TIMESTAMP"][:16] for row in csv.DictReader(file))
    assert list(demand.requests) == [
        float(minutes[f"{start:%Y-%m-%d %H:%M}"]) or None for start in demand.starts
    ]
    assert demand.rejected == ()


def test_mooncake_synthetic():
    demand = read("mooncake_synthetic_trace.jsonl.gz")
    assert demand.format == "Mooncake trace"
    assert total(demand.requests) == 3993
    assert round(total(demand.prompt_tokens) / 3993) == 15325
    assert round(total(demand.output_tokens) / 3993) == 149
    assert demand.days * 86400 == pytest.approx(1022, abs=1)
    assert demand.prefix_share == pytest.approx(0.651, abs=0.002)
    assert demand.prefix_shares[-1].share == pytest.approx(demand.prefix_share)


def test_mooncake_hits_at_the_size_of_a_real_cache():
    with open_log(str(TRACES / "mooncake_synthetic_trace.jsonl.gz"), None, None) as log:
        assert prefix.block_tokens(log.head, log.layout) == 512
        prompts = prefix.stretch(log.rows, log.engine, size=512)
    shares = [
        prefix.hit_share(prompts, size=512, cache_tokens=512.0 * blocks)
        for blocks in (10_000, 2_000)
    ]
    assert shares == pytest.approx([0.431, 0.147], abs=0.015)  # counted in blocks there


@pytest.mark.parametrize(
    ("name", "days", "gaps", "means"),
    [
        ("servegen_m-mid_10min.csv", 14, 84, (1790, 328, 52)),
        ("servegen_deepseek-r1_10min.csv", 1, 0, (16, 1268, 1527)),
        ("servegen_m-large_10min_week1.csv", 7, 0, None),
    ],
)
def test_servegen_rates(name, days, gaps, means):
    demand = read(name, window_s=600)
    assert demand.format == "windowed rates"
    assert demand.days == days
    assert demand.gaps == gaps
    requests, prompts = total(demand.requests), total(demand.prompt_tokens)
    if means:
        outputs = total(demand.output_tokens)
        rps = requests / (days * 86400)
        assert (round(rps), round(prompts / requests), round(outputs / requests)) == means
    hourly = read(name)
    assert len(hourly.starts) == 24 * days
    assert total(hourly.prompt_tokens) == pytest.approx(prompts, rel=1e-12)


def test_a_replay_of_azure_is_like_the_whole():
    path = str(TRACES / "AzureLLMInferenceTrace_code.csv")
    traffic = read_traffic(path, limit=1000)
    assert len(traffic.requests) == 1000
    assert traffic.prompt_tokens / 1000 == pytest.approx(2048, rel=0.1)
    assert 1000 / (traffic.window_s or 0) == pytest.approx(2.57, rel=0.35)
