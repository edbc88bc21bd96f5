"""The address as people give it → the base URL that dialects need."""

from __future__ import annotations

import re
from urllib.parse import urlsplit, urlunsplit

from costaudit.ground.errors import UsageError

# What people paste after the base: paths of an API, of a UI, of a health check. `/api` is Ollama's
# only where nothing follows that is another's (https://openrouter.ai/api/v1).
_TAILS = tuple(
    re.compile(pattern)
    for pattern in (
        r"^(.*?)(?:/v1)+(?:/(?:models|completions|chat/completions|responses|embeddings))?/*$",
        r"^(.*?)/v2(?:/.*)?$",
        r"^()/api(?:/(?:generate|chat|tags|ps|version))?/*$",
        r"^(.*?)/(?:metrics|healthz?|ping|version|info|generate(?:_stream)?|completion)/*$",
        r"^(.*?)/(?:docs|redoc|openapi\.json|index\.html|ui|playground)/*$",
        r"^(.*?)/*$",
    )
)


def base_of(given: str) -> tuple[str, tuple[str, ...]]:
    """The base URL of a server and a note on each correction made.

    Raises:
        UsageError: it is no http(s) address.
    """
    address, notes = given.strip(), []
    if address.rstrip("/") in {"http:", "https:"}:
        raise UsageError(f"{given!r} is no address: it names no host", hint="like http://host:8000")
    if "://" not in address:
        address = f"http://{address}"
        notes.append(f"{given.strip()} has no scheme: taken as {address}")
    try:
        parts = urlsplit(address)
        host, port = parts.hostname, parts.port
    except ValueError as err:
        raise UsageError(f"{given!r} is no address: {err}", hint="like http://host:8000") from err
    if parts.scheme not in {"http", "https"} or not host:
        raise UsageError(f"{given!r} is no http(s) address", hint="like http://host:8000")
    if parts.username is not None or parts.password is not None:
        raise UsageError(
            "the address holds a user or a password",
            hint="put a key into COSTAUDIT_API_KEY; addresses are written into reports",
        )
    path = next(match[1] for tail in _TAILS if (match := tail.match(parts.path)))
    path = path.rstrip("/")
    name = f"[{host}]" if ":" in host else host
    netloc = name if port is None else f"{name}:{port}"
    base = urlunsplit((parts.scheme, netloc, path, "", ""))
    if base != address.rstrip("/"):
        notes.append(f"{address} taken as {base}: the paths of the API are added by costaudit")
    return base, tuple(notes)
