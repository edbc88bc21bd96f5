"""How long a batch will take, from the step probes: good enough to plan a run, no more."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from costaudit.recording.rows import Phase, Sample
from costaudit.target.load import prefill_load

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence


@dataclass(frozen=True, slots=True, kw_only=True)
class Speed:
    """Device seconds per prefilled token, per query-key pair, per step, row and context token."""

    per_prefill_token_s: float
    per_pair_s: float
    per_step_s: float
    per_sequence_s: float
    per_context_token_s: float

    def batch_s(self, lengths: Sequence[tuple[int, int]]) -> float:
        """Device seconds of one static batch of (prompt, output) lengths, padding included."""
        seqs = len(lengths)
        width, steps = max(p for p, _ in lengths), max(o for _, o in lengths) - 1
        prefill = prefill_load(new_tokens=width, seqs=seqs)
        context = seqs * (steps * width + steps * (steps + 1) / 2)
        return (
            self.per_prefill_token_s * prefill.prefill_tokens
            + self.per_pair_s * prefill.prefill_pairs
            + steps * (self.per_step_s + seqs * self.per_sequence_s)
            + self.per_context_token_s * context
        )


def fit_speed(samples: Iterable[Sample]) -> Speed:
    """Non-negative least squares over the fastest round of each step probe, relative errors."""
    fastest: dict[str, Sample] = {}
    for row in samples:
        best = fastest.setdefault(row.task, row)
        fastest[row.task] = min(best, row, key=lambda s: s.seconds)
    prefill = [s for s in fastest.values() if s.phase is Phase.PREFILL]
    decode = [s for s in fastest.values() if s.phase is Phase.DECODE]
    token_s, pair_s = _nnls([(s.prefill_tokens, s.prefill_pairs) for s in prefill], prefill)
    step_s, row_s, context_s = _nnls(
        [(1.0, s.decode_seqs, s.decode_context_tokens) for s in decode], decode
    )
    return Speed(
        per_prefill_token_s=token_s,
        per_pair_s=pair_s,
        per_step_s=step_s,
        per_sequence_s=row_s,
        per_context_token_s=context_s,
    )


def _nnls(features: Sequence[tuple[float, ...]], samples: Sequence[Sample]) -> list[float]:
    import numpy as np
    from scipy.optimize import nnls

    seconds = np.array([s.seconds for s in samples])
    weighted = np.array(features) / seconds[:, None]
    scale = weighted.max(axis=0)
    solution, _ = nnls(weighted / scale, np.ones(len(samples)))
    return [float(x) for x in solution / scale]
