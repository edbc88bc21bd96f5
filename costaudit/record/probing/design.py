"""Which probes a server gets: single prompts for prefill, bursts of equal requests for decode."""

from __future__ import annotations

from dataclasses import dataclass
from operator import itemgetter
from typing import TYPE_CHECKING, Any

from costaudit.recording.rows import Task

if TYPE_CHECKING:
    from collections.abc import Sequence

    from costaudit.record.probing.bounds import Bounds

# Of a decode probe: enough for a window in which all of the burst decode; fewer where it is slow.
OUTPUT_TOKENS = (48, 24, 16)
LONG_PROMPT_TOKENS = 1024  # timed in any case: a what-if may bring longer prompts than today's
SLOWER_TOGETHER = 1.5  # a step of a burst over one of a sequence alone, prompts included
PREFILL_REPEATS = 3
_FITTED_PROMPTS, _HELD_OUT_PROMPTS = (16, 256, 1024, 4096), (64, 512, 2048)
_FITTED_BURSTS = ((1, 32), (1, 1024), (2, 64), (4, 256), (8, 64), (16, 512), (32, 64), (64, 32))
_HELD_OUT_BURSTS = ((1, 256), (4, 64), (8, 512), (16, 128), (32, 256))


@dataclass(frozen=True, slots=True, kw_only=True)
class ServedProbe:
    """`seqs` requests of `prompt_tokens` and `output_tokens` each, sent together."""

    phase: str
    held_out: bool
    seqs: int
    prompt_tokens: int
    output_tokens: int

    @property
    def id(self) -> str:
        """A name that is unique within a design."""
        return f"{self.phase}-{self.seqs}x{self.prompt_tokens}"

    @property
    def tokens(self) -> int:
        """Prompt and output tokens of one run of it."""
        repeats = PREFILL_REPEATS if self.phase == "prefill" else self.seqs
        return repeats * (self.prompt_tokens + self.output_tokens)

    @property
    def work(self) -> int:
        """For an order by time, roughly: a decode step costs as much as some tens of a prompt."""
        return self.tokens + _STEP_WORK * self.output_tokens


_STEP_WORK = 32


def burst_tokens(step_s: float, round_s: float) -> int:
    """Output tokens of a decode probe, so that a round of them fits in `round_s`.

    `step_s` is the time between tokens of one sequence alone.
    """
    steps_s = SLOWER_TOGETHER * step_s * len((*_FITTED_BURSTS, *_HELD_OUT_BURSTS))
    fitting = (tokens for tokens in OUTPUT_TOKENS if tokens * steps_s <= round_s)
    return next(fitting, OUTPUT_TOKENS[-1])


def served_design(
    bounds: Bounds, *, output_tokens: int = OUTPUT_TOKENS[0]
) -> tuple[ServedProbe, ...]:
    """The probes that fit: prompts up to the workload's longest, bursts that half the cache holds.

    No held-out probe equals a fitted one.
    """
    longest = max(bounds.longest_prompt_tokens, LONG_PROMPT_TOKENS)
    longest = max(16, min(longest, bounds.context_tokens - 2))
    probes = [
        *(_prefill(p, longest, held_out=False) for p in _FITTED_PROMPTS),
        *(_prefill(p, longest, held_out=True) for p in _HELD_OUT_PROMPTS),
        *(_decode(s, p, output_tokens, bounds, held_out=False) for s, p in _FITTED_BURSTS),
        *(_decode(s, p, output_tokens, bounds, held_out=True) for s, p in _HELD_OUT_BURSTS),
    ]
    unique: dict[str, ServedProbe] = {}
    for probe in probes:
        if probe is not None:
            unique.setdefault(probe.id, probe)
    return tuple(unique.values())


def rounds_of(probes: Sequence[ServedProbe], rounds: Sequence[Sequence[int]]) -> list[Task]:
    """Tasks: every probe once per round, each round in the order given by `rounds`.

    The repeats of a single prompt are tasks of their own, spread over what is left of the round: a
    shared host is fast or slow for seconds on end, and repeats at once would all see the same.
    """
    tasks = []
    for number, order in enumerate(rounds):
        placed = []
        for rank, place in enumerate(order):
            repeats = PREFILL_REPEATS if probes[place].phase == "prefill" else 1
            step = (len(order) - rank) / repeats
            placed += [(rank + turn * step, turn, probes[place]) for turn in range(repeats)]
        placed.sort(key=itemgetter(0))
        tasks += [_task(probe, number, turn) for _, turn, probe in placed]
    return tasks


def _task(probe: ServedProbe, number: int, turn: int) -> Task:
    spec: dict[str, Any] = {
        "purpose": "step",
        "probe": probe.id,
        "phase": probe.phase,
        "held_out": probe.held_out,
        "seqs": probe.seqs,
        "new_tokens": probe.prompt_tokens,
        "output_tokens": probe.output_tokens,
        "round": number,
        "requests": probe.seqs,
    }
    repeat = f".{turn}" if turn else ""
    return Task(id=f"{probe.id}#{number}{repeat}", kind="rung", spec=spec)


def _prefill(prompt: int, longest: int, *, held_out: bool) -> ServedProbe | None:
    """Prompts longer than the longest come down to it once, as a fitted probe."""
    if prompt > longest:
        if held_out or prompt > 4 * longest:
            return None
        prompt = longest
    return ServedProbe(
        phase="prefill", held_out=held_out, seqs=1, prompt_tokens=prompt, output_tokens=1
    )


def _decode(
    seqs: int, prompt: int, output: int, bounds: Bounds, *, held_out: bool
) -> ServedProbe | None:
    output = min(output, max(8, bounds.context_tokens // 2))
    prompt = min(prompt, bounds.context_tokens - output - 1)
    if prompt < 1 or seqs > bounds.concurrency:
        return None
    if bounds.kv_tokens is not None and seqs * (prompt + output) > bounds.kv_tokens // 2:
        prompt = bounds.kv_tokens // 2 // seqs - output
        if prompt < 8 or held_out:  # noqa: PLR2004 a context too short to stand for a request
            return None
    return ServedProbe(
        phase="decode", held_out=held_out, seqs=seqs, prompt_tokens=prompt, output_tokens=output
    )
