"""What was watched, kept as a recording and read again: metrics by their canonical names."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING

from costaudit.facts.quantities import Page, Quantity
from costaudit.ground.errors import UsageError
from costaudit.record.passive.subject import Subject
from costaudit.recording.recording import Recording
from costaudit.recording.rows import Fact, Gauge, Instrument, State
from costaudit.target.target import Origin, Value

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping
    from pathlib import Path

METER = "server"
SCRAPE = "scrape"  # one row per reading, whatever else it had
MOST_PAGES = 2000  # of a longer watch as many are read, evenly over it
_TOTAL, _LEVEL = "total", "level"  # subjects of the facts that tell what a quantity is
_PLAIN = ("engine", "engine_version", "model")


@contextmanager
def keeping(path: Path | None, subject: Subject) -> Iterator[Callable[[Page], None]]:
    """What takes each page; it is written down at once, so a killed watch keeps what it has.

    A total that did not move is not written again, as the meter of an audit does it.

    Raises:
        UsageError: something is at `path` already, or it cannot be written.
    """
    if path is None:
        yield lambda _: None
        return
    with Recording.create(path) as recording:
        recording.set_meta(kind="watch", notes=list(subject.notes))
        recording.add(*_facts(subject), Instrument(meter=METER, state=State.OK, why="watched"))
        written: dict[str, Quantity] = {}

        def keep(page: Page) -> None:
            now = page.quantities
            new = [_what(name, one) for name, one in now.items() if name not in written]
            moved = {n: q for n, q in now.items() if not q.total or written.get(n) != q}
            written.update(moved)
            t_s = recording.clock_s()
            rows = [
                Gauge(t_s=t_s, meter=METER, name=name, value=one.value, unit=one.unit)
                for name, one in moved.items()
            ]
            mark = Gauge(t_s=t_s, meter=METER, name=SCRAPE, value=1.0, unit="count")
            recording.add(*new, *rows, mark)

        yield keep


def is_kept(path: Path) -> bool:
    """A recording by its name; what is in it is found when it is read."""
    return path.suffix == ".costaudit"


def read_kept(path: Path, *, seconds: float | None) -> tuple[Subject, tuple[Page, ...]]:
    """The subject and the pages of a watch, or of its last `seconds`.

    Raises:
        UsageError: it is no recording of a watch, or holds fewer than two readings.
    """
    with Recording.read(path) as recording:
        if recording.meta().get("kind") != "watch":
            hint = f"costaudit report {path} shows an audit"
            raise UsageError(f"{path} is no recording of a watch", hint=hint)
        facts, notes = recording.facts(), recording.meta().get("notes")
        gauges = recording.gauges(METER)
    times = [gauge.t_s for gauge in gauges if gauge.name == SCRAPE]
    if seconds is not None and times:
        times = [t_s for t_s in times if t_s >= times[-1] - seconds]
    if len(times) < 2:  # noqa: PLR2004 - a window needs two
        raise UsageError(f"{path} holds fewer than two readings of these seconds")
    step = -(-len(times) // MOST_PAGES)
    wanted = {*times[::-1][::step], times[0]}
    own = {name: str(fact.value or "") for name, fact in facts.get("target", {}).items()}
    subject = Subject(
        engine=own.get("engine", ""),
        source=None,
        version=own.get("engine_version", ""),
        model=own.get("model", ""),
        knobs={name: _knob(fact) for name, fact in facts.get("knob", {}).items()},
        notes=tuple(str(note) for note in notes) if isinstance(notes, list) else (),
    )
    return subject, tuple(_pages(gauges, facts, wanted))


def _pages(
    gauges: list[Gauge], facts: Mapping[str, Mapping[str, Fact]], wanted: set[float]
) -> Iterator[Page]:
    """Pages at the wanted times; a total that was not written again stands where it stood."""
    totals, levels = facts.get(_TOTAL, {}), facts.get(_LEVEL, {})
    standing: dict[str, Quantity] = {}
    moving: dict[str, Quantity] = {}
    for gauge in gauges:
        if gauge.name == SCRAPE:
            if gauge.t_s in wanted:
                yield Page(t_s=gauge.t_s, quantities={**standing, **moving})
            moving = {}
        else:
            total = gauge.name in totals
            native = (totals if total else levels).get(gauge.name)
            one = Quantity(
                value=gauge.value,
                unit=gauge.unit,
                total=total,
                native="" if native is None else str(native.value or ""),
            )
            (standing if total else moving)[gauge.name] = one


def _what(name: str, one: Quantity) -> Fact:
    return Fact(subject=_TOTAL if one.total else _LEVEL, name=name, value=one.native)


def _facts(subject: Subject) -> list[Fact]:
    values = (subject.engine, subject.version, subject.model)
    own = [
        Fact(subject="target", name=name, value=value)
        for name, value in zip(_PLAIN, values, strict=True)
    ]
    return own + [
        Fact(subject="knob", name=name, value=v.value, origin=str(v.origin), why=v.why)
        for name, v in subject.knobs.items()
    ]


def _knob(fact: Fact) -> Value:
    plain = isinstance(fact.value, (bool, int, float, str))
    known = plain and fact.origin in {*Origin}
    if not known:
        return Value(value=None, origin=Origin.UNKNOWN)
    assert fact.value is None or isinstance(fact.value, (bool, int, float, str))  # noqa: S101
    return Value(value=fact.value, origin=Origin(fact.origin), why=fact.why)
