"""A command line as it may be written down: with nothing in it that opens a door."""

from __future__ import annotations

import os
import re
import shlex
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

MASK = "REDACTED"
_MOST_CHARS = 2000
_LEAST_CHARS = 8  # of an environment variable's value that counts as a secret
# What the last word of a flag, a setting or a header is called whose value is a secret.
_SECRET = frozenset(
    (
        *("apikey", "auth", "authorization", "bearer", "cookie", "credential", "credentials"),
        *("header", "headers", "key", "passphrase", "passwd", "password", "pat"),
        *("pwd", "secret", "sig", "signature", "token", "user", "userpwd"),
    )
)
_SHORT = frozenset(("-H", "-u"))  # as of curl: a header, a user
_NAMED = re.compile(r"^(-{0,2}[\w.-]+)(\s*[=:]\s*)(.+)$", re.DOTALL)
_USERINFO = re.compile(r"(//)[^\s?#]*@")
_USER = re.compile(r"^[^\s/:@=]+:[^\s@]+@")
_QUERY = re.compile(r"([?&;])([^=&;#\s]*=)?[^&;#\s]*")
_FRAGMENT = re.compile(r"#.*$", re.DOTALL)
# Keys as vendors shape them, and long runs of letters and digits in which no word can be read.
_SHAPED = re.compile(
    r"(?i)\b(?:sk|pk|rk|hf|api|key|ghp|gho|ghs|glpat|github_pat|nvapi|xox[a-z])[-_][\w-]{8,}"
    r"|\beyJ[\w-]{6,}(?:\.[\w-]*){0,2}"
    r"|\b(?:bearer|basic)\s+\S+"
    r"|(?<![A-Za-z0-9])(?=[A-Za-z]*\d)(?=\d*[A-Za-z])[A-Za-z0-9]{24,}"
)


def without_secrets(words: Sequence[str], environment: Mapping[str, str] | None = None) -> str:
    """The command line as a shell would take it, of at most some 2000 characters.

    Masked are the values of what is named like a secret, users, queries and fragments of addresses,
    whatever is shaped like a key, and the values of environment variables that are named so.
    """
    hidden = _hidden(os.environ if environment is None else environment)
    told = shlex.join(_masked(words, hidden))
    return told if len(told) <= _MOST_CHARS else told[:_MOST_CHARS] + " …"


def _masked(words: Sequence[str], hidden: Sequence[str]) -> Iterator[str]:
    follows = False
    for word in words:
        if follows and not word.startswith("--"):
            yield MASK
            follows = False
            continue
        follows = word in _SHORT or (word.startswith("-") and _is_secret(word))
        yield _word(word, hidden)


def _word(word: str, hidden: Sequence[str]) -> str:
    for value in hidden:
        word = word.replace(value, MASK)
    named = _NAMED.match(word)
    if named and "//" not in named[1] and _is_secret(named[1]) and not named[3].startswith("//"):
        return f"{named[1]}{named[2]}{MASK}"
    return _SHAPED.sub(MASK, _address(word) if "//" in word else _USER.sub(f"{MASK}@", word))


def _address(word: str) -> str:
    word = _USERINFO.sub(rf"\g<1>{MASK}@", _FRAGMENT.sub(f"#{MASK}", word))
    return _QUERY.sub(lambda part: f"{part[1]}{part[2] or ''}{MASK}", word)


def _is_secret(name: str) -> bool:
    """By its last word: --api-key is one, --token-price and --max-tokens are none."""
    words = re.split(r"[-_.]", re.sub(r"(?<=[a-z])(?=[A-Z])", "-", name.strip("-")).lower())
    return words[-1] in _SECRET


def _hidden(environment: Mapping[str, str]) -> list[str]:
    values = {v for n, v in environment.items() if _is_secret(n) and len(v) >= _LEAST_CHARS}
    return sorted(values, key=len, reverse=True)
