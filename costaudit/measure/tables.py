"""What deriving needs of the long tables of a recording; reading it takes longer than the rest."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from costaudit.recording.drawn import lone_windows
from costaudit.recording.rows import Role

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from costaudit.recording.drawn import Lengths, PhaseWindow
    from costaudit.recording.recording import Recording
    from costaudit.recording.rows import Phase, RequestRow, Sample

MOST_SAMPLES = 10_000  # timed steps that a fit reads; it has ten coefficients
MOST_STEPS = 600  # rows of a fit, after rounds of the same step are one
_DESIGNED: tuple[Role, ...] = (Role.FIT, Role.HELD_OUT)


@dataclass(frozen=True, slots=True, kw_only=True)
class Tables:
    """Of many rows those that are drawn, and sums over all.

    `samples` are of probes, or where there are none (`attached`) of the user's own program;
    `ends` are the fastest and the slowest of all, where samples were drawn. `window` is the
    replayed workload, or what the program did; empty where the recording ended before.
    """

    attached: bool
    samples: Sequence[Sample]
    ends: Sequence[Sample]
    window: Mapping[Phase, PhaseWindow]
    requests: Sequence[RequestRow]
    lengths: Lengths


def read_tables(recording: Recording, *, most_requests: int | None = None) -> Tables:
    """The tables; of more than `most_requests` requests about so many are drawn."""
    roles, most = _DESIGNED, MOST_SAMPLES
    samples = recording.samples(*roles, most=most)
    attached = not samples
    if attached:
        roles, most = (Role.ATTACHED,), MOST_STEPS
        samples = recording.samples(*roles, most=most)
    window, many = recording.round_windows(Role.REPLAY), len(samples) >= most // 2
    known = recording.totals(*roles) if attached or many else {}
    return Tables(
        attached=attached,
        samples=samples,
        ends=recording.extreme_samples(*roles, known=known) if many else (),
        window=lone_windows(known) if attached and not window else window,
        requests=recording.requests(most=most_requests),
        lengths=recording.lengths(),
    )
