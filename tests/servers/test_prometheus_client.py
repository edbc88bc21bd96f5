"""Questions to a Prometheus: forms, refusals, answers that are none, and what may not be said."""

from __future__ import annotations

import json
from urllib.parse import parse_qs

import pytest
from answering import Answers, serving
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from costaudit.ground.errors import CostauditError, TargetError, UsageError
from costaudit.record.history.asks import Ask, Span, Stat, questions
from costaudit.record.history.headers import headers_from_environment
from costaudit.record.history.prometheus import _rows, open_prometheus
from costaudit.record.history.selector import matchers_of, seconds_of

VECTOR = {"resultType": "vector", "result": [{"metric": {"pod": "a"}, "value": [1.5, "2.5"]}]}


def answering(status, value):
    body = value if isinstance(value, bytes) else json.dumps(value).encode()
    answers = Answers()
    answers["POST", "/api/v1/query"] = (status, {"content-type": "application/json"}, body)
    return serving(answers)


def test_a_question_goes_as_a_form_and_comes_back_as_rows():
    with answering(200, {"status": "success", "data": VECTOR}) as (url, seen, bodies):
        rows = open_prometheus(url + "/graph", {}).instant("up", at_s=12.0)
    assert [(row.labels, row.value) for row in rows] == [({"pod": "a"}, 2.5)]
    form = parse_qs(bodies[0].decode())
    assert (form["query"], form["time"]) == (["up"], ["12.000"])
    assert seen == ["POST /api/v1/query"]


@pytest.mark.parametrize(
    ("status", "value", "says", "hint"),
    [
        (401, {"error": "who?"}, "refuses us", "COSTAUDIT_PROMETHEUS_TOKEN"),
        (400, {"status": "error", "error": "1:6: parse\nerror"}, "1:6: parse error", ""),
        (422, {"status": "error", "error": "too many samples"}, "too many samples", "--window"),
        (503, b"overloaded", "gives up", "--selector"),
        (404, b"<html>", "has no query API", "http://prometheus:9090"),
        (200, b"[]", "has no query API", "http://prometheus:9090"),
        (200, {"status": "success", "data": {"resultType": "scalar"}}, "no vector", ""),
    ],
)
def test_refusals_say_what_to_do(status, value, says, hint):
    with answering(status, value) as (url, _, _), pytest.raises(TargetError) as caught:
        open_prometheus(url, {"Authorization": "Bearer s3cret"}).instant("up", at_s=0)
    assert says in caught.value.message
    assert hint in caught.value.hint
    assert "s3cret" not in caught.value.message + caught.value.hint
    assert "\n" not in caught.value.message


def test_a_whole_answer_is_bounded(monkeypatch):
    monkeypatch.setattr("costaudit.record.history.prometheus.MAX_BYTES", 1000)
    with answering(200, b" " * 500_000) as (url, _, _), pytest.raises(TargetError, match="longer"):
        open_prometheus(url, {}).instant("up", at_s=0)


LEAF = st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8)
JSON = st.recursive(LEAF, lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner))


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(JSON, st.lists(st.fixed_dictionaries({}, optional={"metric": JSON, "value": JSON})))
def test_no_answer_is_believed_unchecked(anything, series):
    for data in (anything, {"resultType": "vector", "result": series}):
        try:
            rows = _rows(data, "vector")
        except CostauditError:
            continue
        assert all(row.value == row.value and abs(row.value) < float("inf") for row in rows)


def test_secrets_come_from_the_environment_and_stay_there(monkeypatch):
    monkeypatch.setenv("COSTAUDIT_PROMETHEUS_HEADERS", "X-Scope-OrgID: team\n\nX-Key: k: 1\n")
    monkeypatch.setenv("COSTAUDIT_PROMETHEUS_TOKEN", "s3cret")
    found = headers_from_environment()
    assert found == {"X-Scope-OrgID": "team", "X-Key": "k: 1", "Authorization": "Bearer s3cret"}
    assert "s3cret" not in repr(open_prometheus("http://prometheus:9090", found))
    monkeypatch.setenv("COSTAUDIT_PROMETHEUS_HEADERS", "no header s3cret")
    with pytest.raises(UsageError) as caught:
        headers_from_environment()
    assert "s3cret" not in caught.value.message + caught.value.hint


def test_addresses_as_people_paste_them():
    assert open_prometheus("prometheus:9090/", {}).url == "http://prometheus:9090"
    assert open_prometheus("https://mimir/prometheus/api/v1", {}).url == "https://mimir/prometheus"
    for bad in ("ftp://x", "http://", "http://user:secret@host", "http://h:port"):
        with pytest.raises(UsageError) as caught:
            open_prometheus(bad, {})
        assert "secret" not in caught.value.hint


@pytest.mark.parametrize(
    ("text", "seconds"), [("6h", 21600), ("1d12h", 129600), ("90", 90), (" 10S ", 10)]
)
def test_windows(text, seconds):
    assert seconds_of(text) == seconds


@pytest.mark.parametrize("text", ["", "6", "9s", "1y", "6h!", "-6h", "1e9", "999d"])
def test_what_is_no_window(text):
    with pytest.raises(UsageError):
        seconds_of(text)


def test_selectors_as_people_write_them():
    assert matchers_of(None) == ""
    assert matchers_of("namespace=prod,job!=x") == 'namespace="prod", job!="x"'
    assert matchers_of('{a="1", b=~"x\\"y.*",}') == 'a="1", b=~"x\\"y.*"'


@settings(deadline=None)
@given(st.text(alphabet='ab=~!",{}\\ ()[]\n_1', max_size=30))
def test_a_selector_can_hold_matchers_only(text):
    """Whatever comes out reads as itself, so it cannot close the braces it stands in."""
    try:
        found = matchers_of(text)
    except UsageError:
        return
    assert matchers_of(found) == found


def test_questions_are_few_and_each_aggregates():
    asks = [Ask(name=f"vllm:m{n}_total", stat=Stat.GROWN) for n in range(25)]
    texts = list(questions(asks, Span(seconds=3600, matchers='namespace="x"'), ("engine",)))
    assert len(texts) == 3
    for text in texts:
        parts = text.split("\nor ")
        assert len(parts) <= 10
        assert all("sum by (" in part and 'namespace="x"' in part for part in parts)
