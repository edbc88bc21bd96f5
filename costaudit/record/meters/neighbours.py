"""Who uses the cores of a server that runs on this machine: the server, this process, others.

The server is found by the port that it listens on; its processes are those that listen and all
below them. What /proc/stat counts beyond them and ourselves is others'; `waiting_share` is the
kernel's own word for contention (/proc/pressure/cpu, "some": time in which a task waited for a
core). Values are means since the reading before, in cores.
"""

from __future__ import annotations

import socket
import time
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from costaudit.recording.rows import Gauge, Instrument, State

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

METER = "neighbours"
PERIOD_S = 1.0
LOOK_AGAIN_S = 10.0  # for processes that the server started since
PRESSURE = Path("/proc/pressure/cpu")
# They listen for somebody else, who is not below them.
FORWARDERS = {"docker-proxy", "rootlessport", "slirp4netns", "kubectl", "ssh", "nginx", "haproxy"}
_MICRO_S = 1e-6


@dataclass(frozen=True, slots=True, kw_only=True)
class _Seconds:
    """CPU seconds so far, by whose they are."""

    at_s: float
    server: float
    own: float
    busy: float
    steal: float
    idle: float
    waited: float | None


def open_neighbours(base_url: str) -> Neighbours | Instrument:
    """The open meter, or its state where there is nothing to read. Never raises."""
    import psutil

    parts = urlsplit(base_url)
    port = parts.port or (443 if parts.scheme == "https" else 80)
    if not _is_here(parts.hostname or "", port):
        return _state(State.ABSENT, "the server is not on this machine: its cores are not seen")
    try:
        listening = _listening(psutil, port)
    except (OSError, psutil.Error) as err:
        return _state(State.REFUSED, f"who listens at port {port} cannot be read: {err}")
    if not listening:
        return _state(State.REFUSED, f"who listens at port {port} is hidden from this user")
    names = {process.info["name"] for process in listening}
    if names & FORWARDERS:
        told = ", ".join(sorted(names))
        return _state(State.ABSENT, f"{told} listens at port {port} for a process that is not seen")
    return Neighbours(psutil, [process.pid for process in listening])


class Neighbours:
    """Samples whose time the cores spend. `sample` may be called more often: once a second."""

    def __init__(self, psutil: Any, listening: Sequence[int]) -> None:
        self._psutil = psutil
        self._listening = listening
        self._tree: list[Any] = []
        self._looked_s = float("-inf")
        self._state = _state(State.OK, f"the server is process {listening[0]} and those below it")
        self._gone_s: dict[int, float] = {}  # seconds of each process when it was last seen
        self._last = self._seconds()

    def sample(self, t_s: float) -> Sequence[Gauge]:
        """Cores since the last reading."""
        if self._state.state is not State.OK:
            return ()
        if time.monotonic() - self._last.at_s < 0.9 * PERIOD_S:
            return ()
        try:
            now = self._seconds()
        except (OSError, self._psutil.Error) as err:
            self._state = _state(State.LOST, f"processes and cores: {err}")
            return ()
        before, self._last = self._last, now
        return [
            Gauge(t_s=t_s, meter=METER, name=name, value=value, unit=unit)
            for name, value, unit in _shares(before, now)
        ]

    def instruments(self) -> Sequence[Instrument]:
        """The state of this meter."""
        return (self._state,)

    def close(self) -> None:
        """Nothing is held open."""

    def _seconds(self) -> _Seconds:
        cpu = self._psutil.cpu_times()
        now_s = time.monotonic()
        if now_s - self._looked_s > LOOK_AGAIN_S:
            self._tree, self._looked_s = _tree(self._psutil, self._listening), now_s
        for process in self._tree:
            with suppress(self._psutil.Error):
                times = process.cpu_times()
                self._gone_s[process.pid] = times.user + times.system
        names = ("user", "nice", "system", "irq", "softirq")  # guest time is within user time
        return _Seconds(
            at_s=now_s,
            server=sum(self._gone_s.values()),
            own=time.process_time(),
            busy=sum(getattr(cpu, name, 0.0) for name in names),
            steal=getattr(cpu, "steal", 0.0),
            idle=cpu.idle + getattr(cpu, "iowait", 0.0),
            waited=_waited_s(),
        )


def _shares(before: _Seconds, now: _Seconds) -> Iterable[tuple[str, float, str]]:
    passed = now.at_s - before.at_s
    server, own = (now.server - before.server) / passed, (now.own - before.own) / passed
    busy = (now.busy - before.busy) / passed
    yield "server", max(0.0, server), "cores"
    yield "own", max(0.0, own), "cores"
    yield "others", max(0.0, busy - server - own), "cores"
    yield "steal", max(0.0, (now.steal - before.steal) / passed), "cores"
    yield "idle", max(0.0, (now.idle - before.idle) / passed), "cores"
    if before.waited is not None and now.waited is not None:
        yield "waiting_share", min(1.0, (now.waited - before.waited) / passed), "share"


def _waited_s() -> float | None:
    """Seconds so far in which some task waited for a core; None where the kernel does not tell."""
    try:
        some = PRESSURE.read_text().splitlines()[0]
        return float(some.rpartition("total=")[2]) * _MICRO_S
    except (OSError, ValueError, IndexError):
        return None


def _is_here(host: str, port: int) -> bool:
    """An address is this machine's where a socket can be bound to it."""
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_DGRAM)
    except OSError:
        return False
    for family, kind, _, _, address in found:
        with suppress(OSError), socket.socket(family, kind) as own:
            own.bind((address[0], 0))
            return True
    return False


def _listening(psutil: Any, port: int) -> list[Any]:
    ids = {
        one.pid
        for one in psutil.net_connections("tcp")
        if one.status == psutil.CONN_LISTEN and one.laddr.port == port and one.pid
    }
    return [p for p in psutil.process_iter(["name"]) if p.pid in ids]


def _tree(psutil: Any, roots: Sequence[int]) -> list[Any]:
    """The processes that listen and all below them, each once."""
    found: dict[int, Any] = {}
    for pid in roots:
        with suppress(psutil.Error):
            root = psutil.Process(pid)
            found |= {process.pid: process for process in (root, *root.children(recursive=True))}
    return list(found.values())


def _state(state: State, why: str) -> Instrument:
    return Instrument(meter=METER, state=state, why=why)
