"""How fast the server answered its first probes: enough to plan the time that is left."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from costaudit.ground.stats import median
from costaudit.recording.answers import event_s

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from costaudit.recording.rows import Answer, Task

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
    """From the step probes that have been answered."""
    specs = {t.id: t.spec for t in tasks if t.spec.get("purpose") == "step"}
    prefill: dict[int, list[float]] = {}
    steps: dict[int, list[float]] = {}
    for answer in answers:
        spec, came_s = specs.get(answer.task), event_s(answer)
        if spec is None or not answer.ok or not came_s:
            continue
        if spec["phase"] == "prefill":
            tokens = answer.prompt_tokens or int(str(spec["new_tokens"]))
            prefill.setdefault(tokens, []).append(came_s[0] - answer.sent_s)
        elif len(came_s) > 1:
            gap_s = (came_s[-1] - came_s[0]) / max(1, (answer.output_tokens or len(came_s)) - 1)
            steps.setdefault(int(str(spec["seqs"])), []).append(gap_s)
    longest = max(prefill, default=0)
    return Pace(
        prefill_token_s=min(prefill[longest]) / longest if longest else UNKNOWN_PREFILL_S,
        step_s={seqs: median(found) for seqs, found in steps.items()},
    )
