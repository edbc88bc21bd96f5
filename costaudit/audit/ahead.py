"""Long looks into a recording, begun before anybody needs their answers.

While this process imports what an audit needs, another one adds up the tables of a recording of a
million samples.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from costaudit.ground.beside import Begun
from costaudit.measure.tables import read_tables
from costaudit.recording.recording import Recording

if TYPE_CHECKING:
    from concurrent.futures import Executor
    from pathlib import Path

    from costaudit.measure.tables import Tables
    from costaudit.recording.course import Course, Span

MOST_REQUESTS = 200  # of a window that are simulated, hundreds of times; of more some are drawn


class WentOn(NamedTuple):
    """What the run's gauges did over time, and when steps of each phase ran."""

    gauges: tuple[Course, ...]
    spans: tuple[Span, ...]


class Ahead:
    """The tables of the recording at `path`, then its course, read by another process.

    What cannot be read is told to whoever asks for it.
    """

    def __init__(self, path: Path, reader: Executor) -> None:
        self._tables = Begun(reader, tables_of, path)
        self._course = Begun(reader, course_of, path)

    def is_reading(self) -> bool:
        """Whether the tables are still waited for."""
        return self._tables.is_running()

    def tables(self) -> Tables:
        """The long tables of a model in this process."""
        return self._tables.result()

    def course(self) -> WentOn:
        """How the run went over time."""
        return self._course.result()


def tables_of(path: Path) -> Tables:
    """The long tables of the recording at `path`.

    Raises:
        UsageError: it is no recording.
    """
    with Recording.read(path) as recording:
        return read_tables(recording, most_requests=MOST_REQUESTS)


def course_of(path: Path) -> WentOn:
    """How the run of the recording at `path` went over time.

    Raises:
        UsageError: it is no recording.
    """
    with Recording.read(path) as recording:
        return went_on(recording)


def went_on(recording: Recording) -> WentOn:
    """How the run of an open recording went over time."""
    return WentOn(gauges=recording.courses(), spans=recording.phase_spans())
