"""The workload replayed as static batches, and the ladder from one prompt to eight."""

from __future__ import annotations

from itertools import pairwise
from typing import TYPE_CHECKING, Any

from costaudit.ground.stats import percentile
from costaudit.probe.draw import declared_lengths, summary
from costaudit.probe.workload import Workload, load_workload
from costaudit.record.fitting import Fitted, fit_workload, lengths_of
from costaudit.record.kv import growth_bytes_per_token, waste_by_layout
from costaudit.record.pace import pace_s
from costaudit.record.run import (
    LADDER_SHARE,
    PEAKS_SHARE,
    PRESSURE_SHARE,
    REPLAY_SHARE,
    Run,
    sample,
)
from costaudit.record.speed import Speed, fit_speed
from costaudit.recording.rows import Fact, RequestRow, Role, Sample, Task

if TYPE_CHECKING:
    from collections.abc import Sequence

    from costaudit.record.engines.engine import ReplayedSpan

LADDER_PROBE = "batch-of-eight"
LADDER_ROUNDS = 2
MICRO_S = 6  # decimals kept of a token's time


def plan_workload(run: Run, task: Task) -> None:
    """Fit the workload to the machine, then plan ladder, replay and pressure ramp."""
    run.prepared.clear()  # the step probes are done; their caches may go
    speed = fit_speed(run.recording.samples(Role.FIT))
    budget_s = run.options.time_budget_s
    fitted = _fit(run, run.workload, run.batch_size, budget_s * REPLAY_SHARE, speed)
    ladder = _fit_ladder(run, speed, budget_s * LADDER_SHARE)
    pressure = Task(id="pressure", kind="pressure", spec={"est_s": budget_s * PRESSURE_SHARE})
    peaks = Task(id="peaks-again", kind="peaks", spec={"est_s": budget_s * PEAKS_SHARE / 2})
    requests = Task(id="requests", kind="requests", spec={"est_s": 0.1})
    run.recording.plan(
        [
            *_ladder_tasks(ladder, speed),
            *_replay_tasks(run, fitted, speed),
            requests,
            pressure,
            peaks,
        ],
        *workload_facts(run, fitted),
        Fact(subject="ladder", name="scale", value=ladder.scale, why=ladder.scale_why),
        done=task.id,
    )


def replay(run: Run, task: Task) -> None:
    """Run one static batch once: a sample per phase, and when each token was there."""
    spec: dict[str, Any] = task.spec
    lengths = [(int(p), int(o)) for p, o in spec["lengths"]]
    before_s = pace_s(run.engine)
    began_s = run.recording.clock_s()
    spans, token_s = run.engine.replay_batch(lengths)
    pace = [before_s, pace_s(run.engine)]
    role = Role.LADDER if task.kind == "ladder" else Role.REPLAY
    rows = []
    for span in spans:
        rows.append(_span_row(spec["name"], role, spec["round"], began_s, span))
        began_s += span.timing.wall_s
    times = [round(seconds, MICRO_S) for seconds in token_s]
    facts = [Fact(subject=str(role), name=f"token_s/{task.id}", value=times, unit="s")]
    if None not in pace:
        facts.append(Fact(subject=str(role), name=f"pace_s/{task.id}", value=pace, unit="s"))
    run.recording.add(*rows, *facts, done=task.id)


def record_requests(run: Run, task: Task) -> None:
    """One row per request from the fastest round of its batch, and the times between tokens.

    The fact "envelope_s" holds, per batch and phase, the sum of each step's fastest round: a
    disturbance spoils some steps of every round, but seldom the same step of all.
    """
    rounds: dict[int, list[list[float]]] = {}
    batches: dict[int, dict[str, Any]] = {}
    for done in (t for t in run.recording.tasks() if t.kind == "replay"):
        found = run.fact(str(Role.REPLAY), f"token_s/{done.id}")
        if not isinstance(found, list) or not found:
            continue
        spec: dict[str, Any] = done.spec
        batches[spec["batch"]] = spec
        rounds.setdefault(spec["batch"], []).append(found)
    times = {batch: min(found, key=lambda t: t[-1]) for batch, found in rounds.items()}
    envelope = {f"replay-{batch}": _envelope(found) for batch, found in rounds.items()}
    rows = [row for batch, spec in batches.items() for row in _request_rows(spec, times[batch])]
    gaps = [gap for batch, spec in batches.items() for gap in _gaps(spec, times[batch])]
    best = Fact(subject="replay", name="envelope_s", value=envelope, unit="s")
    run.recording.add(*rows, _itl_fact(gaps), best, done=task.id)


