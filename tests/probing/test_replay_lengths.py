"""What of a workload is replayed in the time there is: its lengths are kept before its cycles."""

from array import array
from types import SimpleNamespace

import pytest

from costaudit.probe.workload import load_workload
from costaudit.record.probing.pace import Pace, pace_of
from costaudit.record.probing.replay import plan_replay
from costaudit.recording.rows import Answer, RequestRow, Task

LONG = """
name = "long"
stands_for = "long prompts"
why = "a test"
requests = 64
prompt_tokens = { distribution = "uniform", min = 256, max = 768 }
output_tokens = { distribution = "uniform", min = 8, max = 24 }
load = { concurrency = 16 }
slo = { why = "none" }
"""
# As a real server answered: 0.27 s for a prompt of 512 tokens, more than twice that for 1024.
SEEN = Pace(prompt_s={16: 0.033, 256: 0.116, 512: 0.262, 1024: 0.656}, step_s={16: 0.03})


def answer(task, number, prompt, at_s):
    return Answer(
        task=task,
        number=number,
        intended_s=0.0,
        sent_s=0.0,
        end_s=at_s[-1],
        prompt_tokens=prompt,
        asked_tokens=len(at_s),
        output_tokens=len(at_s),
        cached_tokens=None,
        finish_reason="length",
        status=200,
        error="",
        truncated=False,
        shared_events=0,
        lag_s=None,
        event_us=array("I", [round(s * 1e6) for s in at_s]).tobytes(),
        event_tokens=b"",
    )


def probe(name, phase, seqs):
    spec = {"purpose": "step", "probe": name, "phase": phase, "seqs": seqs}
    return Task(id=f"{name}#0", kind="rung", spec=spec)


def planned(tmp_path, replay_s):
    """The rows that a replay of so many seconds writes down."""
    file, written = tmp_path / "long.toml", []
    file.write_text(LONG)
    recording = SimpleNamespace(plan=lambda _: None, add=lambda *rows, done: written.extend(rows))
    probing = SimpleNamespace(
        workload=load_workload(str(file)),
        concurrency=16,
        context_tokens=2048,
        kv_tokens=None,
        options=SimpleNamespace(
            seed=0,
            scale=None,
            limits=SimpleNamespace(concurrency=16),
            requests_per_s=None,
            trace=None,
            pressure=False,
        ),
        found=SimpleNamespace(target=SimpleNamespace(knobs={})),
        recording=recording,
    )
    plan_replay(
        probing,
        Task(id="workload", kind="workload", spec={}),
        SEEN,
        replay_s=replay_s,
        ladder_s=0.0,
    )
    return [row for row in written if isinstance(row, RequestRow)]


def test_lengths_are_kept_where_two_cycles_fit(tmp_path):
    rows = planned(tmp_path, 20.0)
    assert len(rows) == 32
    assert min(row.prompt_tokens for row in rows) >= 256


def test_lengths_are_cut_where_not_even_two_cycles_fit(tmp_path):
    rows = planned(tmp_path, 12.0)
    assert max(row.prompt_tokens for row in rows) <= 384


def test_three_cycles_are_run_where_the_time_allows(tmp_path):
    assert len(planned(tmp_path, 60.0)) == 64


def test_a_prompt_takes_what_prompts_of_its_length_took():
    assert SEEN.prompt_at(512) == 0.262
    assert SEEN.prompt_at(384) == pytest.approx((0.116 + 0.262) / 2)
    assert SEEN.prompt_at(8) == 0.033
    assert SEEN.prompt_at(2048) == pytest.approx(2 * 0.656)


def test_prompts_of_a_burst_are_no_part_of_its_steps():
    """One prompt, the other three together in 0.9 s, then 24 steps of 30 ms for all of them."""
    alone = [answer("prefill-1x512#0", 0, 512, [0.3])]
    steps = [1.2 + 0.03 * n for n in range(24)]
    together = [
        answer("decode-4x512#0", n, 512, [0.3 if n == 0 else 1.2, *steps[1:]]) for n in range(4)
    ]
    pace = pace_of(
        [probe("prefill-1x512", "prefill", 1), probe("decode-4x512", "decode", 4)], alone + together
    )
    assert pace.step_s[4] == pytest.approx(0.03, rel=0.05)


def test_one_after_the_other_is_as_many_steps_as_there_are_requests():
    alone = [answer("prefill-1x512#0", 0, 512, [0.3])]
    ends = [[0.3 + turn * 0.99 + 0.03 * n for n in range(24)] for turn in range(4)]
    together = [answer("decode-4x512#0", n, 512, at_s) for n, at_s in enumerate(ends)]
    pace = pace_of(
        [probe("prefill-1x512", "prefill", 1), probe("decode-4x512", "decode", 4)], alone + together
    )
    assert pace.step_s[4] == pytest.approx(4 * 0.03, rel=0.05)
