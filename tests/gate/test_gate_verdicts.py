"""Passed, broken, inconclusive."""

from __future__ import annotations

import json
import math
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from costaudit.gate.budget import Limit, Severity
from costaudit.gate.decision import Decision, as_json
from costaudit.gate.verdict import SHORT_NAMES, Result, judge
from costaudit.gate.words import gate_text
from costaudit.ground.errors import UsageError

SAMPLE = Path(__file__).parents[1] / "report" / "sample_audit.json"


def sample():
    return json.loads(SAMPLE.read_text(encoding="utf-8"))


def limit(metric, *, low=-math.inf, high=math.inf, severity=Severity.ERROR):
    return Limit(
        metric=metric, low=low, high=high, severity=severity, owner="team", reason="we said so"
    )


def verdict(metric, document=None, **bounds):
    return judge(document or sample(), [limit(metric, **bounds)])[0]


# the sample says 0.6617 dollars per 1M tokens, between 0.6419 and 0.6882
@pytest.mark.parametrize(
    ("high", "result"),
    [
        (0.7, "passed"),
        (0.6882, "passed"),
        (0.66, "inconclusive"),
        (0.67, "inconclusive"),
        (0.64, "broken"),
        (0.1, "broken"),
    ],
)
def test_a_budget_is_broken_only_by_the_whole_interval(high, result):
    found = verdict("usd_per_1m_tokens", high=high)
    assert found.result == result
    assert bool(found.why) == (result == "inconclusive")


@pytest.mark.parametrize(("low", "result"), [(0.1, "passed"), (0.19, "passed"), (0.2, "broken")])
def test_a_least_value(low, result):
    assert verdict("decode_mbu", low=low).result == result


def test_a_null_is_inconclusive_for_its_own_reason():
    found = verdict("itl_p99_s", high=0.05)
    assert found.result is Result.INCONCLUSIVE
    assert "662" in found.why


def test_a_stale_price_decides_nothing_about_dollars_and_nothing_else():
    document = sample()
    document["pricing"]["prices"][0]["stale"] = True
    found = verdict("usd_per_1m_tokens", document, high=0.1)
    assert found.result is Result.INCONCLUSIVE
    assert "stale" in found.why
    assert verdict("kv_waste_share", document, high=0.1).result is Result.BROKEN


def test_dotted_paths_by_place_and_by_id():
    assert verdict("bill.slices.padding.share", high=0.5).result is Result.PASSED
    assert verdict("bill.slices.5.share", high=0.1).result is Result.BROKEN


@pytest.mark.parametrize(
    ("metric", "hint"),
    [
        ("usd_per_1m_token", "did you mean 'usd_per_1m_tokens'?"),
        ("phases.decode.mbuu", "did you mean 'phases.decode.mbu'?"),
        ("a.b.c.d.e.f", "known: "),
        ("target.model", "known: "),
        ("bill", "known: "),
    ],
)
def test_an_unknown_metric_names_the_closest(metric, hint):
    with pytest.raises(UsageError) as caught:
        verdict(metric, high=1.0)
    assert caught.value.hint.startswith(hint)


def test_every_short_name_is_in_the_document():
    for name in SHORT_NAMES:
        assert verdict(name, high=1e30).path == SHORT_NAMES[name]


def test_warnings_never_change_the_verdict_on_the_build():
    warn = limit("decode_mbu", low=0.9, severity=Severity.WARN)
    fine = limit("kv_waste_share", high=0.5)
    undecided = limit("itl_p99_s", high=0.1)
    broken = limit("decode_mbu", low=0.9)
    document = sample()
    for lines, result in (
        ([warn, fine], Result.PASSED),
        ([warn, fine, undecided], Result.INCONCLUSIVE),
        ([undecided, broken, fine], Result.BROKEN),
    ):
        assert decided(judge(document, lines)).result is result


def decided(verdicts, *, warn=False):
    return Decision(budget="budget.toml", verdicts=tuple(verdicts), warn=warn)


@pytest.mark.parametrize(("high", "code"), [(0.7, 0), (0.1, 1), (0.66, 3)])
def test_exit_codes(high, code):
    verdicts = judge(sample(), [limit("usd_per_1m_tokens", high=high)])
    assert decided(verdicts).exit_code == code
    assert decided(verdicts, warn=True).exit_code == (0 if code == 3 else code)


@given(
    st.floats(0.01, 10),
    st.floats(0, 0.5),
    st.floats(0, 0.5),
    st.floats(0.001, 20),
)
def test_the_verdict_follows_the_interval(value, down, up, most):
    document = sample()
    low, high = value * (1 - down), value * (1 + up)
    document["bill"] |= {
        "usd_per_1m_tokens": value,
        "usd_per_1m_tokens_interval": {"low": low, "high": high},
    }
    result = verdict("usd_per_1m_tokens", document, high=most).result
    assert (result is Result.PASSED) == (high <= most)
    assert (result is Result.BROKEN) == (low > most)


def test_words_and_json_tell_the_same():
    verdicts = judge(
        sample(),
        [
            limit("usd_per_1m_tokens", high=0.66),
            limit("decode_mbu", low=0.9, severity=Severity.WARN),
            limit("kv_waste_share", low=0.0, high=0.5),
            limit("itl_p99_s", high=0.1),
        ],
    )
    text = gate_text(decided(verdicts))
    assert "INCONCLUSIVE" in text
    assert "BROKEN (warning only)" in text
    assert "allowed 0 to 0.5" in text
    assert "is unknown" in text
    assert "ask team" in text
    assert text.endswith("gate: inconclusive (1 passed, 1 broken, 2 inconclusive)\n")
    machine = json.loads(json.dumps(as_json(decided(verdicts)), allow_nan=False))
    assert machine["result"] == "inconclusive"
    assert [v["result"] for v in machine["verdicts"]] == [str(v.result) for v in verdicts]
    assert machine["verdicts"][0]["min"] is None
