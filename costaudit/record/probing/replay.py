"""The workload against the server: in a closed loop until the interval is narrow, then a ladder."""

from __future__ import annotations

from itertools import takewhile
from typing import TYPE_CHECKING, Any

from costaudit.probe.draw import declared_lengths, summary
from costaudit.record.fitting import Fitted, fit_workload
from costaudit.record.probing import timing
from costaudit.record.probing.open_loop import plan_open
from costaudit.record.probing.pressure import plan_pressure
from costaudit.record.probing.rungs import nobody, run_rung
from costaudit.record.probing.steady import Steady
from costaudit.record.probing.workload_shots import cycled, drawn_requests, turns_of
from costaudit.recording.rows import Fact, RequestRow, Task

if TYPE_CHECKING:
    from costaudit.ground.steady import Rate
    from costaudit.record.probing.pace import Pace
    from costaudit.record.probing.probing import Probing
    from costaudit.recording.rows import Answer

# Of the workload that should fit into the replay's time, and before its lengths are cut: a what-if
# from shorter prompts and answers than the real ones is off by what nobody timed.
CYCLES, FEWEST_CYCLES = 3, 2
LADDER = (1, 2, 4, 8, 16, 32, 64, 128, 256)
LADDER_RUNGS, LADDER_REQUESTS = 4, 3  # rungs at most, requests per stream
MOST_CYCLES = 1000
OVERTIME = 1.25  # of the replay's time, after which what is still under way is cut


def plan_replay(
    probing: Probing, task: Task, pace: Pace, *, replay_s: float, ladder_s: float
) -> None:
    """Fit the workload to context and time, write it down, and plan its replay and the ladder."""
    fitted = max(
        (_fitted(probing, pace, replay_s / cycles) for cycles in (CYCLES, FEWEST_CYCLES)),
        key=lambda fitted: fitted.scale,
    )
    rows = [
        RequestRow(
            task="replay",
            batch=0,
            prompt_tokens=r.prompt_tokens,
            output_tokens=r.output_tokens,
            prefix_id=r.prefix_id,
            prefix_tokens=r.prefix_tokens,
            ttft_s=None,
            e2e_s=None,
        )
        for r in fitted.requests
    ]
    replay = Task(id="replay", kind="replay", spec={"purpose": "replay", "est_s": replay_s})
    ladder = _ladder(probing, fitted, pace, ladder_s)
    probing.recording.plan([replay, *ladder, *plan_open(probing), *plan_pressure(probing)])
    probing.recording.add(*rows, *_facts(probing, fitted), done=task.id)


def _fitted(probing: Probing, pace: Pace, cycle_s: float) -> Fitted:
    return fit_workload(
        probing.workload,
        max_context_tokens=_longest(probing),
        batch_size=probing.concurrency,
        budget_s=cycle_s,
        batch_s=lambda lengths: pace.cycle_s(lengths, probing.concurrency),
        seed=probing.options.seed,
        scale=probing.options.scale,
    )


def replay_rung(probing: Probing, task: Task) -> None:
    """The workload's requests again and again in a closed loop, until the rate is known.

    Then no more is sent, and what is under way comes to its end: the server counts the same as we,
    and nothing of ours runs on. It is cut only where that takes too long.
    """
    drawn = drawn_requests(probing)
    turns = turns_of(probing, drawn)
    steady = Steady(
        concurrency=probing.concurrency,
        cycle=len(drawn),
        half_share=probing.options.precision_share,
        longest_s=float(str(task.spec["est_s"])),
    )

    def watch(answer: Answer) -> None:
        steady.watch(answer)
        if turns is not None:
            turns.watch(answer)

    run_rung(
        probing,
        task.id,
        takewhile(lambda _: not steady.stop(), cycled(probing, drawn, turns=turns)),
        requests=len(drawn) * MOST_CYCLES,
        concurrency=steady.concurrency,
        longest_s=OVERTIME * steady.longest_s,
        kind=task.id,
        watch=watch,
        facts=lambda _: (_fact(steady.rate(ended=True)),),
    )
    probing.settle()  # what the server counted of it is not to be mixed with the ladder


