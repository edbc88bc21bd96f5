"""Every claim has cases as data: one that holds, one that does not, one that cannot be told."""

from __future__ import annotations

import datetime as dt
import sys
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import pytest
from hypothesis import given
from hypothesis import strategies as st
from playbook_situation import scenario, situation

from costaudit.folklore.claim import Figure, Found, Known, Verdict, verdict_of, why_not_told
from costaudit.folklore.load import _look, load_claims
from costaudit.folklore.whatifs import odds, step_saving, times
from costaudit.ground.errors import InconclusiveError
from costaudit.ground.stats import Interval
from costaudit.ground.toml import read_toml
from costaudit.plan.plan import Verdict as Planned
from costaudit.plan.saving import widened
from costaudit.playbook.load import load
from costaudit.playbook.step import Edge

HERE = Path(__file__).parent
CLAIMS = {claim.id.replace("-", "_"): claim for claim in load_claims()}
STEPS = tuple(entry.step for entry in load())
TODAY = dt.date(2026, 11, 21)
CASES = [
    pytest.param(stem, case, id=f"{stem}: {case['name']}")
    for stem in CLAIMS
    for case in read_toml(HERE / f"{stem}.toml")["case"]
]
OWN_KEYS = ("expect", "says", "device_name", "plan", "kv_bytes_per_token")


def known(case):
    """The situation of a case; `plan` gives savings by step, reasons of others, and the order."""
    seen = situation({key: value for key, value in case.items() if key not in OWN_KEYS})
    metrics = seen.metrics
    metrics = replace(
        metrics,
        device=replace(metrics.device, name=case.get("device_name", "no such device")),
        kv=replace(metrics.kv, bytes_per_token=case.get("kv_bytes_per_token")),
    )
    plan = case.get("plan", {})
    saved, why = plan.get("saved", {}), plan.get("why", {})
    steps = [
        SimpleNamespace(
            id=step.id,
            verdict=Planned(plan.get("verdict", "does-not-apply")),
            standalone=saving(saved.get(step.id)),
            why_not=why.get(step.id, ""),
        )
        for step in STEPS
    ]
    return Known(
        situation=replace(seen, metrics=metrics),
        plan=SimpleNamespace(steps=steps, best=SimpleNamespace(ids=tuple(plan.get("best", ())))),
        steps=STEPS,
        today=TODAY,
    )


def saving(ends):
    return ends and SimpleNamespace(share=Interval(low=ends[0], high=ends[1]))


@pytest.mark.parametrize(("stem", "case"), CASES)
def test_the_claim_is_judged_as_the_case_expects(stem, case):
    finding = _look(CLAIMS[stem], known(case))
    said = why_not_told(finding)
    if isinstance(finding, Found):
        said = " ".join([said, finding.note, *(figure.what for figure in finding.figures)])
        assert finding.figures
        assert all(figure.where for figure in finding.figures)
        assert all(figure.value.low <= figure.value.high for figure in finding.figures)
    assert verdict_of(finding) == case["expect"].replace(" ", "-"), finding
    assert case.get("says", "") in said


@pytest.mark.parametrize("stem", CLAIMS)
def test_each_claim_has_cases_of_all_three_kinds(stem):
    expected = {case["expect"] for case in read_toml(HERE / f"{stem}.toml")["case"]}
    assert expected == {"holds", "does not hold", "cannot tell"}


def test_each_case_file_has_its_claim():
    assert {path.stem for path in HERE.glob("*.toml")} == set(CLAIMS)
    assert len(CLAIMS) == 11


def test_each_claim_says_where_it_is_from_and_how_it_is_tried():
    for claim in CLAIMS.values():
        doc = " ".join(sys.modules[claim.look.__module__].__doc__.split())
        assert " Said " in doc
        assert any(word in doc for word in ("Tried on", "Tried by", "figure is"))


ends = st.lists(st.floats(0, 1), min_size=4, max_size=4).map(sorted)


@given(ends)
def test_a_figure_inside_holds_apart_does_not_and_across_cannot_be_told(four):
    a, b, c, d = four

    def verdict(value, claimed):
        return Figure(
            what="", value=Interval(low=value[0], high=value[1]),
            claimed=Interval(low=claimed[0], high=claimed[1]), unit="share", where="",
        ).verdict  # fmt: skip

    assert verdict((b, c), (a, d)) is Verdict.HOLDS
    if b < c:
        assert verdict((a, b), (c, d)) is verdict((c, d), (a, b)) is Verdict.DOES_NOT_HOLD
    if a < b and c < d:
        assert verdict((a, c), (b, d)) is Verdict.CANNOT_TELL


@pytest.mark.parametrize("share", [-0.5, 0.0, 0.25, 0.9])
def test_shares_as_times_and_odds(share):
    saved = Interval(low=share, high=share)
    assert times(saved).low == pytest.approx(1 / (1 - share))
    assert odds(saved).high == pytest.approx(share / (1 - share))


def test_a_model_too_poor_to_bound_a_ratio_says_so():
    share = widened(0.2, 0.5, error_share=2.5)
    assert share.high == 1
    for ratio in (odds, times):
        with pytest.raises(InconclusiveError, match="too uncertain"):
            ratio(share)


def test_a_step_that_does_not_apply_is_priced_by_its_change():
    """Prices of its two ends, on a bill where the step takes so much off every second."""
    case = {"name": "routing", "plan": {}}
    found = step_saving(known(case), "smaller-model-routing")
    step = next(s for s in STEPS if s.id == "smaller-model-routing")
    start = scenario()
    kept = [
        step.change(start, edge).step_time.coefficients["weights"]
        / start.step_time.coefficients["weights"]
        for edge in Edge
    ]
    assert found.low == pytest.approx(1 - kept[0], abs=0.01)
    assert found.high == pytest.approx(1 - kept[1], abs=0.03)
