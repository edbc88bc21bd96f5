"""How we prove to a Prometheus who we are: by the environment only, and never shown."""

from __future__ import annotations

import os
import re

from costaudit.ground.errors import UsageError

TOKEN = "COSTAUDIT_PROMETHEUS_TOKEN"  # sent as a bearer token  # noqa: S105 - a variable's name
HEADERS = "COSTAUDIT_PROMETHEUS_HEADERS"  # "Name: value", one a line: X-Scope-OrgID of Mimir, …
HINT = f"put a bearer token into {TOKEN}, or whole headers, one a line, into {HEADERS}"
_HEADER = re.compile(r"([A-Za-z0-9!#$%&'*+.^_`|~-]+):[ \t]*([\x20-\x7e\t]*)")


def headers_from_environment() -> dict[str, str]:
    """The headers of every question.

    Raises:
        UsageError: the variable holds something that is no header; its text is not repeated.
    """
    found: dict[str, str] = {}
    for number, line in enumerate(os.environ.get(HEADERS, "").splitlines(), start=1):
        if not line.strip():
            continue
        match = _HEADER.fullmatch(line.strip())
        if match is None:
            raise UsageError(f"line {number} of {HEADERS} is no header", hint="Name: value")
        found[match[1]] = match[2].strip()
    if token := os.environ.get(TOKEN, "").strip():
        if not token.isprintable() or not token.isascii():
            raise UsageError(f"{TOKEN} holds no token: it has characters that no header may have")
        found["Authorization"] = f"Bearer {token}"
    return found
