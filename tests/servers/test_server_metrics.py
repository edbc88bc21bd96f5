"""Scrapes of real pages → canonical quantities → what they say of a span."""

from __future__ import annotations

import json
from pathlib import Path

import dialect_server as fake
import pytest
from answering import Answers, serving
from hypothesis import given, settings
from hypothesis import strategies as st

from costaudit.facts.metric_map import metric_names
from costaudit.facts.server_defaults import server_defaults
from costaudit.measure.server import Own, server_span
from costaudit.record.meters import prometheus_text
from costaudit.record.meters.json_loads import loads, slots
from costaudit.record.meters.metric_sums import summed
from costaudit.record.meters.prometheus_text import family, read_exposition
from costaudit.record.meters.server_metrics import ServerMetrics, open_server_metrics
from costaudit.record.servers.found import MetricsSource
from costaudit.recording.rows import Gauge, Instrument, State

CAPTURES = Path(__file__).parent / "captures"
VLLM = ("vllm-v1", "vllm-v0")
GIB = 1 << 30


def quantities(name, *servers, labels=None, version=""):
    page = read_exposition((CAPTURES / name).read_text())
    return summed(page.series, metric_names(*servers, version=version), labels or {})


def gauges(*pages, step_s=1.0):
    """Recorded scrapes, one a second, of (quantities by name)."""
    rows = []
    for number, page in enumerate(pages):
        t_s = number * step_s
        rows += [Gauge(t_s=t_s, meter="server", name="scrape", value=0.01, unit="s")]
        rows += [
            Gauge(t_s=t_s, meter="server", name=name, value=one.value, unit=one.unit)
            for name, one in page.items()
        ]
    return rows


def span_of(*names, own=None, servers=VLLM):
    rows = gauges(*(quantities(name, *servers) for name in names))
    return server_span(rows, from_s=0.0, to_s=len(names) - 1.0, own=own)


def test_a_preemption_storm_is_read_off_its_counters():
    found = span_of(
        "vllm/small_cache_preempt_before.prom",
        *(f"vllm/small_cache_preempt_under_load_00{i}.prom" for i in (1, 3, 6, 8)),
        "vllm/small_cache_preempt_after.prom",
        own=Own(requests=64, prompt_tokens=6452, output_tokens=19200),
    )
    assert found.preemptions == 96
    assert (found.prompt_tokens, found.generated_tokens) == (6452, 19200)
    assert found.foreign == {"prompt_tokens": 0, "generated_tokens": 0, "requests": 0}
    assert found.kv_usage_peak_share == 1.0
    assert found.waiting_by_reason.keys() == {"capacity"}
    assert found.decode_batch == pytest.approx(19200 / 2792)
    assert found.tokens_per_decode_step == pytest.approx(1.0)  # ITL count = tokens − requests
    assert found.latencies.queue_s == pytest.approx(132.2 / 64, rel=0.01)
    assert found.latencies.ttft_s == pytest.approx(136.6 / 64, rel=0.01)


def test_prefix_hits_are_a_share_and_a_cache_that_is_off_is_unknown():
    on = span_of("vllm/prefix_on_before.prom", "vllm/prefix_on_after.prom")
    assert on.prefix_hit_share == pytest.approx(8832 / 10663)
    off = span_of("vllm/prefix_off_before.prom", "vllm/prefix_off_after.prom")
    assert off.prefix_hit_share is None
    assert "off" in off.why["prefix_hit_share"]


def test_speculation_shows_in_tokens_per_step():
    zero = {
        name: type(one)(value=0.0, unit=one.unit, total=True)
        for name, one in quantities("vllm/spec_ngram_after.prom", *VLLM).items()
        if one.total
    }
    after = quantities("vllm/spec_ngram_after.prom", *VLLM)
    found = server_span(gauges(zero, after), from_s=0.0, to_s=1.0)
    assert found.tokens_per_decode_step > 1.5
    assert 0 < found.draft_accept_share <= 1


def test_a_restart_makes_a_span_worthless():
    found = span_of("vllm/prefix_on_after.prom", "vllm/prefix_on_before.prom")
    assert found.restarted
    assert found.prompt_tokens is None
    assert "went down" in found.why[""]


def test_a_span_without_two_scrapes_is_unknown():
    assert server_span([], from_s=0.0, to_s=5.0).why[""]
    one = gauges(quantities("vllm/prefix_on_before.prom", *VLLM))
    assert server_span(one, from_s=0.0, to_s=5.0).prompt_tokens is None


