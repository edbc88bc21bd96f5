"""`--ab`: evidence from turns, and the confirming re-run."""

from __future__ import annotations

import math
import random
from dataclasses import replace

import pytest
from sides import line, observed

from costaudit.gate import turns
from costaudit.gate.confirm import judge_twice
from costaudit.gate.shift import of_pairs
from costaudit.gate.verdict import Result
from costaudit.ground.errors import UsageError
from costaudit.record.paired import Paired, PairedOptions, PairedRound, Side

OPTIONS = PairedOptions(base="a", new="b")


def run(factor, *, seed, kv=2048.0, noise=0.005):
    rng = random.Random(seed)
    rounds = tuple(
        PairedRound(
            seconds={
                "base": {"prefill": rng.gauss(1, noise), "decode": rng.gauss(3, 3 * noise)},
                "new": {
                    "prefill": factor * rng.gauss(1, noise),
                    "decode": factor * rng.gauss(3, 3 * noise),
                },
            }
        )
        for _ in range(8)
    )
    side = Side(target=None, device="cpu", kv_bytes_per_token=2048.0)
    return Paired(
        base=side,
        new=replace(side, kv_bytes_per_token=kv),
        rounds=rounds,
        requests=8,
        tokens=100,
        wall_s=1.0,
    )


def judged(monkeypatch, *factors, lines=None, **changes):
    taken = iter(run(f, seed=n, **changes) for n, f in enumerate(factors))
    monkeypatch.setattr(turns, "record_paired", lambda options, *, progress: next(taken))
    shifts = turns.judge_turns(OPTIONS, lines or [line(margin=0.03)], progress=lambda _: None)
    assert next(taken, None) is None, "every run was needed"
    return shifts


def test_equal_targets_pass_without_a_second_run(monkeypatch):
    (shift,) = judged(monkeypatch, 1.0)
    assert shift.result is Result.PASSED


def test_a_slow_target_is_measured_twice_and_broken(monkeypatch):
    (shift,) = judged(monkeypatch, 1.1, 1.1)
    assert shift.result is Result.BROKEN
    assert shift.change.freedom == 15
    assert "second run" in shift.note


def test_an_alarm_that_is_not_confirmed_stays_on_record(monkeypatch):
    (shift,) = judged(monkeypatch, 1.1, 1.0)
    assert shift.result is Result.INCONCLUSIVE
    assert "one of two runs raised an alarm" in shift.note


def drawn(rng, *, true, noise):
    """The verdict on rounds of known noise, with the confirming re-run."""
    first, second = ([rng.gauss(true, noise) for _ in range(8)] for _ in range(2))

    def evidence(logs):
        return of_pairs({"usd_per_1m_tokens": logs}, before={}, after={})

    (shift,) = judge_twice(
        evidence(first),
        [line(margin=0.02)],
        again=lambda: (evidence(second), evidence([*first, *second])),
    )
    return shift


@pytest.mark.parametrize("noise", [0.004, 0.008, 0.015, 0.03, 0.06])
def test_the_bars_hold_at_every_noise(noise):
    """False alarms at most 1 in 100; 5 % seen where that is promised; 10 % never passed."""
    rng = random.Random(f"noise {noise}")
    equal = [drawn(rng, true=0.0, noise=noise) for _ in range(400)]
    assert sum(s.result is Result.BROKEN for s in equal) <= 4
    five = [drawn(rng, true=math.log(1.05), noise=noise) for _ in range(400)]
    promised = [s for s in five if s.seen <= 0.05]
    assert sum(s.result is Result.BROKEN for s in promised) >= 0.95 * len(promised)
    if noise <= 0.008:
        assert len(promised) > 300
    ten = [drawn(rng, true=math.log(1.10), noise=noise) for _ in range(400)]
    assert not any(s.result is Result.PASSED for s in ten)


def test_what_turns_do_not_measure_is_undecided(monkeypatch):
    lines = [line("itl_p50_s"), line("kv_bytes_per_token", margin=0), line("computed_tokens")]
    latency, cache, tokens = judged(monkeypatch, 1.0, lines=lines, kv=1024.0)
    assert latency.result is tokens.result is Result.INCONCLUSIVE
    assert cache.result is Result.BROKEN


def test_servers_are_recorded_next_to_each_other(monkeypatch):
    from costaudit.contrast import turns as contrast_turns
    from costaudit.record.probing import profile

    seen, wanted = [], {"http://a": 1.0, "http://b": 1.2}

    def record(options, *, progress):
        seen.append(options.url)
        options.path.write_text("", encoding="utf-8")
        return options.path

    monkeypatch.setattr(profile, "record_server", record)
    monkeypatch.setattr(
        contrast_turns, "observe", lambda path: observed(wanted[seen[-1]] * (1 + 0.001 * len(seen)))
    )
    options = PairedOptions(base="http://a", new="http://b", rounds=4)
    lines = [line(margin=0.05), line("computed_tokens", margin=0)]
    time, tokens = turns.judge_turns(options, lines, progress=lambda _: None)
    assert "".join(url[-1] for url in seen) == "abbaabba" * 2  # and once more to confirm
    assert time.result is Result.BROKEN
    assert time.change.share == pytest.approx(0.2, abs=0.01)
    assert tokens.result is Result.PASSED


def test_a_server_and_a_model_cannot_take_turns():
    with pytest.raises(UsageError, match="cannot take turns"):
        turns.judge_turns(replace(OPTIONS, new="http://b"), [line()], progress=lambda _: None)
