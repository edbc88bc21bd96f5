"""A watch over made-up pages: windows, costs, drift, symptoms, restarts, silence."""

from __future__ import annotations

import math

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from watched import play, watching

from costaudit.watch.drift import DriftWatch
from costaudit.watch.screen import screen
from costaudit.watch.watcher import BLOCK_S


def test_the_cost_is_of_all_tokens_and_all_devices():
    frame, _ = play(*watching(), 40, 500.0)
    assert frame.device_s_per_1m == pytest.approx(2 * 1e6 / 1000)
    assert frame.usd_per_1m == pytest.approx(2 * 1e6 / 1000 * 3.6 / 3600)
    assert frame.diagnosis.window.seconds == 30
    assert sum(frame.slices.values()) == pytest.approx(1)


def test_without_tokens_there_is_no_cost_and_no_zero():
    frame, _ = play(*watching(None), 40, 0.0, running=0.0)
    assert frame.device_s_per_1m is None
    assert frame.usd_per_1m is None
    assert frame.slices == {"idle": 1.0}
    assert "no token" in "\n".join(text for text, _ in screen(frame))


def test_a_drift_is_marked_while_it_happens():
    watcher, clock = watching()
    _, tokens = play(watcher, clock, int(8 * BLOCK_S), 500.0)
    frame, tokens = play(watcher, clock, int(3 * BLOCK_S), 300.0, tokens=tokens, running=4.0)
    assert frame.drift.share == pytest.approx(500 / 300 - 1, rel=0.05)
    assert frame.drifts == {"up": 1, "down": 0}
    told = [event.text for event in frame.events if "cost per token" in event.text]
    assert told == ["cost per token +67 %: 4.0 requests in the batch, was 8.0"]
    assert clock.now_s - frame.drift.since_s <= 3 * BLOCK_S
    frame, _ = play(watcher, clock, int(8 * BLOCK_S), 300.0, tokens=tokens)
    assert frame.drifts == {"up": 1, "down": 0}  # the new level is the level


def test_a_symptom_is_told_once_when_it_stays_and_once_when_it_is_gone():
    watcher, clock = watching()
    _, tokens = play(watcher, clock, 10, 500.0, preemptions=0)
    lost = 0
    for _ in range(10):
        lost += 5
        frame, tokens = play(watcher, clock, 1, 500.0, tokens=tokens, preemptions=lost)
    frame, _ = play(watcher, clock, 60, 500.0, tokens=tokens, preemptions=lost)
    told = [event.text for event in frame.events]
    assert [text.partition(":")[0] for text in told] == ["kv-preemption", "kv-preemption is gone"]


def test_a_restart_and_a_silence_are_events_and_no_costs():
    watcher, clock = watching()
    play(watcher, clock, int(2 * BLOCK_S), 500.0)
    frame, _ = play(watcher, clock, int(2 * BLOCK_S), 500.0)  # counters begin anew
    assert any("restarted" in event.text for event in frame.events)
    for _ in range(3):
        frame = watcher.failed("nothing listens")
    assert (frame.lost, frame.failures) == ("nothing listens", 3)
    assert sum("no reading" in event.text for event in frame.events) == 1
    frame, _ = play(watcher, clock, 1, 500.0, tokens=1e6)
    assert frame.lost == ""
    assert "it answers again" in frame.events[-1].text


COSTS = st.lists(st.none() | st.floats(0.9, 1.1), min_size=1, max_size=80)


@settings(deadline=None)
@given(COSTS)
def test_a_spread_of_a_tenth_is_no_drift(costs):
    watch = DriftWatch()
    found = [watch.add(float(place), cost) for place, cost in enumerate(costs)]
    level = watch.level
    assert not any(drift for drift in found if drift and abs(drift.share) < 0.05)
    assert level is None or 0.9 <= level <= 1.1


@settings(deadline=None)
@given(st.floats(1.5, 20.0), st.integers(6, 30), st.booleans())
def test_a_step_is_found_in_two_blocks(factor, before, dearer):
    watch, step = DriftWatch(), factor if dearer else 1 / factor
    for place in range(before):
        assert watch.add(float(place), 1.0 + 0.01 * math.sin(place)) is None
    assert watch.add(100.0, step) is None
    drift = watch.add(101.0, step)
    assert drift is not None
    assert drift.since_s == 100.0
    assert drift.share == pytest.approx(step - 1, rel=0.05)


@settings(max_examples=40, deadline=None)
@given(st.integers(20, 200), st.integers(5, 70), st.booleans(), st.text(max_size=300))
def test_the_screen_has_its_lines_whatever_happens(width, height, lost, why):
    watcher, clock = watching()
    frame, _ = play(watcher, clock, 5, 500.0, waiting=3.0)
    if lost:
        frame = watcher.failed(why.replace("\n", " ") or "gone")
    lines = screen(frame, width=width, height=height)
    assert len(lines) == max(24, height)
    assert all(len(text) <= max(60, width) for text, _ in lines)
    labels = [text.split(" ")[0] for text, _ in lines]
    assert labels[3] == "Cost"
    assert labels[7] == "Batch"
    assert labels[20] == "Events"
