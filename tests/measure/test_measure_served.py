from array import array

import pytest

from costaudit.measure.served import gaps_s, served_replay, served_steps
from costaudit.recording.recording import Recording
from costaudit.recording.rows import Answer, Fact, RequestRow, Task


def answer(task, number, times_us, *, sent_s=0.0, prompt=100, tokens=b"", error=""):
    return Answer(
        task=task,
        number=number,
        intended_s=sent_s,
        sent_s=sent_s,
        end_s=sent_s + (times_us[-1] / 1e6 if times_us else 0.0),
        prompt_tokens=prompt,
        asked_tokens=len(times_us),
        output_tokens=len(times_us),
        cached_tokens=None,
        finish_reason="length",
        status=200,
        error=error,
        truncated=False,
        shared_events=0,
        lag_s=None,
        event_us=array("I", times_us).tobytes(),
        event_tokens=tokens,
    )


def step(probe, number, **spec):
    spec = {"purpose": "step", "probe": probe, "round": number, "held_out": False, **spec}
    return Task(id=f"{probe}#{number}", kind="rung", spec=spec)


@pytest.fixture
def recording(tmp_path):
    with Recording.create(tmp_path / "run.costaudit") as one:
        yield one


def test_a_prefill_step_is_the_fastest_ttft_of_its_rounds(recording):
    spec = {"phase": "prefill", "seqs": 1, "new_tokens": 100}
    recording.plan([step("p", 0, **spec), step("p", 1, **spec)])
    recording.add(
        answer("p#0", 0, [30_000]), answer("p#0", 1, [20_000]), answer("p#1", 0, [25_000])
    )
    (found,) = served_steps(recording)
    assert found.seconds == pytest.approx(0.020)
    assert (found.load.prefill_tokens, found.load.prefill_seqs) == (100, 1)
    assert found.requests == 1
    assert found.spread_share == pytest.approx(0.25)


def test_a_decode_step_is_timed_while_all_of_the_burst_decode(recording):
    recording.plan([step("d", 0, phase="decode", seqs=2, new_tokens=100)])
    # The second joins 50 ms later; alone a step takes 5 ms, together 10 ms.
    first = [10_000 + 5_000 * n for n in range(10)] + [60_000 + 10_000 * n for n in range(1, 21)]
    second = [60_000 + 10_000 * n for n in range(31)]
    recording.add(answer("d#0", 0, first), answer("d#0", 1, second))
    (found,) = served_steps(recording)
    assert found.seconds == pytest.approx(0.010, rel=0.03)
    assert found.load.decode_seqs == 2
    assert found.requests == 0


def test_a_burst_that_did_not_come_whole_says_nothing(recording):
    recording.plan([step("d", 0, phase="decode", seqs=2, new_tokens=100)])
    recording.add(answer("d#0", 0, [10_000 * n for n in range(1, 20)]))
    recording.add(answer("d#0", 1, [], error="reset"))
    assert served_steps(recording) == ()


def test_tokens_that_came_in_bunches_say_nothing(recording):
    recording.plan([step("d", 0, phase="decode", seqs=1, new_tokens=100)])
    bunched = [50_000 * (1 + n // 5) + 10 * (n % 5) for n in range(40)]
    recording.add(answer("d#0", 0, bunched))
    assert served_steps(recording) == ()


def test_gaps_are_spread_over_the_tokens_of_an_event():
    four = answer("x", 0, [80_000, 160_000], tokens=array("H", [4, 4]).tobytes())
    assert gaps_s(four) == pytest.approx([0.02] * 4)


def test_the_replay_is_billed_at_its_steady_rate(recording):
    rows = [
        RequestRow(
            task="replay",
            batch=0,
            prompt_tokens=5,
            output_tokens=10,
            prefix_id=None,
            prefix_tokens=0,
            ttft_s=None,
            e2e_s=None,
        )
    ]
    times = [10_000 * (n + 1) for n in range(10)]
    answers = [answer("replay", n, times, sent_s=0.1 * n, prompt=5) for n in range(100)]
    steady = Fact(subject="replay", name="steady", value={"from_s": 1.0, "to_s": 9.0})
    recording.add(*rows, *answers, steady)
    found = served_replay(recording)
    assert found.rate.per_s == pytest.approx(150.0, rel=0.02)
    assert found.requests[0].ttft_s == pytest.approx(0.01)
    assert (found.sent, found.failed) == (100, 0)


def test_a_replay_that_never_got_steady_is_none(recording):
    assert served_replay(recording) is None
