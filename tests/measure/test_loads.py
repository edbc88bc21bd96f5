"""Loads of a server's recording, as they are to be simulated again."""

from array import array

import pytest

from costaudit.measure.loads import served_loads
from costaudit.recording.recording import Recording
from costaudit.recording.rows import Answer, Fact, Gauge, RequestRow, Task


def answer(task, number, *, sent_s, ttft_s=0.1, gaps=2, gap_s=0.02, prompt=100, error=""):
    times_us = [round(1e6 * (ttft_s + gap_s * n)) for n in range(gaps + 1)]
    return Answer(
        task=task,
        number=number,
        intended_s=sent_s,
        sent_s=sent_s,
        end_s=sent_s + times_us[-1] / 1e6,
        prompt_tokens=None if error else prompt,
        asked_tokens=gaps + 1,
        output_tokens=None if error else gaps + 1,
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


def drawn(prompt, output, *, prefix_id=None, prefix_tokens=0):
    return RequestRow(
        task="replay",
        batch=0,
        prompt_tokens=prompt,
        output_tokens=output,
        prefix_id=prefix_id,
        prefix_tokens=prefix_tokens,
        ttft_s=None,
        e2e_s=None,
    )


@pytest.fixture
def recording(tmp_path):
    with Recording.create(tmp_path / "run.costaudit") as one:
        yield one


def done(recording, task, kind, **spec):
    recording.plan([Task(id=task, kind=kind, spec=spec)])
    recording.add(done=task)


def burst(recording, number, *, held_out=False, seqs=2, probe="decode-2x100"):
    spec = {"purpose": "step", "probe": probe, "phase": "decode", "seqs": seqs}
    done(recording, f"{probe}#{number}", "rung", held_out=held_out, round=number, **spec)


def test_a_burst_is_its_median_round(recording):
    for number, ttft_s in enumerate((0.1, 0.5, 0.2)):
        burst(recording, number)
        for place in range(2):
            one = answer(f"decode-2x100#{number}", place, sent_s=0.0, ttft_s=ttft_s)
            recording.add(one)
    (load,) = served_loads(recording)
    assert (load.concurrency, load.first, load.end, load.answered) == (2, 0, 2, 6)
    assert load.ttft_p50_s == pytest.approx(0.2)
    assert load.e2e_s == pytest.approx((0.24, 0.24))
    assert load.itl_p50_s == pytest.approx(0.02)
    assert load.gaps_s == pytest.approx(dict.fromkeys((0.2, 0.35, 0.5, 0.65, 0.8), 0.02))
    assert [row.output_tokens for row in load.requests] == [3, 3]


def test_a_round_that_did_not_come_whole_is_left_out(recording):
    burst(recording, 0, held_out=True)
    recording.add(
        answer("decode-2x100#0", 0, sent_s=0.0), answer("decode-2x100#0", 1, sent_s=0.0, error="no")
    )
    assert served_loads(recording) == ()


def replay(recording, *, to_s=1.0):
    done(recording, "replay", "replay", purpose="replay")
    recording.add(
        drawn(100, 3, prefix_id=7, prefix_tokens=64),
        drawn(50, 3),
        Fact(subject="rung", name="replay", value={"concurrency": 2, "t_s": 0.0, "wall_s": 2.0}),
        Fact(subject="replay", name="steady", value={"from_s": 0.1, "to_s": to_s}),
    )


def test_the_replay_counts_while_it_was_steady(recording):
    replay(recording)
    recording.add(
        answer("replay", 0, sent_s=0.0, ttft_s=0.9),  # before the streams were out of step
        answer("replay", 1, sent_s=0.2),
        answer("replay", 2, sent_s=0.4),
        answer("replay", 3, sent_s=1.8, error="cut off: the interval is narrow enough"),
    )
    (load,) = served_loads(recording)
    assert (load.first, load.end, load.answered) == (1, 3, 2)
    assert load.ttft_p50_s == pytest.approx(0.1)
    assert [row.prefix_id for row in load.requests] == [7, None, 7, None]
    assert load.requests[3].prompt_tokens == 50  # of the request that was cut, as it was drawn


def test_a_replay_that_was_never_steady_says_nothing(recording):
    replay(recording, to_s=0.05)
    recording.add(answer("replay", 0, sent_s=0.0))
    assert served_loads(recording) == ()


def beside(recording, others):
    """A second of two cores by reading: a server on one, `others`, the rest idle."""
    for second, cores in enumerate(others):
        values = {"server": 1.0, "own": 0.0, "others": cores, "steal": 0.0, "idle": 1 - cores}
        recording.add(
            *(
                Gauge(t_s=second + 0.5, meter="neighbours", name=name, value=value, unit="")
                for name, value in values.items()
            )
        )


def began(recording, task, t_s, wall_s=1.0):
    recording.add(Fact(subject="rung", name=task, value={"t_s": t_s, "wall_s": wall_s}))


def test_a_load_knows_what_others_took_meanwhile(recording):
    replay(recording)
    recording.add(answer("replay", 0, sent_s=0.2))
    beside(recording, (0.5, 0.5, 0.5))
    (load,) = served_loads(recording)
    assert load.taken_share == pytest.approx(0.5)


def test_a_round_beside_a_busy_neighbour_is_left_out(recording):
    beside(recording, (0.0, 0.0, 0.0, 0.8, 0.8, 0.8))
    for number, (t_s, ttft_s) in enumerate(((0.6, 0.1), (3.6, 0.9))):
        burst(recording, number)
        began(recording, f"decode-2x100#{number}", t_s, wall_s=0.5)
        for place in range(2):
            recording.add(answer(f"decode-2x100#{number}", place, sent_s=0.0, ttft_s=ttft_s))
    (load,) = served_loads(recording)
    assert load.ttft_p50_s == pytest.approx(0.1)
    assert len(load.rounds_s) == 1
    assert load.taken_share == pytest.approx(0.0)
