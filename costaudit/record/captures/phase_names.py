"""Which phase a range's name speaks of: its own words, or patterns that the user gave."""

from __future__ import annotations

import re
from dataclasses import dataclass
from fnmatch import fnmatchcase

_WORDS = re.compile(r"[a-z]+")
# vLLM's own range: execute_context_<requests>(<tokens>)_generation_<requests>(<tokens>)
_VLLM = re.compile(r"context_(\d{1,9})\(\d{1,9}\)_generation_(\d{1,9})\(")
_PREFILL = {"prefill", "extend", "context"}
_DECODE = {"decode", "generation"}


@dataclass(frozen=True, slots=True, kw_only=True)
class PhaseNames:
    """Patterns (`*` and `?` as in a shell, any case) that mean prefill or decode.

    Where neither is given a range is of a phase if its name has that phase's words and not the
    other's: a step that mixes both is of neither.
    """

    prefill: str = ""
    decode: str = ""

    def phase(self, name: str) -> str:
        """The phase, prefill or decode; "" for neither."""
        low = name.lower()
        if self.prefill or self.decode:
            told = [
                phase
                for phase, pattern in (("prefill", self.prefill), ("decode", self.decode))
                if pattern and fnmatchcase(low, pattern.lower())
            ]
            return told[0] if len(told) == 1 else ""
        if (mixed := _VLLM.search(low)) is not None:
            prompts, answers = int(mixed[1]), int(mixed[2])
            return ("" if prompts else "decode") if answers else ("prefill" if prompts else "")
        words = set(_WORDS.findall(low))
        prefill, decode = bool(words & _PREFILL), bool(words & _DECODE)
        return {(True, False): "prefill", (False, True): "decode"}.get((prefill, decode), "")
