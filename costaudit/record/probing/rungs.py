"""Runs one rung: makes its requests, keeps its answers, notes how the client did."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from costaudit.record.client.load import Rung, Shot
from costaudit.record.dialects.dialect import Ask
from costaudit.record.probing import timing
from costaudit.record.probing.design import PREFILL_REPEATS
from costaudit.record.probing.ending import Ending
from costaudit.record.probing.keeper import Keeper
from costaudit.recording.rows import Fact

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from costaudit.record.client.load import RungEnd
    from costaudit.record.probing.probing import Probing
    from costaudit.recording.rows import Answer, Task


def step_rung(probing: Probing, task: Task) -> None:
    """A step probe: single prompts one after the other, or a burst all at once.

    Where the time of the step probes is over it is left out, once there is a probe of its phase.
    """
    spec: dict[str, Any] = task.spec
    left_s = timing.steps_left_s(probing)
    if left_s <= 0 and _told(probing, str(spec["phase"])):
        why = "the time for the step probes was over"
        left_out = Fact(subject="left out", name=task.id, value=True, why=why)
        probing.recording.add(left_out, done=task.id)
        return
    together = spec["phase"] == "decode"
    count = int(spec["seqs"]) if together else int(spec.get("requests", PREFILL_REPEATS))
    lengths = [(int(spec["new_tokens"]), int(spec["output_tokens"]))] * count
    grace_s = timing.GRACE_SHARE * probing.options.time_budget_s
    run_rung(
        probing,
        task.id,
        cold_shots(probing, lengths),
        requests=count,
        concurrency=count if together else 1,
        longest_s=max(left_s, 0.0) + grace_s,
        kind=str(spec["probe"]),
    )


def _told(probing: Probing, phase: str) -> bool:
    """Some probe of this phase was run already."""
    return any(
        task.done and task.spec.get("purpose") == "step" and task.spec["phase"] == phase
        for task in probing.recording.tasks()
    )


def cold_shots(probing: Probing, lengths: Iterable[tuple[int, int]]) -> Iterator[Shot]:
    """Requests of (prompt, output) tokens that share nothing with each other."""
    for number, (prompt, output) in enumerate(lengths):
        yield shot(probing, number, probing.prompts.cold(prompt), prompt, output)


def shot(
    probing: Probing,
    number: int,
    prompt: tuple[int, ...] | str,
    tokens: int,
    output: int,
    *,
    start_s: float | None = None,
) -> Shot:
    """One request, ready to be sent, at `start_s` of its rung in an open loop."""
    ask = Ask(prompt=prompt, output_tokens=output)
    call = probing.found.dialect.call(ask, model=probing.found.model)
    return Shot(
        number=number, call=call, output_tokens=output, prompt_tokens=tokens, start_s=start_s
    )


def nobody(_: Answer) -> None:
    """Nobody watches."""


def nothing(_: RungEnd) -> tuple[Fact, ...]:
    """There is nothing to add."""
    return ()


def run_rung(
    probing: Probing,
    task: str,
    shots: Iterable[Shot],
    *,
    requests: int,
    concurrency: int,
    longest_s: float,
    kind: str = "",
    watch: Callable[[Answer], None] = nobody,
    stop: Callable[[], str] | None = None,
    facts: Callable[[RungEnd], tuple[Fact, ...]] = nothing,
) -> None:
    """Run the rung and write it down; what runs after `longest_s` is cut.

    `kind` names requests that are alike over several rungs, whose TTFTs may be compared;
    `watch` sees each answer, `stop` may end the rung early, `facts` go into its last transaction.

    Raises:
        TargetError, UsageError: the server gives no answers (any more), or refuses all of them;
            what came is kept, and the task is not done.
    """
    guard, recording = probing.guard, probing.recording
    keeper = Keeper(recording=recording, guard=guard, streams=concurrency, watch=watch, kind=kind)
    ending = Ending(guard=guard, keeper=keeper, longest_s=longest_s, stop=stop)
    guard.ours = concurrency
    recording.drop_answers(task)
    began_s = recording.clock_s()
    rung = Rung(shots=guard.booked(shots), concurrency=concurrency, requests=requests)
    with keeper:
        end = probing.client(rung, task=task, on_answer=keeper, stop=ending)
        failure = ending.failure(end, probing.found, exact=probing.prompts.exact)
        told = Fact(subject="rung", name=task, value=_about(end, began_s, concurrency), unit="")
        keeper.flush(told, *facts(end), done=None if failure else task)
    if failure is not None:
        raise failure


def _about(end: RungEnd, began_s: float, concurrency: int) -> dict[str, Any]:
    about = asdict(end)
    return {**about, "t_s": began_s, "concurrency": concurrency}
