"""Every kind of log tells the same three hours, with only its path given."""

from __future__ import annotations

import json
from datetime import timedelta

import pytest
from logs import (
    KINDS,
    OUTPUT_TOKENS,
    PROMPT_TOKENS,
    RELATIVE,
    REQUESTS,
    START,
    chat_responses,
    litellm,
    parquet,
    write,
    write_csv,
    write_lines,
)

from costaudit.ground.errors import UsageError
from costaudit.traffic.demand import total
from costaudit.traffic.read import read_demand
from costaudit.traffic.recognise import known_formats
from costaudit.traffic.sample import read_traffic


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.__name__)
def test_only_the_path_is_needed(kind, tmp_path):
    demand = read_demand(kind(tmp_path))
    assert total(demand.requests) == len(REQUESTS)
    assert total(demand.prompt_tokens) == PROMPT_TOKENS
    assert total(demand.output_tokens) == OUTPUT_TOKENS
    assert demand.rejected == ()
    assert demand.relative_time == (kind in RELATIVE)
    assert demand.days == pytest.approx(289 * 37 / 86400, rel=1e-4)
    if kind not in RELATIVE:
        assert demand.starts == (START, START + timedelta(hours=1), START + timedelta(hours=2))
        assert demand.requests == (98.0, 97.0, 95.0)
    weights = [cell.requests for cell in demand.lengths]
    assert sum(weights) == len(REQUESTS)
    assert sum(c.requests * c.prompt_tokens for c in demand.lengths) == pytest.approx(PROMPT_TOKENS)


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.__name__)
def test_requests_can_be_replayed(kind, tmp_path):
    traffic = read_traffic(kind(tmp_path))
    assert traffic.prompt_tokens == PROMPT_TOKENS
    assert traffic.output_tokens == OUTPUT_TOKENS
    arrivals = [request.arrival_s for request in traffic.requests]
    assert arrivals[0] == 0.0
    assert arrivals == sorted(arrivals)
    assert arrivals[-1] == pytest.approx(289 * 37, abs=1)


def test_every_format_says_where_it_is_described():
    names = [form.name for form in known_formats()]
    assert len(names) == len(set(names)) >= 9
    assert all(form.source for form in known_formats())


def test_logged_cache_hits_are_the_cached_tokens(tmp_path):
    demand = read_demand(chat_responses(tmp_path))
    assert total(demand.cached_prompt_tokens) == 16 * len(REQUESTS)
    assert demand.prefix_share == pytest.approx(16 * len(REQUESTS) / PROMPT_TOKENS)


def test_openai_usage_page_has_true_zeros(tmp_path):
    def bucket(hour, results):
        begin = int(START.timestamp()) + 3600 * hour
        return {
            "object": "bucket",
            "start_time": begin,
            "end_time": begin + 3600,
            "results": results,
        }

    used = {"input_tokens": 1000, "output_tokens": 500, "input_cached_tokens": 800,
            "num_model_requests": 5, "model": None}  # fmt: skip
    page = {"object": "page", "data": [bucket(0, [used]), bucket(1, []), bucket(2, [used, used])]}
    demand = read_demand(write(tmp_path / "usage.json", json.dumps(page)))
    assert demand.format == "OpenAI usage export"
    assert demand.requests == (5.0, 0.0, 10.0)
    assert demand.prompt_tokens == (1000.0, 0.0, 2000.0)
    assert demand.cached_prompt_tokens == (800.0, None, 1600.0)
    assert demand.coverage_share == 1.0
    daily = read_demand(str(tmp_path / "usage.json"), window_s=86400)
    assert daily.requests == (15.0,)
    assert daily.covered_s == (3 * 3600.0,)
    assert daily.rates_per_s(daily.requests) == (15 / (3 * 3600),)


def test_openai_buckets_a_line_and_as_csv(tmp_path):
    begin = int(START.timestamp())
    rows = [{"start_time": begin + 86400 * day, "end_time": begin + 86400 * (day + 1),
             "input_tokens": 10 + day, "output_tokens": 5, "num_model_requests": 2}
            for day in range(3)]  # fmt: skip
    lines = write_lines(tmp_path / "usage.jsonl", [{**row, "results": [row]} for row in rows])
    table = write_csv(tmp_path / "usage.csv", list(rows[0]), [list(row.values()) for row in rows])
    for source in (lines, table):
        demand = read_demand(source)
        assert demand.window_s == 86400  # finer windows than the log's own cannot be had
        assert demand.prompt_tokens == (10.0, 11.0, 12.0)
        assert demand.requests == (2.0, 2.0, 2.0)


