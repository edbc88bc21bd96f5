"""DCGM by a real HTTP page: both generations of names, and whose time a value stands for."""

from __future__ import annotations

import math
import sys
import time
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

sys.path.insert(0, str(Path(__file__).parents[1] / "fakes"))
from dcgm_exporter import MINE, NEW, OLD, OTHER, page, serving

from costaudit.record.meters import dcgm, exporter_page
from costaudit.record.meters.dcgm import DcgmMeter
from costaudit.record.meters.sampler import Sampler
from costaudit.recording.rows import Gauge, State


def values(meter: DcgmMeter) -> dict[str, float]:
    return {gauge.name: gauge.value for gauge in meter.sample(0.25)}


@pytest.mark.parametrize("names", [OLD, NEW], ids=["old names", "new names"])
def test_both_generations_of_names_tell_the_same(names: dict[str, str]) -> None:
    with serving(page(0.625, names=names)) as exporter:
        meter = DcgmMeter(MINE, exporter.url)
        assert meter.state.state is State.OK
        assert meter.state.tier == "T1'"
        assert meter.sample(0.25) == [
            Gauge(t_s=0.25, meter="dcgm", name="dram_active_share", value=0.625, unit="share"),
            Gauge(t_s=0.25, meter="dcgm", name="tensor_active_share", value=0.125, unit="share"),
        ]
        assert meter.instruments() == [meter.state]
        meter.close()


def test_the_gpu_is_found_by_its_uuid() -> None:
    with serving(page(0.625)) as exporter:
        assert values(DcgmMeter(OTHER, exporter.url))["dram_active_share"] == 0.0
        absent = DcgmMeter("GPU-89ab", exporter.url).state
        assert absent.state is State.ABSENT
        assert "not GPU-89ab" in absent.why
        assert "UUID" in DcgmMeter(None, exporter.url).state.why


@pytest.mark.parametrize(
    ("text", "state", "reason"),
    [
        ("", State.ABSENT, "no DRAM_ACTIVE"),
        ("DCGM_FI_DEV_GPU_TEMP 40\n", State.ABSENT, "SYS_ADMIN"),
        (page("140737488355328"), State.REFUSED, "blank"),
        (page("+Inf"), State.REFUSED, "blank"),
        (page(0.5, labels='",GPU_I_ID="1'), State.ABSENT, "MIG"),
        ('DCGM_FI_PROF_DRAM_ACTIVE{gpu="0 0.5\n', State.ABSENT, "no DRAM_ACTIVE"),
        ("DCGM_FI_PROF_DRAM_ACTIVE\n", State.ABSENT, "no DRAM_ACTIVE"),
        ("<html>login</html>", State.ABSENT, "no DRAM_ACTIVE"),
    ],
    ids=["empty", "unlisted", "blank", "infinite", "mig", "torn", "no value", "another page"],
)
def test_a_page_without_the_value_is_a_state_with_its_reason(
    text: str, state: State, reason: str
) -> None:
    with serving(text) as exporter:
        meter = DcgmMeter(MINE, exporter.url)
        assert (meter.state.state, meter.sample(0.0)) == (state, [])
        assert reason in meter.state.why
        assert meter.between(0.0, 9.0).why == meter.state.why


@pytest.mark.parametrize(
    ("status", "state"),
    [(401, State.REFUSED), (403, State.REFUSED), (404, State.ABSENT), (500, State.ABSENT)],
)
def test_an_http_error_is_a_state(status: int, state: State) -> None:
    with serving(page(0.5)) as exporter:
        exporter.status = status
        told = DcgmMeter(MINE, exporter.url).state
        assert told.state is state
        assert str(status) in told.why


def test_nobody_there_and_no_address_are_states() -> None:
    with serving(page(0.5)) as exporter:
        url = exporter.url
    assert "refused" in DcgmMeter(MINE, url).state.why
    for bad in ("ftp://a/metrics", "localhost:9400", "http://[", "http://a:99999/"):
        told = DcgmMeter(MINE, bad).state
        assert told.state is State.ABSENT
        assert "no http or https URL" in told.why
    assert DcgmMeter(MINE, None).state.state is State.OFF


def test_a_page_that_never_ends_is_left_in_time() -> None:
    with serving(page(0.5) * 50) as exporter:
        exporter.drip_s = 0.1  # each byte in time, the whole never
        address = exporter_page.page_address(exporter.url)
        began_s = time.perf_counter()
        with pytest.raises(exporter_page.PageError, match=r"did not answer within 0\.3 s"):
            exporter_page.fetch(address, timeout_s=0.3)
        assert time.perf_counter() - began_s < 1.0


def test_a_page_without_bounds_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(exporter_page, "MOST_BYTES", 1000)
    with serving(page(0.5) * 10) as exporter:
        assert "longer than 1000 bytes" in DcgmMeter(MINE, exporter.url).state.why


def test_no_redirect_is_followed_and_no_proxy_used(monkeypatch: pytest.MonkeyPatch) -> None:
    with serving(page(0.5)) as elsewhere, serving("") as exporter:
        monkeypatch.setenv("http_proxy", elsewhere.url)
        exporter.status, exporter.headers = 302, {"Location": elsewhere.url}
        assert "HTTP 302" in DcgmMeter(MINE, exporter.url).state.why
        assert elsewhere.asked == []
        assert len(exporter.asked) == 1


