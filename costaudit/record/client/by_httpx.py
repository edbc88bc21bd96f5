"""The slow road: proxies and HTTP/2 by httpx, with stamps taken in this process."""

from __future__ import annotations

import asyncio
import time
from importlib.util import find_spec
from typing import TYPE_CHECKING

from costaudit.record.client.address import tls_context
from costaudit.record.client.exchange import Exchange
from costaudit.record.client.http1 import Head
from costaudit.record.client.pace import Pace
from costaudit.record.client.route import fixed_headers

if TYPE_CHECKING:
    from collections.abc import Callable

    import httpx

    from costaudit.record.client.address import Site
    from costaudit.record.client.load import Endpoint, Rung, Shot
    from costaudit.record.dialects.dialect import Dialect

_NS = 1_000_000_000
_TICK_S = 0.1
_CONNECT_S = 10.0


class Courier:
    """Runs a rung over httpx; takes what `Loop` takes. `opened` counts connections, where told."""

    def __init__(
        self,
        endpoint: Endpoint,
        site: Site,
        dialect: Dialect,
        rung: Rung,
        *,
        finished: Callable[[Exchange], None],
        began: Callable[[], int],
        stop: Callable[[], str],
        proxy: str,
    ) -> None:
        self.stopped = ""
        self.opened = 0
        self._endpoint = endpoint
        self._site = site
        self._dialect = dialect
        self._rung = rung
        self._finished = finished
        self._began = began
        self._stop = stop
        self._proxy = proxy
        self._answered = False

    def run(self) -> None:
        """Until every answer has come, or `stop`."""
        asyncio.run(self._run())

    async def _run(self) -> None:
        import httpx

        streams = min(self._rung.concurrency, self._rung.requests)
        async with httpx.AsyncClient(
            http2=find_spec("h2") is not None,
            proxy=self._proxy or None,
            verify=tls_context(self._endpoint),
            trust_env=False,
            timeout=httpx.Timeout(None, connect=_CONNECT_S),  # the rest: the rung's own limit
            limits=httpx.Limits(max_connections=streams, max_keepalive_connections=streams),
            headers=fixed_headers(self._endpoint, self._dialect.framing),
        ) as client:
            pace = Pace(self._rung, self._began())
            workers = [asyncio.create_task(self._stream(client, pace)) for _ in range(streams)]
            watcher = asyncio.create_task(self._watch(workers))
            try:
                await asyncio.gather(*workers)
            except asyncio.CancelledError:
                if not self.stopped:
                    raise
            finally:
                for task in (watcher, *workers):
                    task.cancel()
                await asyncio.gather(watcher, *workers, return_exceptions=True)

    async def _watch(self, workers: list[asyncio.Task[None]]) -> None:
        while not self.stopped:
            await asyncio.sleep(_TICK_S)
            self.stopped = self._stop()
        for task in workers:
            task.cancel()

    async def _stream(self, client: httpx.AsyncClient, pace: Pace) -> None:
        """One stream: a request after the other."""
        free_ns = pace.began_ns
        while not pace.over and not self.stopped:
            shot = pace.take(time.time_ns())
            if shot is None:
                due_ns = pace.next_ns() or 0
                await asyncio.sleep(min(max(0.0, (due_ns - time.time_ns()) / _NS), _TICK_S))
                continue
            intended_ns = free_ns if shot.start_s is None else pace.due_ns(shot)
            exchange = Exchange(shot, self._dialect, intended_ns)
            try:
                await self._ask(client, shot, exchange, free_ns)
            finally:
                self._finished(exchange)
            free_ns = exchange.end_ns

    async def _ask(
        self, client: httpx.AsyncClient, shot: Shot, exchange: Exchange, free_ns: int
    ) -> None:
        import httpx

        url = f"{'https' if self._site.tls else 'http'}://{self._site.authority}{self._site.path}"
        exchange.sent_ns = time.time_ns()
        exchange.own_late_ns = exchange.sent_ns - max(exchange.intended_ns, free_ns)
        cut = ""
        try:
            async with (
                asyncio.timeout(self._rung.timeout_s),
                client.stream(
                    "POST", url + shot.call.path, content=shot.call.body, headers=shot.call.headers
                ) as answer,
            ):
                head = _head(answer)
                exchange.framer.head = head
                async for data in answer.aiter_raw():
                    exchange.piece(head, data, time.time_ns())
                exchange.framer.done = self._answered = True
        except TimeoutError:
            cut = f"no end of the answer within {self._rung.timeout_s:g} s"
        except httpx.HTTPError as err:
            cut = f"{self._site.place}: {err or type(err).__name__}"
            if isinstance(err, httpx.ConnectError | httpx.ProxyError) and not self._answered:
                self.stopped = self.stopped or cut
        except asyncio.CancelledError:
            exchange.end(f"cut off: {self.stopped or 'interrupted'}")
            raise
        exchange.end(cut)


def _head(answer: httpx.Response) -> Head:
    headers = {name.lower(): value for name, value in answer.headers.items()}
    return Head(
        status=answer.status_code, headers=headers, keeps_alive=True, chunked=False, length=None
    )
