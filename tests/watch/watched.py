"""Pages of a made-up vLLM, one a second, for tests of what is watched."""

from __future__ import annotations

from costaudit.diagnosis.diagnosis import Price
from costaudit.facts.metric_map import metric_names
from costaudit.facts.quantities import Page
from costaudit.record.meters.metric_sums import summed
from costaudit.record.meters.prometheus_text import Series
from costaudit.record.passive.subject import Subject
from costaudit.watch.watcher import Watcher

SUBJECT = Subject(engine="vllm", source=None, version="0.32.0", model="tiny")
NAMES = metric_names("vllm-v1", "vllm-v0")


def page(t_s, *, tokens, running=8.0, waiting=0.0, kv=0.5, preemptions=0.0, requests=None):
    """A page at `t_s` with totals as given."""
    done = tokens / 100 if requests is None else requests
    values = {
        "vllm:num_requests_running": running,
        "vllm:num_requests_waiting": waiting,
        "vllm:kv_cache_usage_perc": kv,
        "vllm:num_preemptions_total": preemptions,
        "vllm:generation_tokens_total": tokens,
        "vllm:prompt_tokens_total": tokens,
        "vllm:request_success_total": done,
        "vllm:iteration_tokens_total_sum": 2 * tokens,
        "vllm:iteration_tokens_total_count": tokens / 8,
        "vllm:inter_token_latency_seconds_sum": running * t_s,
        "vllm:inter_token_latency_seconds_count": max(0.0, tokens - done),
        "vllm:request_prefill_time_seconds_sum": done * 0.05,
        "vllm:request_prefill_time_seconds_count": done,
    }
    series = [Series(name=name, labels={}, value=value) for name, value in values.items()]
    return Page(t_s=t_s, quantities=summed(series, NAMES, {}, detailed=True))


class Clock:
    """Unix seconds that a test moves."""

    def __init__(self):
        self.now_s = 1_800_000_000.0

    def __call__(self):
        return self.now_s


PRICE = Price(usd_per_device_h=3.6, devices=2)


def watching(price=PRICE):
    clock = Clock()
    return Watcher(SUBJECT, "http://host:8000", price, now_s=clock), clock


def play(watcher, clock, seconds, rate, *, tokens=0.0, **page_of):
    """So many seconds at so many tokens a second; the last frame and the tokens so far."""
    frame = None
    for _ in range(seconds):
        clock.now_s += 1
        tokens += rate
        frame = watcher.read(page(clock.now_s, tokens=tokens, **page_of))
    return frame, tokens