def test_engines_of_one_server_add_up():
    found = quantities("vllm/dp2_after.prom", *VLLM)
    assert found["requests.running"].value == 0
    page = read_exposition((CAPTURES / "vllm/dp2_after.prom").read_text())
    each = [s.value for s in page.series if s.name == "vllm:generation_tokens_total"]
    assert len(each) == 2
    assert found["tokens.generation_total"].value == sum(each)


def test_created_times_are_no_values_and_iteration_tokens_is_a_histogram():
    found = quantities("vllm/metrics_after.prom", *VLLM)
    assert max(one.value for one in found.values()) < 1e9
    assert "batch.iteration_tokens.count" in found
    assert "batch.iteration_tokens" not in found
    assert found["latency.ttft.count"].total


def test_triton_s_models_are_kept_apart_and_in_seconds():
    stream = quantities("triton/metrics_after.prom", "triton", labels={"model": "tiny_stream"})
    batch = quantities("triton/metrics_after.prom", "triton", labels={"model": "tiny_batch"})
    assert (stream["requests.completed_total"].value, batch["batch.items_total"].value) == (35, 67)
    assert batch["latency.queue_sum"].value == pytest.approx(6.817888)
    assert batch["cpu.mem_total"].value > 0  # of the machine, without that label


def test_llama_cpp_s_slots():
    found = slots(json.loads((CAPTURES / "llama-server/slots_busy.json").read_text()))
    assert found["kv.tokens_total"].value == 2048
    assert 0 < found["kv.usage_fraction"].value < 1
    assert found["requests.running"].value == 1
    assert found["kv.tokens_used"].value == 203  # its prompt and what it generated


def test_sglang_s_loads_and_ranks():
    body = {"loads": [{"num_running_reqs": 2, "token_usage": 0.5}, {"num_running_reqs": 3}]}
    assert loads(body)["requests.running"].value == 5
    text = 'sglang:num_running_reqs{tp_rank="0"} 3\nsglang:num_running_reqs{tp_rank="1"} 3\n'
    page = read_exposition(text)
    found = summed(page.series, metric_names("sglang"), {})
    assert found["requests.running"].value == 3  # ranks repeat the engine's number


def test_a_reason_is_a_quantity_of_its_own_and_a_source_another():
    text = (
        'vllm:num_requests_waiting_by_reason{reason="capacity"} 4\n'
        'vllm:num_requests_waiting_by_reason{reason="deferred"} 1\n'
        'vllm:prompt_tokens_by_source_total{source="local_compute"} 10\n'
        'vllm:prompt_tokens_by_source_total{source="local_cache_hit"} 90\n'
    )
    found = summed(read_exposition(text).series, metric_names(*VLLM), {})
    assert found["requests.waiting_by_reason.capacity"].value == 4
    assert found["tokens.prompt_computed_total"].value == 10


def test_ray_s_names_are_vllm_s():
    text = 'ray_vllm_time_to_first_token_seconds_sum{ReplicaId="a"} 3\nray_vllm:prompt_tokens 5\n'
    found = summed(read_exposition(text).series, metric_names("vllm-v1", "ray-serve-llm"), {})
    assert found["latency.ttft.sum"].value == 3
    assert found["tokens.prompt_total"].value == 5


def test_trtllm_serve_s_names_with_and_without_prefix():
    for prefix in ("", "trtllm_"):
        page = read_exposition(f"{prefix}time_to_first_token_seconds_count 3\n")
        found = summed(page.series, metric_names("trtllm-serve"), {})
        assert found["latency.ttft.count"].value == 3


def test_an_old_name_changed_its_unit():
    name = "vllm:gpu_prefix_cache_queries"
    assert metric_names("vllm-v1", version="0.8.5")[name][0].unit == "blocks"
    assert metric_names("vllm-v1", version="0.9.0")[name][0].unit == "tokens"


def test_every_row_of_the_map_is_readable():
    servers = ("vllm-v1", "vllm-v0", "sglang", "tgi", "triton", "triton-trtllm", "trtllm-serve",
               "llamacpp", "lmdeploy", "dynamo", "nim", "ray-serve-llm", "litellm")  # fmt: skip
    for server in servers:
        names = [one for some in metric_names(server).values() for one in some]
        assert names
        for one in names:
            assert one.canonical
            assert one.unit not in {"ms", "us", "ns", "GB", "percent"}


def test_damaged_lines_cost_themselves_alone():
    page = read_exposition(
        'a 1\nb{x="y} 2\n} nonsense\nc 3\nd_created 1.7e9\ne NaN\n# TYPE f gauge\n'
    )
    assert [(one.name, one.value) for one in page.series] == [("a", 1.0), ("c", 3.0)]
    assert page.malformed == 2


