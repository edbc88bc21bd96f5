"""What is asked of a load tool, what it answers, and how it is had."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path

    from contest.install import Part, Step


OFFLINE = {"HF_HUB_OFFLINE": "1"}  # of tools that would ask a hub about a local tokenizer


class PeerFailedError(Exception):
    """A load tool did not do what it was asked; the message says how that showed."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Load:
    """One closed loop of equal requests to an OpenAI-style chat server.

    Attributes:
        tokenizer: a folder that `transformers.AutoTokenizer` reads; each word that the server
            streams is one token of it.
        scratch: an empty folder, for what the tool reads and writes.
    """

    url: str
    model: str
    streams: int
    requests: int
    prompt_tokens: int
    output_tokens: int
    tokenizer: Path
    scratch: Path


@dataclass(frozen=True, slots=True, kw_only=True)
class Seen:
    """What a tool reports, in milliseconds. None: it does not report it.

    Attributes:
        failed: requests that it holds for failed.
        ttft_p50_bound_ms, ttft_p99_bound_ms, itl_p99_bound_ms: what its own delay could have
            added to a figure, as it says.
        shared_events: events that came in a read with an earlier one, so that they have its stamp.
        remark: what it says against its own figures; empty: nothing.
    """

    ttft_p50_ms: float | None
    ttft_p99_ms: float | None
    itl_p50_ms: float | None
    itl_p99_ms: float | None
    tpot_p50_ms: float | None = None
    ttft_p50_bound_ms: float | None = None
    ttft_p99_bound_ms: float | None = None
    itl_p99_bound_ms: float | None = None
    shared_events: int | None = None
    failed: int | None = None
    remark: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Peer:
    """A load tool.

    Attributes:
        name: as the table prints it, and the flag `--only` takes it.
        version: the one that is installed.
        install: fills an empty folder. None: it is here already, or comes with `part`.
        part: a part that the tests install, too.
        command: writes what the tool reads into the scratch folder and says how to start it; the
            first argument is the folder that was filled.
        read: what the tool reported, from its scratch folder.
        requests_per_s: about what it sends at most on two cores; sets the length of a run against
            the server that answers at once.
        is_python: its client is written in Python.
        note: what a reader of the table must know of its figures.
    """

    name: str
    version: str
    command: Callable[[Path, Load], list[str | Path]]
    read: Callable[[Load], Seen]
    install: Callable[[Path, Step], None] | None = None
    part: Part | None = None
    environ: Mapping[str, str] = field(default_factory=dict)
    requests_per_s: int = 300
    is_python: bool = True
    note: str = ""


def milliseconds(seconds: float | None) -> float | None:
    """Seconds as milliseconds; unknown stays unknown."""
    return None if seconds is None else 1e3 * seconds