def test_proxy_cache_hits_are_no_demand(tmp_path):
    path = litellm(tmp_path)
    text = (
        (tmp_path / "spend.jsonl")
        .read_text()
        .replace('"cache_hit": "False"', '"cache_hit": "True"', 3)
    )
    write(tmp_path / "spend.jsonl", text)
    demand = read_demand(path)
    assert [(r.reason, r.rows) for r in demand.rejected] == [
        ("answered from the proxy's own cache", 3)
    ]
    assert total(demand.requests) == len(REQUESTS) - 3


def test_bench_result_without_start_times_is_one_window(tmp_path):
    result = {"date": "20240506-120000", "duration": 600.0, "completed": 50,
              "total_input_tokens": 5000, "total_output_tokens": 700}  # fmt: skip
    demand = read_demand(write(tmp_path / "bench.json", json.dumps(result)))
    assert demand.requests == (50.0,)
    assert demand.rates_per_s(demand.prompt_tokens) == (5000 / 600,)


def test_vllm_server_log(tmp_path):
    line = ("INFO 05-06 {} [loggers.py:118] Engine {:03d}: Avg prompt throughput: {} tokens/s, Avg "
            "generation throughput: 50.0 tokens/s, Running: 3 reqs, Waiting: 0 reqs\n")  # fmt: skip
    text = "INFO 05-06 09:00:00 [api_server.py:1] vLLM API server version 0.11\n" * 30
    text += line.format("09:00:10", 0, "100.0") + line.format("09:00:11", 1, "20.0")
    text += 'INFO:     127.0.0.1:1 - "POST /v1/completions HTTP/1.1" 200 OK\n'
    text += line.format("09:01:10", 0, "40.0")
    demand = read_demand(write(tmp_path / "vllm.log", text), window_s=60)
    assert demand.prompt_tokens == (1200.0, 400.0)
    assert demand.requests == (None, None)
    assert demand.gaps == 0  # an idle server is silent


def test_anthropic_usage_counts_cached_input_beside(tmp_path):
    rows = [{"timestamp": str(t), "input_tokens": 10, "cache_read_input_tokens": p - 10,
             "cache_creation_input_tokens": 0, "output_tokens": o}
            for t, p, o in REQUESTS]  # fmt: skip
    demand = read_demand(write_lines(tmp_path / "usage.jsonl", rows))
    assert total(demand.prompt_tokens) == PROMPT_TOKENS
    assert total(demand.cached_prompt_tokens) == PROMPT_TOKENS - 10 * len(REQUESTS)


def test_map_names_any_column(tmp_path):
    rows = [(t.isoformat(), p, o, 7) for t, p, o in REQUESTS]
    path = write_csv(tmp_path / "own.csv", ("wann", "rein", "raus", "input_tokens"), rows)
    demand = read_demand(
        path, mapping={"time": "wann", "prompt_tokens": "rein", "output_tokens": "raus"}
    )
    assert (total(demand.prompt_tokens), total(demand.output_tokens)) == (
        PROMPT_TOKENS,
        OUTPUT_TOKENS,
    )


def test_a_glob_is_one_log(tmp_path):
    for part in range(3):
        rows = [(t.isoformat(), p, o) for t, p, o in REQUESTS[part::3]]
        write_csv(tmp_path / f"part{part}.csv", ("time", "prompt_tokens", "output_tokens"), rows)
    (tmp_path / "part9.csv").write_text("")
    assert total(read_demand(str(tmp_path / "part*.csv")).prompt_tokens) == PROMPT_TOKENS


def test_a_table_of_a_database_is_reduced_where_it_lies(tmp_path):
    import duckdb

    database = tmp_path / "logs.duckdb"
    with duckdb.connect(str(database)) as con:
        con.execute("create schema llm")
        con.execute(f"create table llm.log as from read_parquet('{parquet(tmp_path)}')")
    demand = read_demand("llm.log", backend=f"duckdb://{database}")
    assert total(demand.prompt_tokens) == PROMPT_TOKENS
    with pytest.raises(UsageError) as caught:
        read_demand("llm.logs", backend=f"duckdb://{database}")
    assert caught.value.hint == "did you mean 'log'?"
