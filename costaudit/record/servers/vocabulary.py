"""What prompts are drawn from: token ids, or words that are one token each.

Ids are drawn below the size of the tokenizer's vocabulary (that of the embedding may be padded) and
never from its special tokens.
"""

from __future__ import annotations

import re
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from costaudit.ground.errors import CostauditError, UsageError
from costaudit.record.servers.words import words

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from costaudit.record.servers.found import Found

_LOW_ID = 100  # special tokens of most vocabularies come first, bytes behind them
_TOP_SHARE = 0.9  # …and of some come last (Llama 3: the last 256 of 128,256)
_UNKNOWN_TOP_ID = 1000  # there in every vocabulary in use
_PROBE_WORDS = 128  # words told apart in one request
_MOST_REQUESTS = 40
_FEW = 64  # words that are enough to draw from
_MOST_WORDS = 4000
_SEVERAL = 1.6  # tokens per word: more than what a chat template adds to the canary's words
# Behind SentencePiece's mark (U+2581), or that of byte-level BPE (U+0120).
_WORD = re.compile("[\u2581\u0120]([A-Za-z]{2,})")

Unit = int | str


@dataclass(frozen=True, slots=True, kw_only=True)
class Vocabulary:
    """Units to draw: token ids, or words.

    `tokens_per_unit` is 1 but for words of several tokens; `added_tokens` is what the server puts
    around a prompt of ours (begin token, chat template).
    """

    units: Sequence[Unit]
    exact: bool
    how: str
    added_tokens: int = 0
    tokens_per_unit: float = 1.0

    def joined(self, drawn: Sequence[Any]) -> tuple[int, ...] | str:
        """The prompt made of the drawn units."""
        return " " + " ".join(drawn) if isinstance(drawn[0], str) else tuple(drawn)


def vocabulary_of(found: Found, tokenizer: Path | None) -> Vocabulary:
    """The best vocabulary that this server allows.

    Raises:
        UsageError: the given tokenizer cannot be read.
    """
    local = tokenizer or _beside_weights(found)
    loaded = _load(local, given=tokenizer is not None) if local is not None else None
    if found.dialect.takes_token_ids:
        return _ids(found, loaded)
    if loaded is not None:
        by_tokenizer = partial(_by_tokenizer, loaded)
        own = _own_words(loaded)
        if (single := _single(by_tokenizer, among=own, limit=10_000)) is not None:
            how = f"words of one token each by the tokenizer at {local}"
            return _of_words(single, how, found, by_tokenizer)
    if found.tokenize is not None:
        by_server = _by_server(found)
        if (single := _single(by_server, among=words(), limit=_MOST_REQUESTS)) is not None:
            how = f"words of one token each by {found.tokenize.path}"
            return _of_words(single, how, found, by_server)
    return _uncounted(found)


def _uncounted(found: Found) -> Vocabulary:
    """Plain words, by the one count that the server has told.

    One small surplus is what it adds around a text; a large one says that words are several tokens.
    """
    text, counted = found.calibration or ("", 0)
    per_word = counted / max(1, text.count(" "))
    several = per_word > _SEVERAL
    return Vocabulary(
        units=words(),
        exact=False,
        how="words, by the server's count of one prompt; its own count of each is recorded",
        tokens_per_unit=per_word if several else 1.0,
        added_tokens=0 if several else _added(found, lambda text: text.count(" ")),
    )


def _ids(found: Found, loaded: Any) -> Vocabulary:
    if loaded is not None:
        special = {i for i, t in loaded.get_added_tokens_decoder().items() if t}
        size = loaded.get_vocab_size(with_added_tokens=False)
        return Vocabulary(
            units=[i for i in range(size) if i not in special],
            exact=True,
            how="token ids of the tokenizer, without its special ones",
        )
    shape = found.target.shape
    told = found.vocab_tokens.value
    size = told if isinstance(told, int) else (shape.vocab if shape is not None else None)
    top = _UNKNOWN_TOP_ID if size is None else max(2, int(size * _TOP_SHARE))
    low = _LOW_ID if top > 2 * _LOW_ID else min(3, top - 1)
    why = "of every vocabulary in use" if size is None else f"of a vocabulary of {size}"
    return Vocabulary(units=range(low, top), exact=True, how=f"token ids {low} to {top} {why}")


