from array import array
from dataclasses import replace

import pytest

from costaudit.measure.served_doubts import (
    cut_off,
    foreign_note,
    foreign_share,
    neighbours_note,
    replay_doubt,
)
from costaudit.recording.recording import Recording
from costaudit.recording.rows import Answer, Fact, Gauge, RequestRow, Task

ANSWERS, TOKENS, PROMPT = 100, 10, 20


@pytest.fixture
def recording(tmp_path):
    with Recording.create(tmp_path / "run.costaudit") as one:
        yield one


def answer(number, *, error=""):
    times_us = [5_000 * n for n in range(1, TOKENS + 1)]
    return Answer(
        task="replay",
        number=number,
        intended_s=number * 0.1,
        sent_s=number * 0.1,
        end_s=number * 0.1 + 0.05,
        prompt_tokens=PROMPT,
        asked_tokens=TOKENS,
        output_tokens=None if error else TOKENS,
        cached_tokens=None,
        finish_reason="length",
        status=200,
        error=error,
        truncated=False,
        shared_events=0,
        lag_s=None,
        event_us=b"" if error else array("I", times_us).tobytes(),
        event_tokens=b"",
    )


def replayed(recording, *, error="", every=ANSWERS, skip=range(0), steps=True, **health):
    """One request each tenth of a second; each so many failed by `error`, `skip` never came."""
    row = RequestRow(
        task="replay",
        batch=0,
        prompt_tokens=PROMPT,
        output_tokens=TOKENS,
        prefix_id=None,
        prefix_tokens=0,
        ttft_s=None,
        e2e_s=None,
    )
    steady = {"from_s": 0.0, "to_s": 10.0, "half_share": 0.01}
    about = {"t_s": 100.0, "wall_s": 10.0, "health": {"bottleneck": False, "why": "", **health}}
    answers = [
        answer(n, error=error if n % every == every - 1 else "")
        for n in range(ANSWERS)
        if n not in skip
    ]
    step = {"purpose": "step", "probe": "d", "phase": "decode", "seqs": 1, "held_out": False}
    recording.plan([Task(id="d#0", kind="rung", spec=step)])
    recording.add(
        row,
        *answers,
        *([replace(answer(0), task="d#0")] if steps else []),
        Fact(subject="replay", name="steady", value=steady),
        Fact(subject="rung", name="replay", value=about),
    )


def served(recording, generated):
    """The server's own count of generated tokens over the replay."""
    recording.add(
        *(
            Gauge(t_s=t_s, meter="server", name=name, value=value, unit="")
            for t_s, total in ((99.0, 5000.0), (111.0, 5000.0 + generated))
            for name, value in (("scrape", 0.01), ("tokens.generation_total", total))
        )
    )


def test_a_good_replay_leaves_no_doubt(recording):
    replayed(recording)
    served(recording, ANSWERS * TOKENS)
    assert replay_doubt(recording) == ""
    assert foreign_note(recording) == ""


def test_a_client_that_could_not_keep_up_leaves_one(recording):
    replayed(recording, bottleneck=True, why="the client used 0.97 of a core")
    assert "the client used 0.97 of a core" in replay_doubt(recording)


def test_answers_in_one_piece_leave_one(recording):
    replayed(recording, steps=False)
    assert "no decode step could be timed" in replay_doubt(recording)


def test_requests_cut_at_the_end_leave_none(recording):
    replayed(recording, error="cut off: the time is over", every=5)
    assert replay_doubt(recording) == ""
    assert cut_off(recording) == 20


def test_failures_leave_one(recording):
    replayed(recording, error="HTTP 503: busy", every=5)
    assert "20 of 100 requests of the replay failed: HTTP 503: busy" in replay_doubt(recording)


def test_a_rate_that_changed_leaves_one(recording):
    replayed(recording, skip=range(20, 70))
    assert "the rate of the replay is known to" in replay_doubt(recording)


@pytest.mark.parametrize(("others", "noted", "doubted"), [(0, 0, 0), (50, 1, 0), (500, 1, 1)])
def test_others_are_noted_and_from_a_tenth_on_doubted(recording, others, noted, doubted):
    replayed(recording)
    served(recording, ANSWERS * TOKENS + others)
    assert foreign_share(recording) == pytest.approx(others / (ANSWERS * TOKENS + others))
    assert bool(foreign_note(recording)) == bool(noted)
    assert ("others used the server" in replay_doubt(recording)) == bool(doubted)


