"""Runs one rung: makes its requests, keeps its answers, notes how the client did."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Any

from costaudit.record.client.load import Rung, Shot
from costaudit.record.dialects.dialect import Ask
from costaudit.record.probing.design import PREFILL_REPEATS
from costaudit.recording.rows import Fact

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from costaudit.record.client.load import RungEnd
    from costaudit.record.probing.guard import Guard
    from costaudit.record.probing.probing import Probing
    from costaudit.recording.recording import Recording
    from costaudit.recording.rows import Answer, Task

ROWS_AT_ONCE = 64  # answers per transaction while a rung runs


@dataclass(slots=True, kw_only=True)
class Keeper:
    """Writes answers down in groups, so that the client's loop is seldom held up."""

    recording: Recording
    waiting: list[Answer] = field(default_factory=list)
    failed: int = 0

    def __call__(self, answer: Answer) -> None:
        """Take one answer."""
        self.failed += not answer.ok
        self.waiting.append(answer)
        if len(self.waiting) >= ROWS_AT_ONCE:
            self.flush()

    def flush(self, *facts: Fact, done: str | None = None) -> None:
        """Write what is waiting, with facts and the task that it finishes."""
        rows, self.waiting = self.waiting, []
        self.recording.add(*rows, *facts, done=done)


def step_rung(probing: Probing, task: Task) -> None:
    """A step probe: single prompts one after the other, or a burst all at once."""
    spec: dict[str, Any] = task.spec
    together = spec["phase"] == "decode"
    count = int(spec["seqs"]) if together else PREFILL_REPEATS
    lengths = [(int(spec["new_tokens"]), int(spec["output_tokens"]))] * count
    run_rung(
        probing,
        task.id,
        cold_shots(probing, lengths),
        requests=count,
        concurrency=count if together else 1,
    )


def cold_shots(probing: Probing, lengths: Iterable[tuple[int, int]]) -> Iterator[Shot]:
    """Requests of (prompt, output) tokens that share nothing with each other."""
    for number, (prompt, output) in enumerate(lengths):
        yield shot(probing, number, probing.prompts.cold(prompt), prompt, output)


def shot(
    probing: Probing, number: int, prompt: tuple[int, ...] | str, tokens: int, output: int
) -> Shot:
    """One request, ready to be sent."""
    ask = Ask(prompt=prompt, output_tokens=output)
    call = probing.found.dialect.call(ask, model=probing.found.model)
    return Shot(number=number, call=call, output_tokens=output, prompt_tokens=tokens)


def run_rung(
    probing: Probing,
    task: str,
    shots: Iterable[Shot],
    *,
    requests: int,
    concurrency: int,
    window_s: float | None = None,
    watch: Callable[[Answer], None] | None = None,
    stop: Callable[[], str] | None = None,
    facts: Callable[[RungEnd], tuple[Fact, ...]] | None = None,
) -> bool:
    """Run the rung and write it down; False where a limit ended it (the guard says which).

    `watch` sees each answer, `stop` may end the rung early, `facts` go into its last transaction.
    """
    guard, keeper = probing.guard, Keeper(recording=probing.recording)
    guard.ours = concurrency
    began_s = probing.recording.clock_s()

    def take(answer: Answer) -> None:
        keeper(answer)
        if watch is not None:
            watch(answer)

    def ended() -> str:
        return guard.stop() or (stop() if stop is not None else "")

    booked = _booked(guard, shots)
    rung = Rung(shots=booked, concurrency=concurrency, requests=requests, window_s=window_s)
    try:
        end = probing.client(rung, task=task, on_answer=take, stop=ended)
    except BaseException:
        keeper.flush()
        raise
    told = Fact(subject="rung", name=task, value=_about(end, began_s, concurrency), unit="")
    keeper.flush(told, *(facts(end) if facts is not None else ()), done=task)
    return not guard.why


def _booked(guard: Guard, shots: Iterable[Shot]) -> Iterator[Shot]:
    """The shots as long as the limits allow them, each booked as it is taken."""
    for taken in shots:
        if guard.allow(
            requests=1,
            prompt_tokens=taken.prompt_tokens or 0,
            output_tokens=taken.output_tokens,
        ):
            return
        yield taken


def _about(end: RungEnd, began_s: float, concurrency: int) -> dict[str, Any]:
    about = asdict(end)
    return {**about, "t_s": began_s, "concurrency": concurrency}
