"""The result as text: a table for each kind of scene, then notes and bars."""

from __future__ import annotations

from typing import TYPE_CHECKING

from costaudit.ground.stats import P99_MIN_SAMPLES

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from contest.bars import Bar
    from contest.peer import Peer
    from contest.play import Row

MARKS = {True: "met", False: "MISSED", None: "cannot tell"}
LEGEND = """
≤ by how much the tool's own delay in reading could have moved the figure, as it says itself
* fewer than 662 samples: no bound on a p99 at 99 % confidence
! off by more than 1 ms
shared: events read together with an earlier one, whose stamp they have; – the tool does not tell
"""
WRONG_MS = 1.0  # a reported middle that is off by more is marked with !


def number(value: float | None, form: str = ".2f") -> str:
    """A figure, or – where it is not known."""
    return "–" if value is None else format(value, form)


def signed(value: float | None) -> str:
    """An error with its sign."""
    return number(value, "+.2f" if value is None or abs(value) < 100 else "+.0f")


def _bounded(error: float | None, bound: float | None) -> str:
    """An error, and by how much the tool says that it may be off."""
    return signed(error) + ("" if bound is None else f" ≤{bound:.2f}")


def _p99(shown: str, samples: int) -> str:
    """Marked where too few samples stand behind it."""
    return shown + ("" if samples >= P99_MIN_SAMPLES else " *")


def _marked(value: float | None, error: float | None) -> str:
    wrong = error is not None and abs(error) > WRONG_MS
    return number(value) + (" !" if wrong else "")


Column = tuple[str, "Callable[[Row], str]"]

COSTS: tuple[Column, ...] = (
    ("req/s", lambda row: number(row.requests_per_s, ".1f")),
    ("CPU s/1k tok", lambda row: number(row.load_cpu_s_per_1k_tokens, ".4f")),
    ("with start-up", lambda row: number(row.cpu_s_per_1k_tokens, ".4f")),
    ("RSS MB", lambda row: number(row.peak_rss_mb, ".0f")),
    ("procs", lambda row: number(row.processes, "d")),
    ("conns", lambda row: number(row.connections, "d")),
    ("got/asked", lambda row: f"{number(row.received, 'd')}/{row.asked}"),
    ("fixed s", lambda row: number(row.fixed_s, ".2f")),
    ("load avg", lambda row: number(row.load_average, ".1f")),
)
COLUMNS: dict[str, tuple[Column, ...]] = {
    "level": (
        ("TTFT p50 err", lambda row: _bounded(row.ttft_p50_error_ms, row.ttft_p50_bound_ms)),
        (
            "TTFT p99 err",
            lambda row: _p99(
                _bounded(row.ttft_p99_error_ms, row.ttft_p99_bound_ms), row.ttft_samples
            ),
        ),
        (
            "ITL p99 err",
            lambda row: _p99(_bounded(row.itl_p99_error_ms, row.itl_p99_bound_ms), row.itl_samples),
        ),
        ("shared", lambda row: number(row.shared_events, "d")),
        ("true TTFT p99", lambda row: number(row.true_ttft_p99_ms)),
        ("true ITL p99", lambda row: number(row.true_itl_p99_ms)),
        *COSTS,
    ),
    "stream": (
        ("TTFT p50 (200)", lambda row: _marked(row.ttft_p50_ms, row.ttft_p50_error_ms)),
        ("ITL p50 (20)", lambda row: _marked(row.itl_p50_ms, row.itl_p50_error_ms)),
        ("ITL p99 (20)", lambda row: _marked(row.itl_p99_ms, row.itl_p99_error_ms)),
        (
            "TPOT p50 (20)",
            lambda row: _marked(row.tpot_p50_ms, row.tpot_p50_ms and row.tpot_p50_ms - 20),
        ),
        ("load avg", lambda row: number(row.load_average, ".1f")),
    ),
    "stall": (
        ("true ITL p99", lambda row: number(row.true_itl_p99_ms)),
        ("ITL p99", lambda row: _marked(row.itl_p99_ms, row.itl_p99_error_ms)),
        ("load avg", lambda row: number(row.load_average, ".1f")),
    ),
    "ceiling": (("tok/s", lambda row: number(row.tokens_per_s, ",.0f")), *COSTS),
}
TITLES = {
    "level": "Paced server, TTFT 200 ms, 64 tokens at 20 ms; errors in ms, reported minus logged",
    "stream": "Streams that are easily misread; ms, the truth in brackets",
    "stall": "The whole server stalls; ms",
    "ceiling": "A server that answers at once",
}


def tables(rows: Sequence[Row]) -> Iterator[str]:
    """One for each scene; `rows` are medians."""
    shown = ""
    for scene in dict.fromkeys((row.kind, row.scene) for row in rows):
        kind, name = scene
        if kind != shown:
            yield f"\n{TITLES[kind]}"
            shown = kind
        yield f"\n{name}"
        yield from _table(COLUMNS[kind], [row for row in rows if (row.kind, row.scene) == scene])


def _table(columns: Sequence[Column], rows: Sequence[Row]) -> Iterator[str]:
    head = ["client", *(title for title, _ in columns)]
    body = [[row.peer, *(show(row) for _, show in columns)] for row in rows]
    widths = [max(map(len, column)) for column in zip(head, *body, strict=True)]
    for line in (head, *body):
        first, *others = (
            word.ljust(width) if number == 0 else word.rjust(width)
            for number, (word, width) in enumerate(zip(line, widths, strict=True))
        )
        yield "  ".join((first, *others)).rstrip()


def notes(rows: Sequence[Row], peers: Sequence[Peer], absent: dict[str, str]) -> Iterator[str]:
    """Who is missing and why, whose run failed, what tools say against their own figures."""
    yield LEGEND
    for peer in peers:
        yield f"{peer.name} {peer.version}{': ' * bool(peer.note)}{peer.note}"
    for name, why in absent.items():
        yield f"{name} took no part: {why}"
    for row in rows:
        if row.problem:
            yield f"{row.peer}, {row.scene}: {row.problem}"
        if row.failed:
            yield f"{row.peer}, {row.scene}: {row.failed} requests failed"
        if row.remark:
            yield f"{row.peer}, {row.scene}, says: {row.remark}"


def verdicts(found: Sequence[Bar]) -> Iterator[str]:
    """The bars, one a line."""
    yield "\nBars" if found else ""
    width = max((len(bar.what) for bar in found), default=0)
    for bar in found:
        yield f"{bar.what.ljust(width)}  {bar.got}  {MARKS[bar.met]}"
