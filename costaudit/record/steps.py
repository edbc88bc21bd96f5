"""The step probes: warmed up, sized, and timed in interleaved rounds."""

from __future__ import annotations

import random
import time
from dataclasses import asdict, replace
from typing import TYPE_CHECKING, Any

from costaudit.probe.design import DECODE_ROOM, Limits, StepProbe, step_design
from costaudit.record.engines.engine import LocalEngine, PreparedSteps, Timing
from costaudit.record.run import (
    LADDER_SHARE,
    PRESSURE_SHARE,
    REPLAY_SHARE,
    STEPS_SHARE,
    Run,
    sample,
)
from costaudit.recording.rows import Fact, Role, Task

if TYPE_CHECKING:
    from collections.abc import Sequence

PIECE_S = 0.06  # a timed piece is at least this long: clocks and interruptions drown in it
SHORT_S = 2.5 * PIECE_S
ROUNDS_OF_SHORT = 3  # rounds of short pieces to one of all
_PIECES_AT_MOST = 64
_LONGEST_PREFILL = 2048
_SHORTEST_PREFILL = 32
_FEWEST_ROUNDS = 2
_STEADY_SHARE, _STEADY_RUNS, _WARM_S = 0.05, 4, 2.0


def warm_up(engine: LocalEngine) -> tuple[float, bool]:
    """Run small steps until their times settle: (wall seconds taken, did they?).

    Steady means that the last four runs lie within 5 % of each other; bounded by 2 s.
    """
    began = time.monotonic()
    room = engine.target.known_shape.max_context_tokens
    decode = engine.prepare_decode(
        seqs=1, context_tokens=min(64, room // 2), steps=min(4, room // 4)
    )
    prefill = engine.prepare_prefill(seqs=1, new_tokens=min(64, room), cached_tokens=0)
    last: list[float] = []
    while time.monotonic() - began < _WARM_S:
        once(engine, prefill)
        last = [*last[1 - _STEADY_RUNS :], once(engine, decode).seconds]
        if len(last) == _STEADY_RUNS and max(last) <= min(last) * (1 + _STEADY_SHARE):
            return time.monotonic() - began, True
    return time.monotonic() - began, False


def once(engine: LocalEngine, prepared: PreparedSteps) -> Timing:
    """Set the state back and time one run of it."""
    prepared.reset()
    return engine.timed(prepared.run)


def calibrate(run: Run, task: Task, *, longest_context_tokens: int) -> None:
    """Size the design to the model, memory and time, then plan its rounds.

    Every probe is run, short ones twice: that tells how many steps make a piece long enough.
    """
    limits = _limits(run)
    probes = step_design(limits, longest_context_tokens=longest_context_tokens)
    pieces = [_piece(run, probe) for probe in probes]
    shorts_s = sum(piece["est_s"] for piece in pieces if piece["est_s"] <= SHORT_S)
    round_s = sum(piece["est_s"] for piece in pieces) + (ROUNDS_OF_SHORT - 1) * shorts_s
    affordable = int(run.options.time_budget_s * STEPS_SHARE / round_s)
    rounds = max(_FEWEST_ROUNDS, min(run.options.rounds, affordable))
    facts = [
        Fact(subject="design", name="rounds", value=rounds, why=_rounds_why(run, rounds)),
        Fact(subject="design", name="limits", value=asdict(limits), unit="tokens"),
    ]
    workload = Task(id="workload", kind="workload", spec={"est_s": _rest_s(run)})
    run.recording.plan(
        [*_interleaved(pieces, rounds, run.options.seed), *_spans(run, pieces), workload],
        *facts,
        done=task.id,
    )


def step(run: Run, task: Task) -> None:
    """Time one probe once and commit it."""
    spec: dict[str, Any] = task.spec
    probe = StepProbe(**{name: spec[name] for name in PROBE_FIELDS})
    prepared = run.prepared.get(probe.id)
    if prepared is None:
        prepared = prepare(run.engine, probe, spec["steps"])
        run.prepared[probe.id] = prepared
        once(run.engine, prepared)  # the first run of a state is cold
    began_s = run.recording.clock_s()
    timings = [once(run.engine, prepared) for _ in range(spec["repeats"])]
    row = sample(
        task=probe.id,
        role=Role.HELD_OUT if probe.held_out else Role.FIT,
        phase=probe.phase,
        round_number=spec["round"],
        t_s=began_s,
        timing=_per_step(timings, prepared.steps),
        load=prepared.load,
        steps=prepared.steps * len(timings),
    )
    run.recording.add(row, done=task.id)


def prepare(engine: LocalEngine, probe: StepProbe, steps: int) -> PreparedSteps:
    """The engine's state for a probe."""
    if probe.phase == "decode":
        return engine.prepare_decode(
            seqs=probe.seqs, context_tokens=probe.cached_tokens, steps=steps
        )
    return engine.prepare_prefill(
        seqs=probe.seqs, new_tokens=probe.new_tokens, cached_tokens=probe.cached_tokens
    )


PROBE_FIELDS = ("phase", "held_out", "seqs", "new_tokens", "cached_tokens")


def _limits(run: Run) -> Limits:
    """What context, half of the KV budget and the time for the rounds allow."""
    context = run.engine.target.known_shape.max_context_tokens
    kv_tokens = run.fact("kv", "capacity_tokens")
    short = run.engine.prepare_prefill(seqs=1, new_tokens=min(128, context), cached_tokens=0)
    once(run.engine, short)
    token_s = once(run.engine, short).seconds / short.load.prefill_tokens
    limits = Limits(
        context_tokens=context,
        kv_tokens=max(64, int(kv_tokens) // 2 if isinstance(kv_tokens, int) else context),
        prefill_tokens=_LONGEST_PREFILL,
    )
    round_s = run.options.time_budget_s * STEPS_SHARE / run.options.rounds
    while limits.prefill_tokens > _SHORTEST_PREFILL:
        probes = step_design(limits)
        tokens = sum(p.seqs * p.new_tokens for p in probes if p.phase == "prefill")
        if tokens * token_s + PIECE_S * len(probes) <= round_s:
            break
        limits = replace(limits, prefill_tokens=limits.prefill_tokens // 2)
    return limits


def _piece(run: Run, probe: StepProbe) -> dict[str, Any]:
    """A probe with the steps and repeats that make its piece long enough, and its seconds.

    Steps are a power of two, so that two runs on like machines time the same loads.
    """
    steps = 1 if probe.phase == "prefill" else 2
    prepared = prepare(run.engine, probe, steps)
    step_s = once(run.engine, prepared).seconds / steps
    if step_s < PIECE_S:  # the first run is cold, which matters where steps are to be counted
        step_s = max(once(run.engine, prepared).seconds / steps, 1e-6)
    repeats = 1
    if probe.phase == "decode":
        context = run.engine.target.known_shape.max_context_tokens
        room = min(DECODE_ROOM, context - probe.cached_tokens)
        while steps * 2 <= room and steps * step_s < PIECE_S:
            steps *= 2
    while repeats < _PIECES_AT_MOST and repeats * steps * step_s < PIECE_S:
        repeats *= 2
    own = {name: getattr(probe, name) for name in PROBE_FIELDS}
    return {**own, "steps": steps, "repeats": repeats, "est_s": repeats * steps * step_s}


def _interleaved(pieces: Sequence[dict[str, Any]], rounds: int, seed: int) -> list[Task]:
    """Every probe once per round, in a seeded order that differs from round to round.

    A disturbance of some seconds then spoils one round of many probes, not all of one. Between
    two full rounds come two of the short pieces alone: they are as easily spoiled as long ones,
    and trying them again costs little.
    """
    tasks = []
    short = [piece for piece in pieces if piece["est_s"] <= SHORT_S]
    for number in range(rounds * ROUNDS_OF_SHORT):
        order = list(short if number % ROUNDS_OF_SHORT else pieces)
        random.Random(f"{seed}/{number}").shuffle(order)
        for piece in order:
            probe = StepProbe(**{name: piece[name] for name in PROBE_FIELDS})
            spec = {**piece, "round": number}
            tasks.append(Task(id=f"{probe.id}#{number}", kind="step", spec=spec))
    return tasks


def _spans(run: Run, pieces: Sequence[dict[str, Any]]) -> list[Task]:
    """On a GPU: one long span per phase for the driver's own counters."""
    if run.gpu is None:
        return []
    longest = {piece["phase"]: piece for piece in sorted(pieces, key=lambda p: p["est_s"])}
    return [
        Task(id=f"span-{phase}", kind="span", spec={**piece, "est_s": 1.0})
        for phase, piece in sorted(longest.items())
    ]


def _per_step(timings: Sequence[Timing], steps: int) -> Timing:
    count = len(timings) * steps
    return Timing(
        seconds=sum(t.seconds for t in timings) / count,
        wall_s=sum(t.wall_s for t in timings) / count,
        clock=timings[0].clock,
    )


def _rounds_why(run: Run, rounds: int) -> str:
    if rounds == run.options.rounds:
        return "as asked for"
    return f"{run.options.rounds} rounds would not end within the time budget"


def _rest_s(run: Run) -> float:
    return run.options.time_budget_s * (LADDER_SHARE + PRESSURE_SHARE + REPLAY_SHARE)
