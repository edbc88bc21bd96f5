"""One probe run while it lasts: what every piece of it works with."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

from costaudit.record.probing.bounds import (
    concurrency,
    context_tokens,
    kv_tokens,
    sure_share,
)

MOST_SETTLE_S = 3.0  # where others keep the server busy, or it does not answer
LOOK_S = 0.05
RUNNING, WAITING = "requests.running", "requests.waiting"

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from costaudit.probe.workload import Workload
    from costaudit.record.client.load import Rung, RungEnd
    from costaudit.record.probing.guard import Guard
    from costaudit.record.probing.options import ServerOptions
    from costaudit.record.servers.found import Found
    from costaudit.recording.recording import Recording
    from costaudit.recording.rows import Answer


class Prompts(Protocol):
    """Makes prompts of a wanted length that no cache has seen before."""

    @property
    def exact(self) -> bool:
        """A prompt has as many tokens as asked for, by the server's own count."""

    def cold(self, tokens: int) -> tuple[int, ...] | str:
        """A prompt whose first block is its own."""

    def shared(self, tokens: int, *, prefix_id: int, prefix_tokens: int) -> tuple[int, ...] | str:
        """A prompt that begins like all of its `prefix_id`, and goes on by itself."""

    def hashed(
        self, tokens: int, *, hashes: Sequence[int], block_tokens: int
    ) -> tuple[int, ...] | str:
        """A prompt made of one block for each hash, equal ones for equal hashes."""


class Client(Protocol):
    """Runs one rung; see `client.run.run_rung`."""

    def __call__(
        self,
        rung: Rung,
        *,
        task: str,
        on_answer: Callable[[Answer], None],
        stop: Callable[[], str],
    ) -> RungEnd:
        """Send the rung's shots and hand over every answer."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Probing:
    """The open recording, the server as it was found, and what its requests are made with.

    `level` reads the latest value of a quantity (by its canonical name) that the server's own
    metrics tell; None where they do not. `asked_s` tells when the latest page of them was asked
    for, in seconds of the recording; None where none is read.
    """

    recording: Recording
    options: ServerOptions
    workload: Workload
    found: Found
    prompts: Prompts
    client: Client
    guard: Guard
    level: Callable[[str], float | None]
    asked_s: Callable[[], float] | None = None

    @property
    def concurrency(self) -> int:
        """Streams of the replay."""
        return concurrency(self.options, self.workload)

    @property
    def context_tokens(self) -> int:
        """Longest prompt plus output that the server takes."""
        share = sure_share(self.options, self.found, exact=self.prompts.exact)
        return context_tokens(self.found, share=share)

    @property
    def kv_tokens(self) -> int | None:
        """Tokens that the KV cache holds; None where the server does not tell."""
        return kv_tokens(self.found)

    def settle(self) -> None:
        """Wait for a new page of the server's metrics, so that spans hold what they should.

        Where requests of ours were cut, for one that says that nothing runs: the server goes on
        with them for a while.
        """
        if self.asked_s is None:
            return
        began_s = self.recording.clock_s()
        while self.recording.clock_s() < began_s + MOST_SETTLE_S:
            time.sleep(LOOK_S)
            idle = not (self.level(RUNNING) or self.level(WAITING))
            if self.asked_s() > began_s and (idle or not self.guard.cut):
                break
        self.guard.cut = False
