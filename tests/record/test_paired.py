"""Two engines in turns."""

from __future__ import annotations

import math
from dataclasses import dataclass

import pytest
from fake_engine import FakeEngine

from costaudit.contrast.change import from_pairs
from costaudit.ground.errors import TargetError, UsageError
from costaudit.record.paired import PairedOptions, record_paired

pytestmark = pytest.mark.slow  # all of it together


@dataclass
class Drifting(FakeEngine):
    """An engine on a machine that gets slower with every call of any engine."""

    clock: list | None = None
    factor: float = 1.0
    order: list | None = None
    name: str = ""

    def replay_batch(self, lengths):
        self.order.append(self.name)
        self.clock[0] += 1
        spans, times = super().replay_batch(lengths)
        scale = self.factor * (1 + 0.01 * self.clock[0])
        slowed = [
            type(s)(
                phase=s.phase,
                steps=s.steps,
                load=s.load,
                timing=type(s.timing)(
                    seconds=s.timing.seconds * scale, wall_s=s.timing.wall_s, clock="thread_time"
                ),
            )
            for s in spans
        ]
        return slowed, times


def paired(factor=1.0, *, fail=None, **changes):
    clock, order, opened = [0], [], []

    def opener(options, ranges):
        opened.append(options.target)
        if options.target == fail:
            raise TargetError("no room")
        engine = Drifting(noise_share=0.0, clock=clock, order=order, name=options.target)
        engine.factor = factor if options.target == "new" else 1.0
        return engine

    options = PairedOptions(base="base", new="new", requests=8, scale=0.05, batch_size=4, **changes)
    return record_paired(options, progress=lambda _: None, opener=opener), order, opened


def test_turns_are_a_b_b_a_and_the_next_round_turned():
    result, order, opened = paired(rounds=4)
    assert len(result.rounds) == 4
    per_round = len(order) // 4
    turns = ["".join(n[0] for n in order[i * per_round : (i + 1) * per_round]) for i in range(4)]
    assert turns[0].count("bnnb") == 2  # two batches, each after a cold visit of both
    assert turns[1].count("nbbn") == 2
    assert opened == ["base", "new", "new", "base"] * 2


def test_a_drift_of_the_machine_cancels():
    result, _, _ = paired(1.1, rounds=8)
    logs = [each.log("prefill", "decode") for each in result.rounds]
    assert from_pairs(logs).share == pytest.approx(0.1, abs=0.002)
    assert result.requests == 8
    assert result.base.kv_bytes_per_token == result.new.kv_bytes_per_token > 0


def test_a_phase_without_time_is_not_a_number():
    result, _, _ = paired(rounds=4)
    empty = type(result.rounds[0])(
        seconds={s: {"prefill": 1.0, "decode": 0.0} for s in ("base", "new")}
    )
    assert math.isnan(empty.log("decode"))


def test_both_must_fit_at_once():
    with pytest.raises(TargetError, match="no room") as caught:
        paired(rounds=4, fail="new")
    assert "--baseline" in caught.value.hint
    with pytest.raises(TargetError) as caught:
        paired(rounds=4, fail="base")
    assert "--baseline" not in caught.value.hint


@pytest.mark.parametrize("changes", [{"rounds": 3}, {"seconds": 0}, {"seconds": math.nan}])
def test_numbers_that_no_run_can_have(changes):
    with pytest.raises(UsageError):
        paired(**changes)
