"""Prompts of a wanted number of tokens that no cache has seen, or that share a prefix on purpose.

Exact by token ids where the dialect takes them; else by words that are one token each, checked
with a tokenizer or the server's own tokenize route; else calibrated by the usage of the canary.
The first block of every prompt is new in every run, so that a server that was audited before with
the same seed has nothing of it in its cache; what follows repeats with the seed.
"""

from __future__ import annotations

import os
import random
from array import array
from typing import TYPE_CHECKING, Self

from costaudit.record.servers.vocabulary import Vocabulary, vocabulary_of

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from costaudit.record.servers.found import Found
    from costaudit.record.servers.vocabulary import Unit

MOST_PREFIXES = 4096  # that are remembered; a run has fewer that are still in use
HASHES = 1 << 40  # added to a block's hash: its text is none of a prefix_id
SLOTS = 1 << 16  # what two bytes tell apart: a unit each, or several for one
TEXT_TOKENS = 8192  # of which prompts are stretches, from anywhere in it
UNIQUE_TOKENS = 16  # enough to be new among any number of prompts, at the head of the first block


class PromptMaker:
    """Makes prompts for one server; `exact` and `how` say how sure their lengths are."""

    def __init__(self, vocabulary: Vocabulary, *, seed: int = 0) -> None:
        self._vocabulary = vocabulary
        self._seed = seed
        self._rng = random.Random(seed)
        self._nonce = random.Random(os.urandom(16))
        self._prefixes: dict[int, tuple[Unit, ...]] = {}
        some = list(vocabulary.units[:: -(-len(vocabulary.units) // SLOTS)])
        self._slots = (some * -(-SLOTS // len(some)))[:SLOTS]
        self._text = self._drawn(self._rng, TEXT_TOKENS)

    @classmethod
    def of(cls, found: Found, *, tokenizer: Path | None = None, seed: int = 0) -> Self:
        """For this server; may ask its tokenize route a few times, never for a generation.

        `found` is best the canary's, which knows what the server adds around a text.

        Raises:
            UsageError: `tokenizer` is given and cannot be read.
        """
        return cls(vocabulary_of(found, tokenizer), seed=seed)

    @property
    def exact(self) -> bool:
        """A prompt has as many tokens as asked for, by the server's own count."""
        return self._vocabulary.exact

    @property
    def how(self) -> str:
        """How lengths are made right, in a sentence."""
        return self._vocabulary.how

    def cold(self, tokens: int) -> tuple[int, ...] | str:
        """A prompt of `tokens` tokens whose first block is its own."""
        return self._vocabulary.joined(self._fresh(self._units(tokens)))

    def shared(self, tokens: int, *, prefix_id: int, prefix_tokens: int) -> tuple[int, ...] | str:
        """A prompt of `tokens` that begins with the `prefix_tokens` of its `prefix_id`.

        What follows the prefix is its own, at least one token.
        """
        units = self._units(tokens)
        shared = max(0, min(prefix_tokens, units - 1))
        prefix = self._prefix(prefix_id, shared)
        return self._vocabulary.joined([*prefix, *self._fresh(units - shared)])

    def hashed(
        self, tokens: int, *, hashes: Sequence[int], block_tokens: int
    ) -> tuple[int, ...] | str:
        """A prompt of `tokens`: a block of its own text for each hash, then one that is new."""
        units, block = self._units(tokens), max(1, self._units(block_tokens))
        texts = (self._prefix(HASHES + one, block) for one in hashes)
        blocks = [unit for text in texts for unit in text][: max(0, units - 1)]
        return self._vocabulary.joined([*blocks, *self._fresh(units - len(blocks))])

    def _prefix(self, prefix_id: int, tokens: int) -> tuple[Unit, ...]:
        """The first `tokens` of an endless text that belongs to this prefix and this run."""
        known = self._prefixes.get(prefix_id, ())
        if len(known) < tokens:
            rng = random.Random(f"{self._seed}:{prefix_id}")
            head = known[:UNIQUE_TOKENS] or self._drawn(self._nonce, UNIQUE_TOKENS)
            known = (*head, *self._drawn(rng, tokens))
            self._prefixes[prefix_id] = known
            if len(self._prefixes) > MOST_PREFIXES:
                self._prefixes.pop(next(iter(self._prefixes)))
        return known[:tokens]

    def _units(self, tokens: int) -> int:
        """Ids or words for a prompt of `tokens` tokens, without what the server adds itself."""
        ours = tokens - self._vocabulary.added_tokens
        return max(1, round(ours / self._vocabulary.tokens_per_unit))

    def _fresh(self, count: int) -> list[Unit]:
        """So many units of which the first are in no other prompt.

        The others are a stretch of one text where it is long enough: to draw each of them anew
        takes as long as to read an answer.
        """
        head = min(UNIQUE_TOKENS, count)
        rest = count - head
        drawn = self._drawn(self._nonce, head)
        if rest > TEXT_TOKENS // 2:
            return [*drawn, *self._drawn(self._rng, rest)]
        at = int(self._rng.random() * (TEXT_TOKENS - rest))
        return [*drawn, *self._text[at : at + rest]]

    def _drawn(self, rng: random.Random, count: int) -> list[Unit]:
        """Units by two random bytes each."""
        places = array("H", rng.randbytes(2 * count))
        return [*map(self._slots.__getitem__, places)]
