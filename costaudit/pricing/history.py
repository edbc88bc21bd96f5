"""What the history allows: how long it is, what a choice made on it would have cost afterwards.

A commitment of a year on two weeks of demand is a bet. Below MIN_HISTORY_DAYS only the amount is
offered that no week seen so far would have regretted.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from costaudit.pricing.cover import best_units, mix_usd, rows_of
from costaudit.pricing.load import WEEK_DAYS

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

    from costaudit.pricing.load import Load
    from costaudit.pricing.way import Mix

    Places = npt.NDArray[np.int64]

MIN_HISTORY_DAYS = 28.0  # four weeks: each weekday seen four times, and a month's drift with it
MOST_PARTS = 12  # that a choice is judged on: the latest
_WHOLE = 0.9  # of a week's or day's windows, to count as one


@dataclass(frozen=True, slots=True, kw_only=True)
class Regret:
    """A choice judged on data that it was not made from.

    Each later part (week, or half of a shorter history) is paid with the units chosen on all
    parts before it; shares are of what the units that fitted it best would have cost.
    """

    parts: int
    part_days: float
    chosen_units: tuple[int, ...]
    best_units: tuple[int, ...]
    regret_share: float
    uncommitted_share: float  # the same for no commitment at all
    peak_share: float  # the same for committing the peak seen before


def enough(load: Load) -> str:
    """Why the history is too short for a commitment; "" where it is long enough."""
    days = load.history_days
    if days >= MIN_HISTORY_DAYS:
        return ""
    recorded = f"{days:.1f} days" if days >= 1 else f"{24 * days:.1f} hours"
    return (
        f"insufficient history: {recorded} of demand are recorded, "
        f"a commitment asks for {MIN_HISTORY_DAYS:g} days"
    )


def no_regret_units(load: Load, mix: Mix) -> int:
    """The least that any week of the history would have committed; any day, below two weeks.

    0 where not even two days are recorded: nothing then says that tomorrow needs it too.
    """
    weeks = load.history_days >= 2 * WEEK_DAYS * _WHOLE
    parts = _parts(load, WEEK_DAYS if weeks else 1)
    if len(parts) < 2:  # noqa: PLR2004 - one part shows no change
        return 0
    step, rows = load.replicas_per_server, rows_of(load)
    return min(best_units(rows.taken(part), mix, step=step) for part in parts)


def regret(load: Load, mix: Mix) -> Regret | None:
    """What choosing on the past would have cost; None where there is no past to choose on."""
    length = WEEK_DAYS if load.history_days >= 2 * WEEK_DAYS * _WHOLE else load.history_days / 2
    if mix.committed is None or load.history_days < 2:  # noqa: PLR2004 - two days make two halves
        return None
    parts = _parts(load, length)
    if len(parts) < 2:  # noqa: PLR2004 - one to choose on, one to judge by
        return None
    return _judged(load, mix, parts[1:][-MOST_PARTS:], length)


def _judged(load: Load, mix: Mix, parts: list[Places], length: float) -> Regret:
    import numpy as np

    step, rows = load.replicas_per_server, rows_of(load)
    chosen, best = [], []
    paid = {"chosen": 0.0, "best": 0.0, "none": 0.0, "peak": 0.0}
    for part in parts:
        past, future = rows.taken(np.arange(part[0])), rows.taken(part)
        chosen.append(best_units(past, mix, step=step))
        best.append(best_units(future, mix, step=step))
        for name, units in zip(paid, (chosen[-1], best[-1], 0, past.most), strict=True):
            paid[name] += mix_usd(future, mix, units)
    return Regret(
        parts=len(parts),
        part_days=length,
        chosen_units=tuple(chosen),
        best_units=tuple(best),
        regret_share=_over(paid["chosen"], paid["best"]),
        uncommitted_share=_over(paid["none"], paid["best"]),
        peak_share=_over(paid["peak"], paid["best"]),
    )


def _over(usd: float, least: float) -> float:
    return usd / least - 1 if least else 0.0


def _parts(load: Load, days: float) -> list[Places]:
    """Places of the windows in parts of so many days; parts with holes are left out."""
    import numpy as np

    size = max(round(days * 24 / load.window_h), 1)
    number = (np.asarray(load.windows) - load.windows[0]) // size
    groups = (np.flatnonzero(number == part) for part in np.unique(number))
    return [group for group in groups if len(group) >= _WHOLE * size]
