"""What is played: how the server behaves, and how much is asked of it."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

    from contest.peer import Peer

PROMPT_TOKENS, TOKENS = 128, 64
TTFT_MS, ITL_MS = 200, 20
PACED = ("-t", str(TTFT_MS), "-i", str(ITL_MS))
INSTANT = ("-t", "0", "-i", "0")
ONE_WRITE = "one write, 64 connections"
STREAMS = 16  # of those that test correctness
CEILING_S, QUICK_CEILING_S = 5.0, 1.5  # about what a run against the instant server takes


@dataclass(frozen=True, slots=True, kw_only=True)
class Scene:
    """One situation.

    Attributes:
        kind: "level", "stream", "stall" or "ceiling": which table it belongs to.
        options: of the truth server.
        requests: None: as many as the tool can send in `seconds`, and four for each stream.
        per_chunk: tokens in a chunk.
        tokens: in an answer.
    """

    name: str
    kind: str
    options: tuple[str, ...]
    streams: int
    requests: int | None = None
    seconds: float = CEILING_S
    per_chunk: int = 1
    tokens: int = TOKENS

    def requests_of(self, peer: Peer) -> int:
        """How many requests this tool is asked to send."""
        if self.requests is not None:
            return self.requests
        return max(4 * self.streams, int(self.seconds * peer.requests_per_s))


def scenes(levels: Sequence[int], *, quick: bool) -> list[Scene]:
    """All of them, in the order of the tables; for a quick look one of each kind."""
    if not quick:
        return [*map(level, levels), *correctness(), stall(), *ceilings()]
    short = [replace(level(streams), requests=2 * streams) for streams in levels]
    return [*short, correctness()[0], replace(ceilings()[-1], seconds=QUICK_CEILING_S)]


KINDS = ("level", "stream", "stall", "ceiling")


def level(streams: int) -> Scene:
    """A paced server: 662 requests and more where p99 is to mean something."""
    rounds = 6 if streams == 1 else 4 if streams <= 64 else 3
    return Scene(
        name=f"{streams} streams",
        kind="level",
        options=PACED,
        streams=streams,
        requests=rounds * streams,
    )


def correctness() -> list[Scene]:
    """Streams that are read wrongly by many."""
    base = Scene(name="", kind="stream", options=PACED, streams=STREAMS, requests=2 * STREAMS)
    return [
        replace(base, name="early role chunk", options=(*PACED, "-r")),
        replace(base, name="4 tokens per chunk", options=(*PACED, "-k", "4"), per_chunk=4),
        replace(base, name="32 reasoning tokens first", options=(*PACED, "-R", "32")),
    ]


def stall() -> Scene:
    """The whole server stalls, 1.2 s after its first request: amid the second answers.

    An answer of 32 tokens takes 0.82 s. Of a tool that tries the server with one request before,
    the first answers are hit. Either way about 16 gaps of 992, more than 1 %: p99 is the stall.
    """
    return Scene(
        name="stall of 1 s",
        kind="stall",
        options=(*PACED, "-s", "1200,1000"),
        streams=STREAMS,
        requests=2 * STREAMS,
        tokens=32,
    )


def ceilings() -> list[Scene]:
    """A server that answers at once: how fast can the client go?"""
    write = Scene(name="", kind="ceiling", options=INSTANT, streams=64)
    return [
        replace(write, name="a write per token, 64 connections"),
        replace(write, name="a write per token, 256 connections", streams=256),
        replace(write, name=ONE_WRITE, options=(*INSTANT, "-b")),
    ]
