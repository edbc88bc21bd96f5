"""Figures of the month and of the audit itself."""

from __future__ import annotations

import json

import pytest
from sides import TESTS, loaded

from costaudit.gate.budget import read_budget
from costaudit.gate.own_figures import OWN_NAMES, with_own_figures
from costaudit.gate.verdict import Result, judge
from costaudit.ground.errors import UsageError
from costaudit.recording.recording import Recording

synthetic = loaded(TESTS / "audit" / "synthetic_run.py")
SAMPLE = TESTS / "report" / "sample_audit.json"
LINES = "".join(f'[[budget]]\nmetric = "{name}"\nmax = 1e9\n' for name in OWN_NAMES)
DEMAND = "[demand]\nrequests_per_month = 2e6\n"


@pytest.fixture
def run(tmp_path):
    return synthetic.write_run(tmp_path / "run.costaudit")


def judged(run, text, **bill):
    path = run.with_name("budget.toml")
    path.write_text(text, encoding="utf-8")
    document, budget = json.loads(SAMPLE.read_text(encoding="utf-8")), read_budget(path)
    document["bill"] |= bill
    document["kv_cache"]["preemptions"] = 4
    whole = with_own_figures(document, budget, run)
    return document, {v.limit.metric: v for v in judge(whole, budget.limits)}


def test_dollars_by_the_month(run):
    document, found = judged(run, DEMAND + LINES)
    bill, requests = document["bill"], document["workload"]["requests"]
    tokens = (bill["prompt_tokens"] + bill["output_tokens"]) / requests
    month = found["usd_per_month"]
    assert month.value == pytest.approx(2e6 * tokens * bill["usd_per_1m_tokens"] / 1e6)
    per_1m = bill["usd_per_1m_tokens_interval"]
    assert month.interval.high / month.value == pytest.approx(
        per_1m["high"] / bill["usd_per_1m_tokens"]
    )
    assert found["preemptions_per_1k_requests"].value == 4000 / requests


def test_what_the_audit_itself_spent(run):
    document, found = judged(run, DEMAND + LINES)
    with Recording.read(run) as recording:
        clock_s = recording.meta()["clock_s"]
    spent_s = clock_s * document["device"]["count"]
    assert found["audit_gpu_s"].value == pytest.approx(spent_s)
    rate = document["bill"]["usd_per_gpu_h"]
    assert found["usd_of_audit"].value == pytest.approx(spent_s * rate / 3600)


def test_what_is_not_known_is_undecided_and_says_why(run):
    _, found = judged(run, LINES, usd_per_1m_tokens=1.0, usd_per_gpu_h=None)
    assert found["usd_per_month"].result is Result.INCONCLUSIVE
    assert "no demand" in found["usd_per_month"].why
    assert "--price" in found["usd_of_audit"].why
    _, found = judged(run, DEMAND + LINES, usd_per_1m_tokens=None)
    assert "--price" in found["usd_per_month"].why


def test_only_what_a_line_names_is_worked_out(run):
    text = '[[budget]]\nmetric = "decode_mbu"\nmin = 0.1\n'
    _, found = judged(run.with_name("none"), text)
    assert found["decode_mbu"].result is Result.PASSED
    with pytest.raises(UsageError, match="there is no recording"):
        judged(run.with_name("none"), LINES)