def workload_facts(run: Run, fitted: Fitted) -> tuple[Fact, ...]:
    """What was declared, what is run, and why they differ; what layouts waste on it."""
    workload, requests = run.workload, fitted.requests
    prompts, outputs = declared_lengths(workload)
    shared = sum(r.prefix_tokens for r in requests)
    slo = {"ttft_s": workload.slo.ttft_s, "itl_s": workload.slo.itl_s}
    batches = [lengths_of(batch) for batch in fitted.batches(run.batch_size)]
    values: dict[str, tuple[object, str]] = {
        "probe": (workload.name, workload.why),
        "stands_for": (workload.stands_for, ""),
        "slo": ({k: v for k, v in slo.items() if v is not None}, workload.slo.why),
        "load": (
            {"concurrency": workload.concurrency, "requests_per_s": workload.requests_per_s},
            "",
        ),
        "declared_prompt_tokens": (prompts, ""),
        "declared_output_tokens": (outputs, ""),
        "prompt_tokens": (summary([r.prompt_tokens for r in requests]), fitted.scale_why),
        "output_tokens": (summary([r.output_tokens for r in requests]), fitted.scale_why),
        "prefix_share": (shared / sum(r.prompt_tokens for r in requests), ""),
        "requests": (len(requests), fitted.requests_why),
        "declared_requests": (workload.requests, ""),
        "arrival_s": ([round(r.arrival_s, MICRO_S) for r in requests], ""),
        "batch_size": (run.batch_size, ""),
        "scale": (fitted.scale, fitted.scale_why),
        "seed": (workload.seed + run.options.seed, ""),
    }
    waste = dict(waste_by_layout(batches))
    why = "share of reserved memory over time that holds no token of a live request"
    return (
        *(Fact(subject="workload", name=n, value=v, why=why) for n, (v, why) in values.items()),
        Fact(subject="kv", name="waste_share", value=waste, why=why),
        Fact(
            subject="kv", name="usage_peak_share", value=_usage(run, batches), why="of the budget"
        ),
    )


def _usage(run: Run, batches: Sequence[Sequence[tuple[int, int]]]) -> float | None:
    """Largest share of the KV budget that a batch's dynamic cache takes."""
    budget = run.fact("kv", "budget_bytes")
    if not isinstance(budget, (int, float)) or budget <= 0:
        return None
    tokens = max(len(b) * (max(p for p, _ in b) + max(o for _, o in b)) for b in batches)
    return tokens * growth_bytes_per_token(run) / budget


def _fit(run: Run, workload: Workload, batch_size: int, budget_s: float, speed: Speed) -> Fitted:
    return fit_workload(
        workload,
        max_context_tokens=run.engine.target.known_shape.max_context_tokens,
        batch_size=batch_size,
        budget_s=budget_s / run.options.replay_rounds,
        batch_s=speed.batch_s,
        seed=run.options.seed,
        scale=run.options.scale if workload is run.workload else None,
        requests=run.options.requests if workload is run.workload else None,
    )


def _fit_ladder(run: Run, speed: Speed, budget_s: float) -> Fitted:
    workload = load_workload(LADDER_PROBE)
    size = workload.concurrency or workload.requests
    return _fit(run, workload, size, budget_s * run.options.replay_rounds / LADDER_ROUNDS, speed)


def _ladder_tasks(ladder: Fitted, speed: Speed) -> list[Task]:
    tasks = []
    for number in range(LADDER_ROUNDS):
        for count in (1, len(ladder.requests)):
            lengths = lengths_of(ladder.requests[:count])
            spec: dict[str, object] = {
                "name": f"ladder-{count}",
                "round": number,
                "lengths": lengths,
                "est_s": speed.batch_s(lengths),
            }
            tasks.append(Task(id=f"ladder-{count}#{number}", kind="ladder", spec=spec))
    return tasks


def _replay_tasks(run: Run, fitted: Fitted, speed: Speed) -> list[Task]:
    tasks = []
    for number in range(run.options.replay_rounds):
        for place, batch in enumerate(fitted.batches(run.batch_size)):
            lengths = lengths_of(batch)
            spec: dict[str, object] = {
                "name": f"replay-{place}",
                "batch": place,
                "round": number,
                "lengths": lengths,
                "prefixes": [(r.prefix_id, r.prefix_tokens) for r in batch],
                "est_s": speed.batch_s(lengths),
            }
            tasks.append(Task(id=f"replay-{place}#{number}", kind="replay", spec=spec))
    return tasks


def _span_row(name: str, role: Role, number: int, began_s: float, span: ReplayedSpan) -> Sample:
    return sample(
        task=name,
        role=role,
        phase=span.phase,
        round_number=number,
        t_s=began_s,
        timing=span.timing,
        load=span.load,
        steps=span.steps,
    )


def _request_rows(spec: dict[str, Any], token_s: Sequence[float]) -> list[RequestRow]:
    pairs = zip(spec["lengths"], spec["prefixes"], strict=True)
    return [
        RequestRow(
            task=spec["name"],
            batch=spec["batch"],
            prompt_tokens=prompt,
            output_tokens=output,
            prefix_id=group,
            prefix_tokens=shared,
            ttft_s=token_s[0],
            e2e_s=token_s[output - 1],
        )
        for (prompt, output), (group, shared) in pairs
    ]


def _gaps(spec: dict[str, Any], token_s: Sequence[float]) -> list[float]:
    """Seconds between two tokens of a request, once for every request that lived through them."""
    return [token_s[i] - token_s[i - 1] for _, output in spec["lengths"] for i in range(1, output)]


def _envelope(rounds: Sequence[Sequence[float]]) -> dict[str, float]:
    """Prefill and decode seconds of a batch when every step takes its fastest round's time."""
    steps = [[b - a for a, b in pairwise([0.0, *token_s])] for token_s in rounds]
    fastest = [min(times) for times in zip(*steps, strict=True)]
    return {"prefill": fastest[0], "decode": sum(fastest[1:])}


def _itl_fact(gaps: Sequence[float]) -> Fact:
    if not gaps:
        why = "no request has a second token"
        return Fact(subject="replay", name="itl_s", value=None, unit="s", why=why)
    value = {
        **{f"p{round(share * 100)}": percentile(gaps, share) for share in (0.5, 0.95, 0.99)},
        "samples": len(gaps),
    }
    return Fact(subject="replay", name="itl_s", value=value, unit="s")
