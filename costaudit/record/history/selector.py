"""What the user says of the window and of the series → checked PromQL matchers and seconds."""

from __future__ import annotations

import re

from costaudit.ground.errors import UsageError

_UNITS_S = {"s": 1, "m": 60, "h": 3600, "d": 86_400, "w": 604_800}
_SHORTEST_S, _LONGEST_S = 10, 92 * 86_400
_MATCHER = re.compile(
    r'\s*([a-zA-Z_][a-zA-Z0-9_]*)\s*(=~|!~|!=|=)\s*(?:"((?:[^"\\\n]|\\.)*)"|([^\s",{}\\]+))\s*'
)


def seconds_of(text: str) -> int:
    """Seconds in 6h, 90m, 1d12h or a plain number of seconds.

    Raises:
        UsageError: it is none of these, or shorter than ten seconds or longer than a quarter.
    """
    parts = re.findall(r"(\d+)([smhdw])", text.strip().lower())
    if "".join(f"{number}{unit}" for number, unit in parts) == text.strip().lower() and parts:
        seconds = sum(int(number) * _UNITS_S[unit] for number, unit in parts)
    elif text.strip().isdecimal():
        seconds = int(text)
    else:
        raise UsageError(f"{text!r} is no span of time", hint="like 6h, 90m or 1d12h")
    if not _SHORTEST_S <= seconds <= _LONGEST_S:
        raise UsageError(f"a window of {text} is not asked about", hint="from 10s to 92d")
    return seconds


def matchers_of(given: str | None) -> str:
    """`{namespace="prod", model_name=~"llama.*"}` or `namespace=prod,job=vllm` as matchers.

    Each is read and written anew, so nothing but matchers can come out.

    Raises:
        UsageError: it is not of that form.
    """
    text = (given or "").strip()
    if text.startswith("{") and text.endswith("}"):
        text = text[1:-1].strip().removesuffix(",")
    found, place = [], 0
    while place < len(text):
        match = _MATCHER.match(text, place)
        end = match.end() if match else place
        if match is None or (end < len(text) and text[end] != ",") or match[1] == "__name__":
            raise UsageError(
                f"--selector {given!r} is no list of labels",
                hint="""like --selector 'namespace="prod", model_name=~"llama.*"'""",
            )
        value = match[3] if match[3] is not None else match[4]
        found.append(f'{match[1]}{match[2]}"{value}"')
        place = end + 1
    return ", ".join(found)
