"""Intended starts: they are what was asked for, and nobody is left out of the latencies."""

from array import array
from itertools import islice, pairwise

import pytest

from costaudit.ground.errors import UsageError
from costaudit.measure.open_loop import open_loop
from costaudit.record.probing.arrivals import check_arrivals, starts_s
from costaudit.recording.recording import Recording
from costaudit.recording.rows import Answer, Fact


def test_constant_starts_are_evenly_spaced():
    assert list(islice(starts_s("constant", requests_per_s=4.0, seed=1), 4)) == [0, 0.25, 0.5, 0.75]


def test_poisson_starts_have_the_rate_and_its_spread():
    starts = list(islice(starts_s("poisson", requests_per_s=50.0, seed=7), 4000))
    gaps = [after - before for before, after in pairwise(starts)]
    mean = sum(gaps) / len(gaps)
    assert mean == pytest.approx(1 / 50, rel=0.05)
    deviation = (sum((gap - mean) ** 2 for gap in gaps) / len(gaps)) ** 0.5
    assert deviation == pytest.approx(mean, rel=0.1)
    assert starts == list(islice(starts_s("poisson", requests_per_s=50.0, seed=7), 4000))


@pytest.mark.parametrize(
    "asked",
    [
        {"kind": "uniform"},
        {"requests_per_s": 0.0},
        {"requests_per_s": -1.0},
        {"requests_per_s": 2.0, "trace": "log.csv"},
        {"time_scale": 0.0},
    ],
)
def test_what_cannot_be_meant_is_refused(asked):
    plain = {"kind": "poisson", "requests_per_s": None, "trace": None, "time_scale": 1.0}
    with pytest.raises(UsageError):
        check_arrivals(**(plain | asked))


def answer(number, start_s, *, sent_s, first_s, error="", end_s=None):
    end_s = end_s if end_s is not None else first_s + 0.1
    stamps = [] if first_s is None else [round((first_s - sent_s) * 1e6)]
    return Answer(
        task="open loop",
        number=number,
        intended_s=start_s,
        sent_s=sent_s,
        end_s=end_s,
        prompt_tokens=10,
        asked_tokens=1,
        output_tokens=None if error else 1,
        cached_tokens=None,
        finish_reason="length",
        status=200,
        error=error,
        truncated=False,
        shared_events=0,
        lag_s=None,
        event_us=array("I", stamps).tobytes(),
        event_tokens=b"",
    )


def seen(tmp_path, due, answers, *, wall_s=10.0, slo=None):
    with Recording.create(tmp_path / "run.costaudit") as recording:
        recording.add(
            *answers,
            Fact(subject="open loop", name="about", value={"arrivals": "x", "window_s": 10.0}),
            Fact(subject="open loop", name="due_s", value=due),
            Fact(subject="rung", name="open loop", value={"t_s": 0.0, "wall_s": wall_s}),
            Fact(subject="workload", name="slo", value=slo or {}),
        )
        return open_loop(recording)


def test_a_stalled_server_is_not_flattered_by_what_was_never_sent(tmp_path):
    """Ten a second; it answers the first half at once, then stalls for good."""
    due = [number / 10 for number in range(100)]
    answers = [answer(n, due[n], sent_s=due[n], first_s=due[n] + 0.01) for n in range(50)]
    answers += [
        answer(n, due[n], sent_s=due[n], first_s=None, error="cut off: its time", end_s=10.0)
        for n in range(50, 58)
    ]
    told = seen(tmp_path, due, answers, slo={"ttft_s": 1.0})
    assert (told.due, told.sent, told.failed, told.unfinished) == (100, 58, 0, 50)
    assert told.ttft_s["p50"] < 0.2
    assert told.ttft_s["p90"] == pytest.approx(4.0, abs=0.15)  # those due at 6.0 have waited 4 s
    assert told.slo_met_share == 0.5


def test_a_late_start_counts_from_when_it_was_meant(tmp_path):
    due = [0.0] * 50
    told = seen(tmp_path, due, [answer(n, 0.0, sent_s=2.0, first_s=2.5) for n in range(50)])
    assert told.ttft_s["p50"] == pytest.approx(2.5)


def test_failures_are_no_latency_and_not_within_the_slo(tmp_path):
    due = [0.0] * 40
    answers = [answer(n, 0.0, sent_s=0.0, first_s=0.1) for n in range(30)]
    answers += [
        answer(n, 0.0, sent_s=0.0, first_s=None, error="HTTP 503", end_s=0.1) for n in range(30, 40)
    ]
    told = seen(tmp_path, due, answers, slo={"ttft_s": 1.0})
    assert told.failed == 10
    assert told.slo_met_share == 0.75


def test_none_was_asked_for(tmp_path):
    with Recording.create(tmp_path / "run.costaudit") as recording:
        assert open_loop(recording) is None
