"""What a side's recordings say together, and when they may be compared at all."""

from __future__ import annotations

import json
import math
import random

import pytest
from made_up_sides import COUNTERS, ENVIRONMENT, observed

from costaudit.contrast.change import high, low
from costaudit.contrast.comparable import differences, software_changes
from costaudit.contrast.observation import WINDOW, Unit
from costaudit.contrast.sides import CONTENTION, RUN_SPREAD, SAME_PACE, TIMINGS, change_between
from costaudit.contrast.split import split
from costaudit.contrast.stored import baseline_text, is_baseline, read_baseline
from costaudit.ground.errors import UsageError

PRIMARY = "usd_per_1m_tokens"


@pytest.mark.parametrize("metric", [m for m in TIMINGS if "p99" not in m and "p50" not in m[:8]])
def test_a_true_change_is_read_off_every_timing(metric):
    change = change_between([observed(1.0)], [observed(1.1)], metric)
    if metric in ("ttft_p95_s", "itl_p50_s"):
        assert change is None  # this recording has none
    else:
        assert change.share == pytest.approx(0.1)


def test_one_recording_each_carries_the_assumed_spread():
    change = change_between([observed()], [observed()], PRIMARY)
    assert change.error == pytest.approx(RUN_SPREAD["thread_time"] * math.sqrt(2))
    assert math.isinf(change.freedom)
    assert "assumed" in change.origin
    noisy = change_between([observed(within_share=0.1)], [observed()], PRIMARY)
    assert noisy.error > change.error


def test_several_recordings_teach_the_spread_between_runs():
    rng = random.Random(1)
    base = [observed(math.exp(rng.gauss(0, 0.1))) for _ in range(6)]
    new = [observed(math.exp(rng.gauss(0, 0.1))) for _ in range(6)]
    change = change_between(base, new, PRIMARY)
    assert change.freedom == 10
    assert change.error == pytest.approx(0.1 * math.sqrt(2 / 6), rel=0.5)
    alike = change_between([observed()] * 3, [observed()] * 3, PRIMARY)
    assert alike.error == pytest.approx(RUN_SPREAD["thread_time"] / 2 * math.sqrt(2 / 3))
    assert "days" in alike.origin


def test_a_disturbed_build_may_look_slow_and_a_disturbed_baseline_may_hide_it():
    shaken = observed(contention_share=1.0)
    new = change_between([observed()], [shaken], PRIMARY)
    old = change_between([shaken], [observed()], PRIMARY)
    assert (new.shown, new.hidden) == (pytest.approx(math.log1p(CONTENTION)), 0.0)
    assert (old.shown, old.hidden) == (0.0, pytest.approx(math.log1p(CONTENTION)))
    assert low(new) < low(old)
    assert high(old) > high(new)


def test_a_slower_machine_may_make_a_build_look_slow_or_hide_that_it_is():
    calm, slow = observed(pace_s=0.010), observed(1.3, pace_s=0.013)
    lost = math.log(1.3) - SAME_PACE
    new = change_between([calm], [slow], PRIMARY)
    old = change_between([slow], [calm], PRIMARY)
    assert (new.shown, new.hidden) == (pytest.approx(lost), 0.0)
    assert (old.shown, old.hidden) == (0.0, pytest.approx(lost))
    assert low(new) < 0 < high(old)  # equal builds: neither an alarm nor a gain
    alike = change_between([slow], [observed(1.3, pace_s=0.0131)], PRIMARY)
    assert (alike.shown, alike.hidden) == (0.0, 0.0)
    unknown = change_between([observed()], [slow], PRIMARY)
    assert unknown.shown == 0.0


def test_only_units_that_both_ran_are_compared():
    longer = dict(observed(2.0).units) | {"replay-9/y": Unit(requests=1, tokens=10, device_s=99.0)}
    change = change_between([observed()], [observed(units=longer)], PRIMARY)
    assert change.share == pytest.approx(1.0)
    other = {WINDOW: Unit(requests=1, tokens=10, device_s=1.0)}
    assert change_between([observed()], [observed(units=other)], PRIMARY) is None
    assert "other requests" in differences([observed()], [observed(units=other)])[0]


