"""How fast the server answered its first probes: enough to plan the time that is left."""

from __future__ import annotations

from dataclasses import dataclass, replace
from itertools import pairwise
from types import MappingProxyType
from typing import TYPE_CHECKING

from costaudit.ground.stats import median
from costaudit.recording.answers import event_s

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from costaudit.recording.rows import Answer, Task

WARM, ALONE = "warm", MappingProxyType({"phase": "decode", "seqs": 1})
UNKNOWN_PREFILL_S, UNKNOWN_STEP_S = 1e-3, 50e-3  # per prompt token, per step: cautious guesses


@dataclass(frozen=True, slots=True, kw_only=True)
class Pace:
    """Seconds of a prompt alone by its tokens, and between tokens by the size of a burst."""

    prompt_s: Mapping[int, float]
    step_s: Mapping[int, float]

    def cycle_s(self, lengths: Iterable[tuple[int, int]], concurrency: int) -> float:
        """Rough seconds of a closed loop over these (prompt, output) lengths."""
        step_s = self.step_at(concurrency)
        return sum(self.prompt_at(p) + o * step_s / concurrency for p, o in lengths)

    def prompt_at(self, tokens: int) -> float:
        """Seconds of a prompt: between the lengths that were timed, beyond them in proportion."""
        if not self.prompt_s:
            return tokens * UNKNOWN_PREFILL_S
        shorter = max((n for n in self.prompt_s if n <= tokens), default=0)
        longer = min((n for n in self.prompt_s if n > tokens), default=0)
        if not longer:
            return self.prompt_s[shorter] * tokens / shorter
        from_s = self.prompt_s.get(shorter, self.prompt_s[longer])
        part = (tokens - shorter) / (longer - shorter)
        return from_s + part * (self.prompt_s[longer] - from_s)

    def step_at(self, concurrency: int) -> float:
        """Seconds between tokens at the nearest burst size that was timed."""
        if not self.step_s:
            return UNKNOWN_STEP_S
        return self.step_s[min(self.step_s, key=lambda seqs: abs(seqs - concurrency))]


def pace_of(tasks: Iterable[Task], answers: Sequence[Answer]) -> Pace:
    """From the step probes that have been answered, and the warm-up where there are none."""
    specs: dict[str, Mapping[str, object]]
    specs = {t.id: t.spec for t in tasks if t.spec.get("purpose") == "step"}
    specs = specs or {WARM: ALONE}
    prefill: dict[int, list[float]] = {}
    bursts: dict[str, list[Answer]] = {}
    for answer in answers:
        spec, came_s = specs.get(answer.task), event_s(answer)
        if spec is None or not answer.ok or not came_s:
            continue
        if spec["phase"] == "prefill":
            tokens = answer.prompt_tokens or int(str(spec["new_tokens"]))
            prefill.setdefault(tokens, []).append(came_s[0] - answer.sent_s)
        else:
            name = f"{WARM} {answer.number}" if answer.task == WARM else answer.task
            bursts.setdefault(name, []).append(answer)
    pace = Pace(prompt_s={tokens: min(found) for tokens, found in prefill.items()}, step_s={})
    steps: dict[int, list[float]] = {}
    for burst in bursts.values():
        if (step_s := _step_s(burst, pace)) is not None:
            steps.setdefault(len(burst), []).append(step_s)
    return replace(pace, step_s={seqs: median(found) for seqs, found in steps.items()})


def _step_s(burst: Sequence[Answer], pace: Pace) -> float | None:
    """Seconds of a step that gives each of them a token, as if they had all been served together.

    On a server that serves them one after the other that is as many steps as there are requests.
    What the prompts behind the first took is no part of it; but where it served several of them
    faster than one by one, what is left is too little, and a step is no shorter than a usual gap.
    """
    came_s = [event_s(answer) for answer in burst]
    tokens = sum(
        answer.output_tokens or len(at_s) for answer, at_s in zip(burst, came_s, strict=True)
    )
    gaps = (tokens - len(burst)) / len(burst)
    span_s = max(at_s[-1] for at_s in came_s) - min(at_s[0] for at_s in came_s)
    if gaps <= 0 or span_s <= 0:
        return None
    prompts_s = sorted(pace.prompt_at(answer.prompt_tokens or 0) for answer in burst)
    between_s = [b - a for at_s in came_s for a, b in pairwise(at_s)]
    usual_s = median(between_s) if between_s else 0.0
    return max((span_s - sum(prompts_s[1:])) / gaps, min(usual_s, span_s / gaps))
