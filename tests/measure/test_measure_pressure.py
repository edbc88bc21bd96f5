"""The pressure ramp and what blocks hold, from a recording whose truth is known."""

import math
from array import array

import pytest

from costaudit.audit.pressure_section import pressure_section
from costaudit.measure.pressure import pressure, replay_waste_share
from costaudit.recording.recording import Recording
from costaudit.recording.rows import Answer, Fact, Gauge, RequestRow
from costaudit.recording.target_facts import target_facts
from costaudit.report.pressure_rows import pressure_facts, ramp_grid
from costaudit.target.target import Origin, Target, Value

BLOCK, BLOCKS, PROMPT, PREFIX, TOKENS, GAP_S = 16, 101, 40, 32, 200, 0.05


@pytest.fixture
def recording(tmp_path):
    with Recording.create(tmp_path / "run.costaudit") as one:
        yield one


def described(recording, *, caching):
    knobs = {"prefix_caching": Value(value=caching, origin=Origin.EXPORTED)}
    target = Target(
        kind="server",
        engine="vllm",
        engine_version="0.32.0",
        model="tiny",
        weights="trained",
        dtype="bfloat16",
        shape=None,
        knobs=knobs,
    )
    kv = {"block_size_tokens": BLOCK, "blocks_total": BLOCKS, "tokens_total": BLOCK * BLOCKS}
    recording.add(
        *target_facts(target),
        *(Fact(subject="kv", name=name, value=value) for name, value in kv.items()),
        row(),
    )


def row():
    return RequestRow(
        task="replay",
        batch=0,
        prompt_tokens=PROMPT,
        output_tokens=TOKENS,
        prefix_id=0,
        prefix_tokens=PREFIX,
        ttft_s=None,
        e2e_s=None,
    )


def answer(task, number, *, stall=None, sent_s=0.0):
    """`stall`: (before this token, for so many seconds)."""
    times, now = [], 0.1
    for place in range(TOKENS):
        now += (stall[1] if stall and stall[0] == place else 0.0) + GAP_S
        times.append(round(now * 1e6))
    return Answer(
        task=task,
        number=number,
        intended_s=sent_s,
        sent_s=sent_s,
        end_s=sent_s + now,
        prompt_tokens=PROMPT,
        asked_tokens=TOKENS,
        output_tokens=TOKENS,
        cached_tokens=None,
        finish_reason="length",
        status=200,
        error="",
        truncated=False,
        shared_events=0,
        lag_s=None,
        event_us=array("I", times).tobytes(),
        event_tokens=b"",
    )


def read(recording, t_s, **levels):
    names = {name.replace("__", "."): value for name, value in levels.items()}
    recording.add(
        *(
            Gauge(t_s=t_s, meter="server", name=name, value=value, unit="")
            for name, value in ({"scrape": 0.01} | names).items()
        )
    )


def usage(requests, t_s, *, shared):
    """What vLLM's gauge says: whole blocks, a shared prefix once, the null block left out."""
    held = PROMPT + sum(0.1 + GAP_S * (n + 1) <= t_s for n in range(TOKENS))
    own = math.ceil((held - shared) / BLOCK)
    return (requests * own + shared // BLOCK) / (BLOCKS - 1)


@pytest.mark.parametrize("caching", [True, False])
def test_the_unfilled_ends_of_blocks_are_found(recording, caching):
    described(recording, caching=caching)
    about = {"t_s": 100.0, "wall_s": 11.0}
    recording.add(
        *(answer("replay", n) for n in range(4)),
        Fact(subject="rung", name="replay", value=about),
    )
    shared, wastes = (PREFIX if caching else 0), []
    for second in range(1, 10):
        used = usage(4, second, shared=shared)
        level = {"requests__running": 4.0, "requests__waiting": 0.0}
        read(recording, 100.0 + second, kv__usage_fraction=used, **level)
        held = PROMPT + sum(0.1 + GAP_S * (n + 1) <= second for n in range(TOKENS)) - shared
        wastes.append(1 - (4 * held + shared) / (used * (BLOCKS - 1) * BLOCK))
    found = replay_waste_share(recording)
    assert found == pytest.approx(sorted(wastes)[4], abs=0.02)
    assert 0 < found < 0.25


def test_others_requests_hide_what_blocks_hold(recording):
    described(recording, caching=False)
    recording.add(
        answer("replay", 0), Fact(subject="rung", name="replay", value={"t_s": 0, "wall_s": 11})
    )
    for second in range(1, 10):
        read(recording, second, kv__usage_fraction=0.5, requests__running=2.0)
    assert replay_waste_share(recording) is None


def rung(recording, streams, t_s, *, full, before=10.0, preempted=0, stalls=()):
    name = f"pressure-{streams}"
    told = {
        "streams": streams,
        "prompt_tokens": None,
        "requests": streams,
        "whole": not full,
        "at_once": streams,
        "full": full,
        "preempted": preempted,
        "waited": full,
    }
    stalls = [*stalls, *[None] * (streams - len(stalls))]
    recording.add(
        *(answer(name, n, stall=stall) for n, stall in enumerate(stalls)),
        Fact(subject="rung", name=name, value={"t_s": t_s, "wall_s": 11.0}),
        Fact(subject="pressure", name=name, value=told),
    )
    waiting = {"requests__waiting": float(full), "requests__running": float(streams)}
    reasons = {"requests__waiting_by_reason__capacity": float(full)}
    read(recording, t_s, preemptions_total=before, kv__usage_fraction=0.0)
    read(recording, t_s + 5, kv__usage_fraction=0.99 if full else 0.7, **waiting, **reasons)
    read(recording, t_s + 11, preemptions_total=before + preempted, kv__usage_fraction=0.2)


def test_the_knee_the_room_and_what_was_computed_again(recording):
    described(recording, caching=True)
    rung(recording, 8, 0.0, full=False)
    rung(recording, 12, 20.0, full=True, preempted=2, stalls=[(50, 3.0), (120, 2.0)])
    rung(recording, 10, 40.0, full=False, before=12.0)
    recording.add(Fact(subject="pressure", name="ended", value="the knee is known"))
    told = pressure(recording, audited_streams=4.0)
    assert (told.spared_streams, told.full_streams) == (10, 12)
    assert [one.streams for one in told.rungs] == [8, 10, 12]
    knee = told.knee
    assert (knee.by, knee.preemptions) == ("preemption", 2.0)
    assert knee.usage_peak_share == 0.99
    assert knee.waiting_by_reason == {"capacity": 1.0}
    assert knee.recomputed_tokens == (2.0, 2 * PROMPT + 50 + 120)
    section = pressure_section(told)
    assert section["headroom_factor"] == {"low": 2.5, "high": 3.0}
    words = " ".join(f"{f.label}: {f.text} {f.note}" for f in pressure_facts({"pressure": section}))
    assert "10 streams" in words
    assert "2 in 12 requests" in words
    assert len(ramp_grid({"pressure": section}).rows) == 3


def test_a_ramp_that_found_no_end_says_so(recording):
    described(recording, caching=False)
    rung(recording, 8, 0.0, full=False)
    recording.add(Fact(subject="pressure", name="ended", value="a limit"))
    section = pressure_section(pressure(recording, audited_streams=8.0))
    assert "knee" not in section
    assert section["headroom_factor"] == {"low": 1.0}
    assert "8 streams or more" in pressure_facts({"pressure": section})[0].text


def test_none_was_asked_for(recording):
    described(recording, caching=False)
    assert pressure(recording, audited_streams=8.0) is None
    assert pressure_facts({}) == []
