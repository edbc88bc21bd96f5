"""Recordings of very many rows: what to read of them, and what SQLite adds up itself.

Sums are over all rows. What a fit or a simulation needs is read of rows drawn evenly over the run,
so neither memory nor time grows with the recording; no row is drawn where there are few.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Self

from costaudit.recording.rows import Phase, Role

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Iterable, Mapping, Sequence

    from costaudit.recording.rows import RequestRow


# Multiples of the golden ratio, cut to 32 bits, lie evenly over those of any run of ids, whatever
# the period in which a recording repeats its steps (Knuth, TAOCP vol. 3, 6.4).
_GOLDEN = 2_654_435_761
_CIRCLE = 1 << 32
_SCANNED_FROM = 0.1  # of all rows: fewer are found sooner one by one
_MOST_LISTED = 10_000_000  # ids between the first and the last, which a damaged file may set apart
# SQLite would sort a million rows for GROUP BY phase, and takes twice as long for sums with FILTER.
_TOTALS = """
SELECT sum(seconds), sum(steps), min(seconds / steps), max(seconds / steps)
FROM sample WHERE phase = ? AND role IN ({roles})
"""
_EXTREMES = """
SELECT id, seconds / steps FROM sample
WHERE phase = ? AND role IN ({roles}) AND seconds / steps IN (?, ?)
"""
_ROUNDS = "SELECT phase, task, seconds, steps FROM sample WHERE role = ?"
_SUMS = """
SELECT count(*), coalesce(sum(prompt_tokens), 0), coalesce(sum(output_tokens), 0),
       coalesce(sum(CASE WHEN prefix_id IS NULL THEN 0 ELSE prefix_tokens END), 0),
       min(ttft_s), max(ttft_s)
