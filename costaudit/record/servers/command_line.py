"""The command line of a server that listens on this very machine.

Engines tell their batch limits nowhere else (vLLM). Read through psutil, and only for a loopback
address: a foreign process, or one in a container, simply shows nothing.
"""

from __future__ import annotations

from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from costaudit.record.servers.naming import is_here

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    import psutil

_MAX_ARGUMENTS = 500
_PROGRAM_WORDS = 4  # interpreter, -m, program, subcommand


def arguments_of_listener(base_url: str, program: str) -> Mapping[str, str]:
    """Flags of the process behind a loopback URL: dashes for underscores, "true" without a value.

    Empty where the address is another machine's, the process cannot be seen, or its command line
    does not name `program` (a proxy, a port forwarded from elsewhere).
    """
    if not is_here(base_url):
        return {}
    command = _command_of_listener(_port(base_url))
    return flags(command) if any(program in word for word in command[:_PROGRAM_WORDS]) else {}


def flags(command: Sequence[str]) -> dict[str, str]:
    """The `--name value`, `--name=value` and `--name` of a command line; `--no-name` is "false".

    The word after a subcommand `serve` is kept under "serve".
    """
    found: dict[str, str] = {}
    arguments = list(command)[:_MAX_ARGUMENTS]
    if "serve" in arguments[:-1]:
        found["serve"] = arguments[arguments.index("serve") + 1]
    for here, after in zip(arguments, [*arguments[1:], ""], strict=False):
        if not here.startswith("--") or len(here) < 3:  # noqa: PLR2004 - dashes and a letter
            continue
        name, given, value = here[2:].partition("=")
        name = name.replace("_", "-")
        if given:
            found[name] = value
        elif after and not after.startswith("--"):
            found[name] = after
        elif name.startswith("no-"):
            found[name.removeprefix("no-")] = "false"
        else:
            found[name] = "true"
    return found


def processes_of(base_url: str) -> frozenset[int]:
    """The process behind a loopback URL and all below it; empty where it cannot be seen."""
    import psutil

    if not is_here(base_url):
        return frozenset()
    try:
        listener = _listener(_port(base_url))
        below = listener.children(recursive=True) if listener is not None else []
        return frozenset(process.pid for process in (listener, *below) if process is not None)
    except (psutil.Error, OSError):
        return frozenset()


def _port(base_url: str) -> int:
    address = urlsplit(base_url)
    return address.port or (443 if address.scheme == "https" else 80)


def _command_of_listener(port: int) -> list[str]:
    import psutil

    try:
        listener = _listener(port)
        return listener.cmdline() if listener is not None else []
    except (psutil.Error, OSError, ValueError):
        return []


def _listener(port: int) -> psutil.Process | None:
    """The process that listens at a port.

    Raises:
        psutil.Error, OSError, ValueError: it cannot be seen.
    """
    import psutil

    for connection in psutil.net_connections(kind="tcp"):
        here = connection.laddr
        if connection.status == psutil.CONN_LISTEN and here and here.port == port:
            return psutil.Process(connection.pid) if connection.pid else None
    return None
