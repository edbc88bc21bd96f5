"""What preempted requests made a server compute again; its token counters do not show it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from costaudit.diagnosis import signs
from costaudit.measure.phase_seconds import computed_prompt_tokens

if TYPE_CHECKING:
    from costaudit.measure.window import Window


def recomputed_s(w: Window, prefill_s: float) -> float:
    """Device seconds: a request's mean context for each preemption, at the prefill's own pace.

    A preempted request holds its prompt and, in the mean, half its output. 0 where not told.
    """
    lost, done, computed = signs.preemptions(w), signs.finished(w), computed_prompt_tokens(w)
    if not lost or not done or not computed:
        return 0.0
    context = ((signs.prompted(w) or 0.0) + (signs.generated(w) or 0.0) / 2) / done
    return lost * context * prefill_s / computed