@pytest.mark.parametrize(("beyond", "others"), [(0, 0), (150, 0), (200, 0), (260, 60)])
def test_what_runs_on_for_a_cut_request_is_not_others(recording, beyond, others):
    """Twenty answers of ten tokens were cut before we saw one of them."""
    replayed(recording, error="cut off: its time was over", every=5)
    seen = 80 * TOKENS
    served(recording, seen + beyond)
    assert foreign_share(recording) == pytest.approx(others / (seen + beyond))


def test_a_scrape_that_began_before_the_end_does_not_end_the_span(recording):
    """It was read after the replay had ended, but shows the counters of before."""
    replayed(recording)
    recording.add(
        *(
            Gauge(t_s=t_s, meter="server", name=name, value=value, unit="")
            for t_s, took_s, total in ((99.0, 0.1, 0), (110.2, 0.5, 700), (111.2, 0.5, 1200))
            for name, value in (("scrape", took_s), ("tokens.generation_total", total))
        )
    )
    assert foreign_share(recording) == pytest.approx(200 / 1200)


def test_a_server_that_counts_nothing_leaves_others_unknown(recording):
    replayed(recording)
    assert foreign_share(recording) is None
    assert foreign_note(recording) == ""


def test_no_replay_is_not_for_this_to_judge(recording):
    assert replay_doubt(recording) == ""


def crowded(recording, **cores):
    """Whose the cores were, read once a second over the replay."""
    recording.add(
        *(
            Gauge(t_s=100.0 + second, meter="neighbours", name=name, value=value, unit="")
            for second in range(1, 11)
            for name, value in cores.items()
        )
    )


def test_a_neighbour_on_one_of_two_cores_leaves_one(recording):
    replayed(recording)
    crowded(recording, server=0.8, own=0.2, others=1.0, steal=0.0, idle=0.0, waiting_share=0.9)
    assert "others used 1.00 of this machine's 2 cores" in replay_doubt(recording)
    assert "others used 1.00" in neighbours_note(recording)


def test_a_steady_part_too_short_to_be_read_does_not_hide_a_neighbour(recording):
    replayed(recording)
    recording.add(Fact(subject="replay", name="steady", value={"from_s": 4.1, "to_s": 5.9}))
    crowded(recording, server=0.8, own=0.2, others=1.0, steal=0.0, idle=0.0, waiting_share=0.9)
    assert "others used 1.00" in neighbours_note(recording)


def test_a_neighbour_on_cores_that_nobody_waited_for_is_noted_alone(recording):
    replayed(recording)
    crowded(recording, server=1.0, own=0.1, others=4.0, steal=0.0, idle=58.9, waiting_share=0.01)
    assert replay_doubt(recording) == ""
    assert "others used 4.00 of this machine's 64 cores" in neighbours_note(recording)


def test_a_server_that_uses_little_is_not_slowed_by_cores_that_nobody_waited_for(recording):
    replayed(recording)
    crowded(recording, server=0.2, own=0.1, others=2.0, steal=0.0, idle=13.7, waiting_share=0.02)
    assert replay_doubt(recording) == ""


def test_a_server_that_hardly_works_is_not_slowed_by_more_than_others_ran(recording):
    replayed(recording)
    crowded(recording, server=0.06, own=0.04, others=0.02, steal=0.04, idle=1.84, waiting_share=0.3)
    assert replay_doubt(recording) == ""


def test_without_the_kernel_s_word_a_busy_machine_is_a_crowded_one(recording):
    replayed(recording)
    crowded(recording, server=1.0, own=0.1, others=0.9, steal=0.0, idle=0.0)
    assert "others used" in replay_doubt(recording)


def test_what_the_hypervisor_takes_counts_as_others(recording):
    replayed(recording)
    crowded(recording, server=1.0, own=0.1, others=0.0, steal=0.5, idle=0.4, waiting_share=0.0)
    assert "others used 0.50" in replay_doubt(recording)


def test_a_quiet_machine_is_not_worth_a_word(recording):
    replayed(recording)
    crowded(recording, server=1.2, own=0.1, others=0.03, steal=0.0, idle=0.67, waiting_share=0.4)
    assert replay_doubt(recording) == ""
    assert neighbours_note(recording) == ""