@settings(deadline=None, max_examples=60)  # a busy machine is no failure
@given(st.text(max_size=300))
def test_no_page_makes_the_parser_raise(text):
    page = read_exposition(text)
    assert page.malformed + len(page.series) <= len(text.splitlines()) + 1


@settings(deadline=None, max_examples=60)  # a busy machine is no failure
@given(st.dictionaries(st.text(max_size=5), st.recursive(st.none() | st.floats() | st.integers(),
       lambda inner: st.lists(inner, max_size=3)), max_size=4))  # fmt: skip
def test_no_json_makes_the_loads_raise(body):
    for one in (body, [body], {"loads": [body]}):
        loads(one)
        slots(one)


def test_names_of_a_family():
    assert family("x_seconds_bucket") == family("x_seconds_sum") == "x_seconds"


def source(url, **more):
    return MetricsSource(url=f"{url}/metrics", servers=VLLM, **more)


def test_the_meter_reads_once_a_second_and_repeats_no_total():
    with serving(fake.vllm()) as (url, seen, _):
        meter = ServerMetrics(source(url))
        first = meter.sample(0.0)
        assert meter.sample(0.5) == ()
        second = meter.sample(1.0)
    assert seen == ["GET /metrics"] * 2
    totals = {row.name for row in first if row.name.endswith(("_total", ".sum", ".count"))}
    assert totals
    assert not totals & {row.name for row in second}
    assert {"requests.running", "kv.usage_fraction", "scrape"} <= {row.name for row in second}
    assert meter.last("requests.waiting") == 0
    assert meter.last("nothing") is None


def test_what_was_there_before_the_recording_is_in_its_first_scrape():
    with serving(fake.vllm()) as (url, _, _):
        meter = open_server_metrics(source(url))
        assert meter.last("tokens.prompt_total") is not None
        rows = meter.sample(0.3)
    assert "tokens.prompt_total" in {row.name for row in rows}


def test_the_meter_says_what_became_of_it():
    assert open_server_metrics(None).state is State.ABSENT
    with serving(Answers()) as (url, _, _):
        gone = open_server_metrics(source(url))
    assert isinstance(gone, Instrument)
    assert gone.state is State.ABSENT
    assert "404" in gone.why
    with serving(fake.vllm(), key="k") as (url, _, _):
        assert open_server_metrics(source(url)).state is State.REFUSED
    with serving(Answers().get_text("/metrics", "x 1\n")) as (url, _, _):
        assert "nothing that costaudit knows" in open_server_metrics(source(url)).why
    with serving(fake.vllm()) as (url, _, _):
        meter = open_server_metrics(source(url))
    for second in range(1, 7):
        meter.sample(float(second))
    assert meter.instruments()[0].state is State.LOST


def test_defaults_hang_on_version_and_gpu():
    def default(knob, **on):
        return next(one for one in server_defaults("vllm", **on) if one.knob == knob).value

    h100, a100 = (
        {"gpu": "H100", "gpu_memory_bytes": 80 * GIB},
        {"gpu": "A100", "gpu_memory_bytes": 80 * GIB},
    )
    assert default("max_num_seqs", version="0.12.0", **h100) == 1024
    assert default("max_num_seqs", version="0.12.0", **a100) == 256
    assert default("max_num_seqs", version="0.12.0", gpu_memory_bytes=24 * GIB) == 256
    assert default("max_num_seqs", version="0.12.0") is None
    assert default("gpu_memory_utilization", version="0.19.0") == 0.9
    assert default("gpu_memory_utilization", version="0.20.0") == 0.92
    assert default("enable_prefix_caching", version="0.7.3") is False
    b200 = {"gpu": "B200", "gpu_memory_bytes": 180 * GIB}
    assert default("max_num_batched_tokens", version="0.24.0", **b200) == 8192
    assert default("max_num_batched_tokens", version="0.32.0", **b200) == 16384


def test_a_page_read_again_is_read_anew(monkeypatch):
    """Labels are remembered, numbers never; nor a line with a time, nor a damaged one."""
    first = (CAPTURES / "vllm/dp2_after.prom").read_text()
    odd = 'a{b="c d 1"} 1\na{b="x"} NaN\nb 3 1700000000\nb{broken 4\n'
    for text in (first + odd, first.replace(" 1.0\n", " 7.5\n") + odd.replace("3 17", "5 17")):
        again = read_exposition(text)
        monkeypatch.setattr(prometheus_text, "_known", {})
        assert read_exposition(text) == again
        assert again.malformed == 1
        read_exposition(first + odd)
    assert [one.value for one in again.series if one.name == "b"] == [5.0]