def _of_words(
    single: tuple[str, ...], how: str, found: Found, count: Callable[[str], int]
) -> Vocabulary:
    sure = found.calibration is not None
    return Vocabulary(
        units=single,
        exact=sure,
        how=how if sure else f"{how}; what the server adds around them is not known",
        added_tokens=_added(found, count),
    )


def _added(found: Found, count: Callable[[str], int]) -> int:
    """Tokens that the server puts around a text: its count of the canary's less ours."""
    if found.calibration is None:
        return 0
    text, counted = found.calibration
    with suppress(CostauditError, ValueError):
        return max(0, counted - count(text))
    return 0


def _by_tokenizer(tokenizer: Any, text: str) -> int:
    return len(tokenizer.encode(text, add_special_tokens=False).ids)


def _own_words(tokenizer: Any) -> tuple[str, ...]:
    """The words that a tokenizer has as one token with their space."""
    tokens = sorted(tokenizer.get_vocab())
    found = (match[1] for token in tokens if (match := _WORD.fullmatch(token)))
    return tuple(found)[:_MOST_WORDS]


def _single(
    count: Callable[[str], int], *, among: Sequence[str], limit: int
) -> tuple[str, ...] | None:
    """The words that are one token each with their space; None where too few can be found.

    A list whose words together are as many tokens as words has none of more than one; else it is
    halved. What is always added (a begin token) is what an empty-handed pair shows.
    """

    def tokens(some: Sequence[str]) -> int:
        return count("".join(f" {word}" for word in some))

    try:
        base, asked = _base(tokens, among[0]), 2
        pending = [list(among[i : i + _PROBE_WORDS]) for i in range(0, len(among), _PROBE_WORDS)]
        single: list[str] = []
        while pending and asked < limit:
            some, asked = pending.pop(), asked + 1
            if tokens(some) - base == len(some):
                single += some
            elif len(some) > 1:
                pending += [some[: len(some) // 2], some[len(some) // 2 :]]
    except (CostauditError, ValueError, IndexError):
        return None
    return tuple(sorted(single)) if len(single) >= _FEW else None


def _base(tokens: Callable[[Sequence[str]], int], word: str) -> int:
    """What is added around every text: twice the same word costs base + 2 × its tokens."""
    once, twice = tokens([word]), tokens([word, word])
    return 2 * once - twice


def _by_server(found: Found) -> Callable[[str], int]:
    route = found.tokenize
    if route is None:
        raise ValueError("no route counts tokens")
    from costaudit.record.servers.fetch import fetch  # a rung alone does without

    url = found.endpoint.base_url + route.path

    def count(text: str) -> int:
        reply = fetch(
            url,
            headers=found.endpoint.headers,
            post={route.text_key: text, **route.extra},
            verify_tls=found.endpoint.verify_tls,
        )
        body = reply.json() if reply.ok else None
        ids = body.get(route.ids_key) if isinstance(body, dict) else body
        if not isinstance(ids, list):
            raise UsageError("the tokenize route does not answer with tokens")
        return len(ids)

    return count


def _beside_weights(found: Found) -> Path | None:
    """The tokenizer of a server on this machine, in the directory of its weights."""
    folders = (Path(name) for name in (found.weights_name, found.model) if name.startswith("/"))
    known = next((one for one in folders if (one / "tokenizer.json").is_file()), None)
    if known is None:
        return None
    from costaudit.record.servers.naming import is_here

    return known if is_here(found.endpoint.base_url) else None


def _load(path: Path, *, given: bool) -> Any:
    """A tokenizer of the `tokenizers` library; None where a guess of ours does not load.

    Raises:
        UsageError: a given one does not load.
    """
    file = path / "tokenizer.json" if path.is_dir() else path
    try:
        from tokenizers import Tokenizer

        return Tokenizer.from_file(str(file))
    except Exception as err:  # the library raises bare exceptions
        if not given:
            return None
        missing = isinstance(err, ImportError)
        raise UsageError(
            f"cannot read the tokenizer {file}: {err}"[:300],
            hint="pip install tokenizers"
            if missing
            else "--tokenizer takes a tokenizer.json, or the directory that holds one",
        ) from err
