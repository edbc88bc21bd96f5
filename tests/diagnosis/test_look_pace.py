"""How often a look asks a server for its page."""

from __future__ import annotations

from itertools import pairwise
from types import SimpleNamespace

import pytest

from costaudit.record.passive import live
from costaudit.record.passive.live import FEWEST_GAPS, GAP_S, SERVER_SHARE, Attached, Pace, pages


class Clock:
    def __init__(self):
        self.now = 100.0

    def monotonic(self):
        return self.now

    def sleep(self, seconds):
        self.now += seconds


class Slow(Attached):
    """Answers after `took_s`, and notes when it was asked."""

    def read(self, until_s=None):
        self.pace.wait(until_s)
        self.devices.append(live.time.monotonic())
        live.time.sleep(self.source)
        self.pace.cost(self.source)
        return SimpleNamespace(), ""


@pytest.fixture
def clock(monkeypatch):
    clock = Clock()
    monkeypatch.setattr(live, "time", clock)
    return clock


def asked(clock, took_s, seconds):
    server = Slow(subject=None, source=took_s, pace=Pace(), devices=[])
    read = [*pages(server, clock.now + seconds)]
    times = [at - 100 for at in server.devices]
    assert len(read) == len(times)
    gaps = [b - a for a, b in pairwise(times)]
    return times, gaps


def test_a_cheap_page_is_read_each_second(clock):
    times, gaps = asked(clock, 0.004, 30)
    assert gaps == pytest.approx([GAP_S] * len(gaps))
    assert times[-1] > 30 - 2 * GAP_S


def test_a_dear_page_is_read_as_seldom_as_its_share_allows(clock):
    times, gaps = asked(clock, 0.015, 30)
    assert gaps[:-1] == pytest.approx([0.015 / SERVER_SHARE] * (len(gaps) - 1))
    assert min(gaps) >= GAP_S
    assert 0.015 * len(times) / 30 < 1.3 * SERVER_SHARE


def test_the_last_page_is_of_the_end(clock):
    for took_s in (0.012, 0.02, 0.4):
        clock.now = 100.0
        times, _ = asked(clock, took_s, 30)
        assert 30 - GAP_S - took_s < times[-1] < 30


def test_a_window_has_some_pages_however_dear(clock):
    for seconds in (10, 30, 300):
        clock.now = 100.0
        times, gaps = asked(clock, 0.4, seconds)
        assert len(times) >= FEWEST_GAPS + (seconds >= 30)
        assert min(gaps) >= GAP_S


def test_without_an_end_the_pace_is_kept(clock):
    pace = Pace()
    pace.cost(0.4)  # a screen that is renewed each second asks so
    pace.wait()
    pace.wait()
    assert clock.now == pytest.approx(100 + GAP_S)