@pytest.mark.parametrize("name", ENVIRONMENT)
def test_another_environment_is_named(name):
    other = observed(environment=ENVIRONMENT | {name: "else"})
    (told,) = differences([observed()], [other])
    assert "else" in told
    assert differences([observed()], [observed()]) == ()


def test_other_clocks_of_a_gpu():
    slow, fast = observed(sm_clock_hz=1.2e9), observed(sm_clock_hz=1.8e9)
    assert "1800 MHz before, 1200 MHz now" in differences([fast], [slow])[0]
    assert differences([fast], [observed(sm_clock_hz=1.78e9)]) == ()
    assert "clock" in differences([fast], [observed(clock="wall", sm_clock_hz=1.8e9)])[0]


def test_software_may_change_and_is_told():
    newer = observed(software={"torch": "2.7", "knob batching": "continuous"})
    assert software_changes([observed()], [newer]) == (
        "knob batching: none before, continuous now",
        "torch: 2.6 before, 2.7 now",
    )


def test_the_split_multiplies_to_the_whole():
    units = {k: Unit(requests=4, tokens=2000, device_s=2.2) for k in observed().units}
    found = split([observed()], [observed(units=units, usd_per_device_h=3.0)])
    assert (found.price, found.efficiency, found.volume) == pytest.approx((1.5, 1.1, 2.0))
    assert found.whole == pytest.approx(3.3)
    unknown = split([observed()], [observed(usd_per_device_h=None)])
    assert unknown.price is None
    assert unknown.whole == pytest.approx(1.0)


def test_a_baseline_is_read_back_as_it_was(tmp_path):
    path = tmp_path / "baseline.json"
    sides = (observed(), observed(1.1, pace_s=0.01, sm_clock_hz=1e9, usd_per_device_h=None))
    path.write_text(baseline_text(sides), encoding="utf-8")
    assert is_baseline(path)
    assert read_baseline(path) == sides
    path.write_text(spoil(units={"a": UNIT}), encoding="utf-8")  # as older ones were written
    assert read_baseline(path)[0].units["a"].pace_s is None


def spoil(**changes):
    document = json.loads(baseline_text([observed()]))
    document["observations"][0] |= changes
    return json.dumps(document)


UNIT = {"requests": 1, "tokens": 1, "device_s": 1.0, "prefill_s": None, "decode_s": None}
BAD = {
    "no json": ("{", "not valid JSON"),
    "a list": ("[]", "no baseline"),
    "other schema": ('{"schema": "x"}', "no baseline"),
    "empty": ('{"schema": "costaudit.baseline/1", "observations": []}', "no observation"),
    "no fields": ('{"schema": "costaudit.baseline/1", "observations": [{}]}', "fields"),
    "a clock": (spoil(clock="sundial"), "is no clock"),
    "no units": (spoil(units={}), "no units"),
    "an odd unit": (spoil(units={"a": {}}), "fields of a unit"),
    "no pace": (spoil(units={"a": UNIT | {"pace_s": 0}}), "no time at all"),
    "no work": (spoil(units={"a": UNIT | {"device_s": 0}}), "no work"),
    "negative": (spoil(counters={"x": -1}), "outside"),
    "not a number": (spoil(counters={"x": float("nan")}), "outside"),
    "text": (spoil(within_share="much"), "is no number"),
    "no table": (spoil(environment=3), "is no table"),
    "no text": (spoil(name=3), "is no text"),
}


@pytest.mark.parametrize(("text", "message"), BAD.values(), ids=BAD.keys())
def test_a_spoilt_baseline_is_refused(tmp_path, text, message):
    path = tmp_path / "b.json"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(UsageError, match=message):
        read_baseline(path)


def test_a_missing_or_huge_baseline(tmp_path):
    assert not is_baseline(tmp_path / "none")
    with pytest.raises(UsageError, match="cannot read"):
        read_baseline(tmp_path / "none")
    huge = tmp_path / "huge"
    with huge.open("wb") as file:
        file.truncate((8 << 20) + 1)
    with pytest.raises(UsageError, match="larger"):
        read_baseline(huge)


def test_counters_of_the_made_up_side_are_known_ones():
    from costaudit.contrast.counters import COUNTERS as KNOWN

    assert set(COUNTERS) <= set(KNOWN)
