"""Plain words for prompts as text: in most vocabularies each is one token, its space included."""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import random
    from collections.abc import Sequence

_FILE = Path(__file__).parent / "words.txt"


@cache
def words() -> tuple[str, ...]:
    """Some 600 common English words, of letters a to z."""
    return tuple(_FILE.read_text(encoding="ascii").split())


def text_of_words(rng: random.Random, count: int, among: Sequence[str] = ()) -> str:
    """`count` words, each with the space in front of it; of all of them, or `among` some."""
    return "".join(f" {word}" for word in rng.choices(among or words(), k=count))