def test_a_password_in_the_address_is_sent_and_never_told() -> None:
    with serving(page(0.5)) as exporter:
        url = exporter.url.replace("http://", "http://me:s%40cret@") + "?token=hush"
        meter = DcgmMeter(MINE, url)
        assert exporter.asked == [("/metrics?token=hush", "Basic bWU6c0BjcmV0")]
        exporter.status = 500
        for _ in range(3):
            meter.sample(0.0)
        told = f"{meter.state} {DcgmMeter(MINE, url).state}"
        assert meter.state.state is State.LOST
        assert not any(secret in told for secret in ("s%40cret", "s@cret", "hush", "me:"))


def test_an_exporter_may_be_late_once_and_is_lost_after_three_times() -> None:
    with serving(page(0.5)) as exporter:
        meter = DcgmMeter(MINE, exporter.url)
        for fails in (2, 2, 3):
            exporter.status = 500
            for _ in range(fails):
                assert meter.sample(0.0) == []
            exporter.status = 200
            read = values(meter)
            assert bool(read) == (fails < 3)
        assert meter.state.state is State.LOST
        assert "HTTP 500" in meter.state.why


def test_the_address_comes_from_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(dcgm.URL_VARIABLE, raising=False)
    assert dcgm.dcgm_url() == "http://localhost:9400/metrics"
    monkeypatch.setenv(dcgm.URL_VARIABLE, "http://node:1/metrics")
    assert dcgm.dcgm_url() == "http://node:1/metrics"
    monkeypatch.setenv(dcgm.URL_VARIABLE, "off")
    assert dcgm.dcgm_url() is None


def test_the_sampler_reads_it_in_the_background() -> None:
    steps = iter(range(10_000))
    rows: list[object] = []
    with serving(lambda: page(0.5 + next(steps) * 1e-6)) as exporter:
        meter = DcgmMeter(MINE, exporter.url)
        began_s = time.perf_counter()
        with Sampler([meter], rows.extend, time.perf_counter, period_s=0.02):
            while meter.between(began_s, time.perf_counter()).dram_share is None:
                assert time.perf_counter() - began_s < 10
                time.sleep(0.02)
    assert len(rows) >= 2 * 3  # DRAM and tensor activity, of three changes at least


# -- whose time a value stands for --------------------------------------------------------------


class Pretended:
    """An exporter that collects every `interval_s`, shows a value `held_s` later, on our clock.

    The device is busy exactly from `began_s` to `ended_s`.
    """

    def __init__(self, interval_s: float, held_s: float, span: tuple[float, float]) -> None:
        self.now_s = 0.0
        self._interval_s, self._held_s, self._span = interval_s, held_s, span

    def page(self, *_: object) -> str:
        collected = math.floor((self.now_s - self._held_s) / self._interval_s)
        low, high = (collected - 1) * self._interval_s, collected * self._interval_s
        began_s, ended_s = self._span
        busy = max(0.0, min(high, ended_s) - max(low, began_s)) / self._interval_s
        noise = collected * 7 % 5 * 1e-6  # two in a row may be alike, as on a real page
        return page(min(1.0, busy) * 0.9 + noise)


def watched(device: Pretended, until_s: float, period_s: float) -> DcgmMeter:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(dcgm, "fetch", device.page)
        meter = DcgmMeter(MINE, "http://localhost/", clock_s=lambda: device.now_s)
        while device.now_s < until_s:
            device.now_s += period_s
            meter.sample(device.now_s)
    return meter


@given(
    interval_s=st.floats(0.2, 2.0),
    held=st.sampled_from([0.0, 0.5, 1.0]),
    period_s=st.floats(0.1, 1.0),
    began_s=st.floats(2.0, 6.0),
    length_s=st.floats(0.5, 10.0),
)
def test_what_happened_outside_a_span_never_counts_in_it(
    interval_s: float, held: float, period_s: float, began_s: float, length_s: float
) -> None:
    span = (began_s, began_s + length_s)
    device = Pretended(interval_s, held * interval_s, span)
    meter = watched(device, span[1] + 3 * interval_s, period_s)
    reading = meter.between(*span)
    if reading.dram_share is None:
        assert "too seldom" in reading.why
    else:
        assert reading.dram_share == pytest.approx(0.9, abs=1e-5)  # busy all the time
        assert 0 < reading.seconds <= length_s


def test_an_exporter_that_collects_each_second_is_read_within_the_longest_span() -> None:
    span = (10.3, 10.3 + dcgm.LONGEST_SPAN_S)
    meter = watched(Pretended(1.0, 1.0, span), span[1] + 1, period_s=0.25)
    assert meter.between(*span).dram_share == pytest.approx(0.9, abs=1e-5)


def test_the_exporters_default_of_half_a_minute_says_what_would_help() -> None:
    span = (40.0, 40.0 + dcgm.LONGEST_SPAN_S)
    reading = watched(Pretended(30.0, 0.0, span), 50.0, period_s=0.25).between(*span)
    assert reading.dram_share is None
    assert "--collect-interval 1000" in reading.why


@given(st.text(), st.lists(st.sampled_from(['"', "{", "}", ",", "=", "\\", " ", "#", "1", "a"])))
def test_no_page_breaks_the_meter(text: str, parts: list[str]) -> None:
    nasty = f"DCGM_FI_PROF_DRAM_ACTIVE{''.join(parts)}\n{text}\nDCGM_FI_PROF_SM_ACTIVE{text}\n"
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(dcgm, "fetch", lambda *_: nasty)
        assert DcgmMeter(MINE, "http://localhost/").state.why
