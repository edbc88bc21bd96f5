"""How fast the server answered its first probes: enough to plan the time that is left."""

from __future__ import annotations

from dataclasses import dataclass
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
    """Seconds per prompt token, and seconds between tokens by the size of a burst."""

    prefill_token_s: float
    step_s: Mapping[int, float]

    def cycle_s(self, lengths: Iterable[tuple[int, int]], concurrency: int) -> float:
        """Rough seconds of a closed loop over these (prompt, output) lengths."""
        step_s = self.step_at(concurrency)
        return sum(p * self.prefill_token_s + o * step_s / concurrency for p, o in lengths)

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
    steps: dict[int, list[float]] = {}
    for burst in bursts.values():
        if (step_s := _step_s(burst)) is not None:
            steps.setdefault(len(burst), []).append(step_s)
    longest = max(prefill, default=0)
    return Pace(
        prefill_token_s=min(prefill[longest]) / longest if longest else UNKNOWN_PREFILL_S,
        step_s={seqs: median(found) for seqs, found in steps.items()},
    )


def _step_s(burst: Sequence[Answer]) -> float | None:
    """Seconds of a step that gives each of them a token, as if they had all been served together.

    On a server that serves them one after the other that is as many steps as there are requests.
    """
    came_s = [event_s(answer) for answer in burst]
    tokens = sum(
        answer.output_tokens or len(at_s) for answer, at_s in zip(burst, came_s, strict=True)
    )
    gaps = (tokens - len(burst)) / len(burst)
    span_s = max(at_s[-1] for at_s in came_s) - min(at_s[0] for at_s in came_s)
    return span_s / gaps if gaps > 0 and span_s > 0 else None