FROM request
"""
_SOME_LENGTHS = """
SELECT prompt_tokens, output_tokens, ttft_s FROM request WHERE {drawn} ORDER BY id
"""
MOST_LENGTHS = 50_000  # requests whose lengths stand for all
_POOL = 20  # times as many requests are read as are drawn
_WHOLE_BATCHES = 16  # batches that a draw must hold, else requests are drawn one by one


@dataclass(frozen=True, slots=True, kw_only=True)
class PhaseWindow:
    """All spans of one phase in the replayed window, each once.

    `fastest_s` and `mean_s` sum the fastest and the mean round of each span, in device seconds;
    `steps` are those of the fastest rounds.
    """

    fastest_s: float
    mean_s: float
    steps: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Totals:
    """All spans of one phase together, and seconds per step of the fastest and the slowest."""

    seconds: float
    steps: int
    least_s: float
    most_s: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Lengths:
    """How many requests the window has, and how long they are.

    `count` and the sums are of all requests; the sequences of about `MOST_LENGTHS`, in order, with
    the shortest and the longest time to the first token among those that are known.
    """

    count: int
    prompt_sum: int
    output_sum: int
    prefix_sum: int  # of all shared prefixes
    prompt_tokens: Sequence[int]
    output_tokens: Sequence[int]
    ttft_s: Sequence[float]

    @classmethod
    def of(cls, rows: Sequence[RequestRow]) -> Self:
        """Those of requests at hand."""
        return cls(
            count=len(rows),
            prompt_sum=sum(row.prompt_tokens for row in rows),
            output_sum=sum(row.output_tokens for row in rows),
            prefix_sum=sum(row.prefix_tokens for row in rows if row.prefix_id is not None),
            prompt_tokens=[row.prompt_tokens for row in rows],
            output_tokens=[row.output_tokens for row in rows],
            ttft_s=[row.ttft_s for row in rows if row.ttft_s is not None],
        )

    @property
    def tokens(self) -> int:
        """All that were read and written."""
        return self.prompt_sum + self.output_sum

    def computed(self, phase: Phase) -> int:
        """Tokens that the steps of a phase worked on: a prefill gives the first output token."""
        return self.prompt_sum if phase is Phase.PREFILL else self.output_sum - self.count


def drawn_samples(db: sqlite3.Connection, roles: Sequence[Role], most: int | None) -> str:
    """The condition that leaves about `most` samples of these roles, spread evenly."""
    where = f"WHERE role IN ({_named(roles)})"
    (count,) = db.execute(f"SELECT count(*) FROM sample {where}").fetchone()  # noqa: S608 - names of an enum
    if most is None or count <= most:
        return where
    return f"{where} AND {drawn_ids(db, 'sample', most / count)}"


def totals(db: sqlite3.Connection, roles: Sequence[Role]) -> dict[Phase, Totals]:
    """The spans of these roles added up, by phase."""
    sql = _TOTALS.format(roles=_named(roles))
    found = {phase: db.execute(sql, (str(phase),)).fetchone() for phase in Phase}
    return {
        phase: Totals(seconds=seconds, steps=steps, least_s=least, most_s=most)
        for phase, (seconds, steps, least, most) in found.items()
        if steps
    }


def extreme_samples(
    db: sqlite3.Connection, roles: Sequence[Role], known: Mapping[Phase, Totals]
) -> str:
    """The condition that leaves the fastest and the slowest step of each phase."""
    sql, ids = _EXTREMES.format(roles=_named(roles)), list[int]()
    for phase, all_of_it in known.items():
        firsts: dict[float, int] = {}
        for row, each_s in db.execute(sql, (str(phase), all_of_it.least_s, all_of_it.most_s)):
            firsts.setdefault(each_s, row)
        ids += firsts.values()
    return f"WHERE id IN ({', '.join(map(str, ids))})"


def _named(roles: Sequence[Role]) -> str:
    return ", ".join(f"'{role}'" for role in roles)


def drawn_ids(db: sqlite3.Connection, table: str, share: float) -> str:
    """The condition that leaves this share of the ids, spread evenly; none is looked at in vain."""
    # Asked for in one breath, SQLite would look at every row.
    ends = (f"SELECT {end}(id) FROM {table}" for end in ("min", "max"))  # noqa: S608 - our own
    first, last = (db.execute(sql).fetchone()[0] for sql in ends)
    if share >= _SCANNED_FROM or first < 0 or last - first > _MOST_LISTED:
        return drawn("id", share)
    import numpy as np

    ids = np.arange(first, last + 1, dtype=np.int64)
    kept = ids[ids.astype(np.uint32) * np.uint32(_GOLDEN) < round(_CIRCLE * share)]  # mod 2^32
    return f"id IN ({', '.join(map(str, kept.tolist()))})"


def drawn(column: str, share: float) -> str:
    """The condition that leaves this share of what `column` counts, spread evenly."""
    return f"({column} * {_GOLDEN}) % {_CIRCLE} < {round(_CIRCLE * min(share, 1.0))}"


def lone_windows(known: Mapping[Phase, Totals]) -> dict[Phase, PhaseWindow]:
    """The window of an attached program, whose spans were run once each."""
    return {
        phase: PhaseWindow(fastest_s=spans.seconds, mean_s=spans.seconds, steps=spans.steps)
        for phase, spans in known.items()
    }


def round_windows(db: sqlite3.Connection, role: Role) -> dict[Phase, PhaseWindow]:
    """The window by phase, each span once.

    Added up here: SQLite would sort all rows by their span, which takes three times as long.
    """
    rows: Iterable[tuple[str, str, float, int]] = db.execute(_ROUNDS, (str(role),))
    spans: dict[tuple[str, str], list[float]] = {}  # fastest round, its steps, sum, rounds
    for phase, task, seconds, steps in rows:
        span = spans.get((phase, task))
        if span is None:
            spans[phase, task] = [seconds, steps, seconds, 1]
            continue
        if seconds < span[0]:
            span[:2] = seconds, steps
        span[2] += seconds
        span[3] += 1
    found = {}
    for phase in Phase:
        own = [span for (name, _), span in spans.items() if name == phase]
        if own:
            found[phase] = PhaseWindow(
                fastest_s=sum(span[0] for span in own),
                mean_s=sum(span[2] / span[3] for span in own),
                steps=round(sum(span[1] for span in own)),
            )
    return found


def lengths(db: sqlite3.Connection) -> Lengths:
    """The lengths of the requests."""
    count, prompts, outputs, prefixes, *ends = db.execute(_SUMS).fetchone()
    some = drawn_ids(db, "request", MOST_LENGTHS / max(count, 1))
    rows = db.execute(_SOME_LENGTHS.format(drawn=some)).fetchall()
    known = [first_s for _, _, first_s in rows if first_s is not None]
    if count > MOST_LENGTHS:
        known += [end for end in ends if end is not None]
    return Lengths(
        count=count,
        prompt_sum=prompts,
        output_sum=outputs,
        prefix_sum=prefixes,
        prompt_tokens=[prompt for prompt, _, _ in rows],
        output_tokens=[output for _, output, _ in rows],
        ttft_s=known,
    )


def request_pool(db: sqlite3.Connection, most: int | None) -> tuple[str, str]:
    """The condition that leaves enough requests to draw `most` from, and what they are drawn by.

    That is "batch", or "id" where batches are so large that few would do; "" where none is drawn.
    """
    sql = "SELECT id, batch FROM request ORDER BY id {way} LIMIT 1"
    ends = [db.execute(sql.format(way=way)).fetchone() for way in ("ASC", "DESC")]
    if most is None or None in ends:
        return "", ""
    (first, lowest), (last, highest) = ends
    count = last - first + 1
    if count <= most:
        return "", ""
    unit = "batch" if (highest - lowest + 1) * most >= _WHOLE_BATCHES * count else "id"
    return f"WHERE {drawn(unit, _POOL * most / count)}", unit


def drawn_requests(pool: Sequence[RequestRow], most: int, unit: str) -> list[RequestRow]:
    """About `most` of the requests: whole batches, those of every size as often as they come.

    Batches (or requests, where these are the `unit`) are ranked by their tokens and taken at even
    distances, each from the middle of those that it stands for.
    """
    units = [row.batch if unit == "batch" else place for place, row in enumerate(pool)]
    sizes: dict[int, int] = {}
    for key, row in zip(units, pool, strict=True):
        sizes[key] = sizes.get(key, 0) + row.prompt_tokens + row.output_tokens
    ranked = sorted(sizes, key=lambda key: sizes[key])
    wanted = min(len(ranked), max(1, round(len(ranked) * most / max(len(pool), 1))))
    kept = {ranked[int((n + 0.5) * len(ranked) / wanted)] for n in range(wanted)}
    return [row for key, row in zip(units, pool, strict=True) if key in kept]
