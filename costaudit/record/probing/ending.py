"""When a rung must end before its shots are out, and which error that is, if it is one."""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from costaudit.ground.errors import CostauditError, TargetError
from costaudit.record.servers.refusal import no_answers

if TYPE_CHECKING:
    from collections.abc import Callable

    from costaudit.record.client.load import RungEnd
    from costaudit.record.probing.guard import Guard
    from costaudit.record.probing.keeper import Keeper
    from costaudit.record.servers.found import Found

_UNFIT = {400, 413, 422}  # how servers refuse what is too long, in many words
_GUESSED = "the lengths of our prompts are guessed here: give the model's tokenizer by --tokenizer"


@dataclass(slots=True, kw_only=True)
class Ending:
    """Asked by the client while a rung runs; what it answers, if anything, ends the rung.

    Either a limit is reached, or nothing but failures come, or the time is over, or `stop` knows
    all it wants to.
    """

    guard: Guard
    keeper: Keeper
    longest_s: float
    stop: Callable[[], str] | None = None
    began_s: float = field(default_factory=time.monotonic)
    said: str = ""

    def __call__(self) -> str:
        """A sentence that ends the rung, or ""."""
        self.said = self.said or self.guard.stop() or self._own()
        return self.said

    def _own(self) -> str:
        if self.keeper.broken:
            return f"{self.guard.failed_in_a_row} requests failed one after the other"
        if time.monotonic() - self.began_s > self.longest_s:
            return "its time was over"
        return self.stop() if self.stop is not None else ""

    def failure(self, end: RungEnd, found: Found, *, exact: bool) -> CostauditError | None:
        """What to raise once it is over: the server is gone, or answered none of our requests.

        `exact`: prompts are as long as they are meant to be.
        """
        failed, good = self.keeper.failed, self.keeper.good
        if end.stopped and end.stopped != self.said:
            return TargetError(f"the server is gone: {end.stopped}")
        if failed is None or not (self.keeper.broken or self.keeper.silent):
            return None
        kept = "no more answers" if good else "no answer"
        error = no_answers(failed, base_url=found.endpoint.base_url, model=found.model, kept=kept)
        if failed.status in _UNFIT and not exact:
            error.hint = _GUESSED
        return error