def _fact(rate: Rate | None) -> Fact:
    """The steady part of the replay."""
    if rate is None:
        why = "the replay ended before its streams were out of step"
        return Fact(subject="replay", name="steady", value=None, why=why)
    value = {"from_s": rate.from_s, "to_s": rate.to_s, "half_share": rate.half_share}
    return Fact(subject="replay", name="steady", value=value, unit="s")


def ladder_rung(probing: Probing, task: Task) -> None:
    """The same requests at another concurrency, once; not where the time is over."""
    left_s = timing.left_s(probing)
    if left_s <= 0:
        why = "the time of the audit was over"
        left_out = Fact(subject="left out", name=task.id, value=True, why=why)
        probing.recording.add(left_out, done=task.id)
        return
    drawn = drawn_requests(probing)
    spec: dict[str, Any] = task.spec
    wanted = int(spec["requests"])
    turns = turns_of(probing, drawn)
    run_rung(
        probing,
        task.id,
        cycled(probing, drawn, turns=turns),
        requests=wanted,
        concurrency=int(spec["concurrency"]),
        longest_s=left_s,
        watch=turns.watch if turns is not None else nobody,
    )


def _longest(probing: Probing) -> int:
    """Longest prompt plus output: the context, or what the whole cache holds if that is less."""
    kv_tokens = probing.kv_tokens
    return min(probing.context_tokens, kv_tokens) if kv_tokens else probing.context_tokens


def _ladder(probing: Probing, fitted: Fitted, pace: Pace, ladder_s: float) -> list[Task]:
    """Rungs below and above the replay's concurrency that the time allows, spread evenly."""
    top = probing.options.limits.concurrency
    known = probing.found.target.knobs.get("max_num_seqs")
    if known is not None and isinstance(known.value, int):
        top = min(top, 2 * known.value)
    rungs = [c for c in LADDER if c <= top and c != probing.concurrency]
    step = max(1, -(-len(rungs) // LADDER_RUNGS))
    tasks, left_s = [], ladder_s
    for concurrency in rungs[::step]:
        requests = max(LADDER_REQUESTS * concurrency, LADDER_REQUESTS)
        chosen = [fitted.requests[n % len(fitted.requests)] for n in range(requests)]
        lengths = [(r.prompt_tokens, r.output_tokens) for r in chosen]
        est_s = pace.cycle_s(lengths, concurrency)
        if est_s > left_s:
            continue
        left_s -= est_s
        spec = {
            "purpose": "ladder",
            "concurrency": concurrency,
            "requests": requests,
            "est_s": est_s,
        }
        tasks.append(Task(id=f"ladder-{concurrency}", kind="ladder", spec=spec))
    return tasks


def _facts(probing: Probing, fitted: Fitted) -> tuple[Fact, ...]:
    """What was declared, what is run, and why they differ."""
    workload, requests = probing.workload, fitted.requests
    prompts, outputs = declared_lengths(workload)
    shared = sum(r.prefix_tokens for r in requests)
    slo = {"ttft_s": workload.slo.ttft_s, "itl_s": workload.slo.itl_s}
    load = {"concurrency": workload.concurrency, "requests_per_s": workload.requests_per_s}
    values: dict[str, tuple[object, str]] = {
        "probe": (workload.name, workload.why),
        "stands_for": (workload.stands_for, ""),
        "slo": ({k: v for k, v in slo.items() if v is not None}, workload.slo.why),
        "load": (load, ""),
        "declared_prompt_tokens": (prompts, ""),
        "declared_output_tokens": (outputs, ""),
        "prompt_tokens": (summary([r.prompt_tokens for r in requests]), fitted.scale_why),
        "output_tokens": (summary([r.output_tokens for r in requests]), fitted.scale_why),
        "prefix_share": (shared / sum(r.prompt_tokens for r in requests), ""),
        "requests": (len(requests), fitted.requests_why),
        "declared_requests": (workload.requests, ""),
        "concurrency": (probing.concurrency, ""),
        "scale": (fitted.scale, fitted.scale_why),
        "seed": (workload.seed + probing.options.seed, ""),
    }
    return tuple(
        Fact(subject="workload", name=name, value=value, why=why)
        for name, (value, why) in values.items()
    )
