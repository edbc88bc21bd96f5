"""A real vLLM, a real Prometheus that scrapes it and our own exporter: past and live agree."""

from __future__ import annotations

import json
import threading
import time
import urllib.parse
from contextlib import contextmanager

import pytest
from parts.running import free_port

from costaudit.diagnosis.diagnosis import Price
from costaudit.diagnosis.run import Asked, diagnose_live, diagnose_saved, endpoint_at
from costaudit.diagnosis.run_past import PastAsked, diagnose_past
from costaudit.measure.phase_seconds import phase_seconds
from costaudit.record.servers.fetch import fetch
from costaudit.record.servers.found import Given
from costaudit.watch.run import watch

pytestmark = pytest.mark.servers
SECONDS = 16
STREAMS = 48  # of a server that takes 32 at once
USD = 2.0
# Prompts come in waves, a batch of 32 at once every few seconds: of two windows of 12 s that do not
# begin with the same scrape, one may hold a wave more.
NEAR = {
    "generated_tokens_per_s": 0.25,
    "prompt_tokens_per_s": 0.6,
    "usd_per_1m_tokens": 0.4,
    "itl_s": 0.25,
}


@contextmanager
def load(server, streams):
    """So many streams ask, one request after the other, until the context ends."""
    stop, url = threading.Event(), f"{server.base_url}/v1/completions"
    body = {"model": server.model, "prompt": "a b c d " * 12, "max_tokens": 64, "ignore_eos": True}

    def ask():
        while not stop.is_set():
            assert fetch(url, headers={}, post=body, timeout_s=60).ok

    threads = [threading.Thread(target=ask, daemon=True) for _ in range(streams)]
    for thread in threads:
        thread.start()
    try:
        yield
    finally:
        stop.set()
        for thread in threads:
            thread.join(timeout=60)


def both(server, prometheus):
    """The live look, and the past of the same seconds."""
    price, target = Price(usd_per_device_h=USD), server.base_url.partition("//")[2]
    live = diagnose_live(Asked(url=server.base_url, seconds=SECONDS), price)
    return live, diagnose_past(
        PastAsked(
            url=prometheus.base_url,
            window=f"{SECONDS - 4}s",
            selector=f'instance="{target}"',
            usd_per_device_h=USD,
        )
    )


def ids(diagnosis):
    return [one.id for one in diagnosis.findings]


@pytest.fixture(scope="module")
def seen(vllm_server, session_server, tmp_path_factory):
    """Both diagnoses of the same seconds, and where Prometheus and the watch's recording are."""
    port, record = free_port(), tmp_path_factory.mktemp("watch") / "watch.costaudit"
    target = vllm_server.base_url.partition("//")[2]
    prometheus = session_server("prometheus", targets=(target, f"127.0.0.1:{port}"))
    watching = threading.Thread(
        target=watch,
        args=(endpoint_at(vllm_server.base_url, verify_tls=True),),
        kwargs={
            "model": None,
            "given": Given(),
            "price": Price(usd_per_device_h=USD),
            "export": f"127.0.0.1:{port}",
            "record": record,
            "for_s": SECONDS,
        },
        daemon=True,
    )
    with load(vllm_server, STREAMS):
        time.sleep(3)
        watching.start()
        time.sleep(1)
        live, fleet = both(vllm_server, prometheus)
        watching.join(timeout=60)  # all that it saw was under the load
        at_s = time.time()
    return live, fleet, prometheus, record, at_s


def test_the_past_gives_the_same_findings_as_the_live_look(seen, record_property):
    live, fleet, *_ = seen
    (member,) = fleet.members
    past = member.diagnosis
    record_property("live", ids(live))
    record_property("past", ids(past))
    assert past.state == live.state
    assert ids(past) == ids(live)
    assert [one.id for one in past.possible] == [one.id for one in live.possible]
    assert live.findings  # the server takes 32 of 48 streams: something must show


def test_the_past_has_the_same_figures(seen):
    live, fleet, *_ = seen
    past = fleet.members[0].diagnosis
    assert (past.window.engine, past.window.model) == ("vllm", "tiny")
    for name, rel in NEAR.items():
        assert getattr(past.facts, name) == pytest.approx(getattr(live.facts, name), rel=rel), name
    assert past.facts.kv_usage.mean == pytest.approx(live.facts.kv_usage.mean, abs=0.1)
    assert past.window.knob("kv_blocks_total") == live.window.knob("kv_blocks_total")


def test_prompts_cost_more_than_by_request_seconds(seen, record_property):
    """Requests that decode together share each second; OpenCost's division counts it for each."""
    live, *_ = seen
    phases = phase_seconds(live.window)
    bounds = phases.prefill_bounds_s
    record_property("prefill share by device seconds", bounds.low / phases.busy_s)
    record_property("… at most", bounds.high / phases.busy_s)
    record_property("prefill share by request-seconds", phases.by_requests_share)
    assert phases.by_requests_share < bounds.high / phases.busy_s
    assert 0 < phases.prefill_s < phases.busy_s


def asked(prometheus, path, **form):
    url = f"{prometheus.base_url}/api/v1/{path}?{urllib.parse.urlencode(form)}"
    reply = fetch(url, headers={}, timeout_s=30)
    assert reply.ok, reply.body
    return reply.json()["data"]


def queries(dashboard):
    """Every expression of a dashboard, with its variables as Grafana would fill them in."""
    for panel in dashboard["panels"]:
        for target in panel["targets"]:
            yield target["expr"].replace("$instance", ".*").replace("$__rate_interval", "1m")
    for annotation in dashboard["annotations"]["list"]:
        yield annotation["expr"].replace("$instance", ".*")


def test_the_dashboard_s_queries_load(seen, checkout):
    _, _, prometheus, _, at_s = seen
    dashboard = json.loads((checkout / "docs/watch/dashboard.json").read_text())
    filled = 0
    for query in queries(dashboard):
        form = {"query": query, "start": at_s - 60, "end": at_s + 10, "step": 5}
        filled += bool(asked(prometheus, "query_range", **form)["result"])
    assert filled >= 12  # all but what needs an hour, a drift or slots that nobody told
    every = asked(prometheus, "label/__name__/values", **{"match[]": '{__name__=~"costaudit_.+"}'})
    shown = json.dumps(dashboard)
    assert [name for name in every if name not in shown] == [
        "costaudit_requests_per_second",
        "costaudit_scrape_failures_total",
        "costaudit_scrapes_total",
        "costaudit_target_info",
    ]


def test_the_watch_keeps_a_recording_that_can_be_diagnosed(seen):
    live, _, _, record, _ = seen
    again = diagnose_saved([record], seconds=None, given=Given())
    assert SECONDS * 0.7 <= again.window.scrapes <= SECONDS + 1  # one a second at most
    assert ids(again) == ids(live)
    assert again.window.native("tokens.generation_total") == "vllm:generation_tokens_total"
